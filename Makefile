# make run       build in release and show info, fuse and prune on the embedded default, and what the built-in detector finds
# make test      the same, then all tests that need no Python
# make check     the tests of a debug build, and lint
# make docs      the documentation, .build/docs/ModelUtils.doccarchive (needs python3, and docc, which comes with Swift)
# make install   the command with its man page and completions, under PREFIX
# make manual    Resources/mutils.1, from what the command says of itself
# make fuzz      libFuzzer on all that is read, MINUTES for each of TARGETS (Tests/Fuzzing/README.md)
# make bench     ours against the originals, in one run (needs PYTHON)
# make train-demo  a ResNet-18 learns 60,000 real pictures of garments, in some minutes (needs Debian's dataset-fashion-mnist)
# make interop   the originals judge the command's output (needs PYTHON)
# make interop-slow  those of its tests that take minutes
# make mpi       the ranks of a real mpirun (needs Open MPI and a PYTHON with pytest)

SWIFT  ?= swift
PREFIX ?= /usr/local
# An environment as Tests/Interop/README.md describes it.
PYTHON ?= /tmp/reference/bin/python

MUTILS := .build/release/mutils
STATIC := .build-static
WITH_MPI := .build-mpi
# Tests see what is internal, which another build is for: one folder for both would be built anew at every change of use.
TESTED := .build-test

.PHONY: run build check test lint docs interop interop-slow mpi fuzz bench train-demo install manual uninstall clean deps

run: build
	$(MUTILS) info
	$(MUTILS) fuse
	$(MUTILS) prune --amount 0.3
	[ -e runs/shapes ] || $(MUTILS) dataset shapes runs/shapes --train 1 --val 4 --size 128 --seed 3
	$(MUTILS) detect runs/shapes/images/val -o runs/found --force

build: deps
	$(SWIFT) build -c release --product mutils

test: run
	$(SWIFT) test -c release --scratch-path $(TESTED)
	$(SWIFT) run --package-path Tests/Consumer consumer

# The loop of a working day: a debug build, its tests, what a formatter says.
check: deps
	$(SWIFT) build --build-tests
	$(SWIFT) test --skip-build --parallel
	$(MAKE) lint

lint:
	$(SWIFT) format lint --strict --recursive Package.swift Sources Tests

docs: build
	SWIFT="$(SWIFT)" Tests/Documentation/docs.sh

interop: build
	$(SWIFT) build -c release --product interpret
	$(SWIFT) build -c release --product rehearse
	$(PYTHON) -m pip install -q --disable-pip-version-check -r Tests/Interop/requirements.txt
	$(PYTHON) -m pip install -q --disable-pip-version-check --no-deps -r Tests/Interop/requirements-originals.txt
	MUTILS=$(abspath $(MUTILS)) $(PYTHON) -m pytest -q -n 2 Tests/Interop

# What is left out above for its time.
interop-slow: build
	$(SWIFT) build -c release --product interpret
	$(SWIFT) build -c release --product rehearse
	MUTILS=$(abspath $(MUTILS)) $(PYTHON) -m pytest -q -n 2 -m slow Tests/Interop

mpi: deps
	$(SWIFT) build --traits MPI --scratch-path $(WITH_MPI) --product mutils
	$(SWIFT) build --traits MPI --scratch-path $(WITH_MPI) --product ranks
	$(PYTHON) -m pip install -q --disable-pip-version-check -r Tests/Interop/requirements.txt
	BUILD=$(abspath $(WITH_MPI))/debug $(PYTHON) -m pytest -q Tests/MPI

MINUTES ?= 20
TARGETS ?= pickle checkpoint safetensors index onnx yaml pictures arrays labels graph
fuzz: deps
	SWIFT="$(SWIFT)" Tests/Fuzzing/fuzz.sh $(MINUTES) $(TARGETS)

bench: build
	$(SWIFT) build -c release --product benchmark
	$(SWIFT) build -c release --product pictures-benchmark
	$(PYTHON) Tests/Benchmarks/bench.py
	$(PYTHON) Tests/Benchmarks/images_bench.py
	$(PYTHON) Tests/Benchmarks/engine_bench.py
	$(PYTHON) Tests/Benchmarks/onnx_bench.py
	$(PYTHON) Tests/Benchmarks/train_bench.py
	$(PYTHON) Tests/Benchmarks/detector_bench.py

FASHION := /usr/share/datasets/fashion-mnist
train-demo: build
	@[ -e $(FASHION) ] || { sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; $$sudo apt-get install -q -y dataset-fashion-mnist; }
	$(MUTILS) train $(FASHION) --model resnet18 --epochs 4 --batch-size 128 --lr 0.05 \
	  --warmup-epochs 0.5 --no-augmentation -o runs/fashion-mnist
	$(MUTILS) val runs/fashion-mnist/best.pt $(FASHION)

install: deps
	$(SWIFT) build -c release --static-swift-stdlib --scratch-path $(STATIC) --product mutils
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions \
	  $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install -s -m 755 $(STATIC)/release/mutils $(DESTDIR)$(PREFIX)/bin/mutils
	$(STATIC)/release/mutils --generate-completion-script bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/mutils
	$(STATIC)/release/mutils --generate-completion-script zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_mutils
	$(STATIC)/release/mutils --generate-completion-script fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/mutils.fish
	install -m 644 Resources/mutils.1 $(DESTDIR)$(PREFIX)/share/man/man1/mutils.1

# What the tests compare with the command's help.
manual: build
	$(SWIFT) build -c release --product manual
	$(MUTILS) --experimental-dump-help | .build/release/manual > Resources/mutils.1

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/mutils $(DESTDIR)$(PREFIX)/share/man/man1/mutils.1 \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions/mutils $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_mutils \
	  $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/mutils.fish

clean:
	rm -rf .build $(TESTED) $(STATIC) $(WITH_MPI) .build-fuzz Tests/Consumer/.build

# The headers of zlib, libpng and libjpeg, and oneDNN, where they are missing.
deps:
	@if [ "$$(uname)" = Darwin ]; then \
	  for formula in libpng jpeg-turbo onednn; do brew list $$formula > /dev/null 2>&1 || brew install $$formula; done; \
	else \
	  missing=; \
	  [ -e /usr/include/zlib.h ] || missing="$$missing zlib1g-dev"; \
	  [ -e /usr/include/png.h ] || missing="$$missing libpng-dev"; \
	  [ -e /usr/include/jpeglib.h ] || missing="$$missing libjpeg-dev"; \
	  [ -e /usr/include/oneapi/dnnl/dnnl.h ] || missing="$$missing libdnnl-dev"; \
	  if [ -n "$$missing" ]; then \
	    sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	    echo "installing$$missing"; \
	    $$sudo apt-get update -q && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y $$missing; \
	  fi; \
	fi
