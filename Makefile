# make run       build in release and show info, fuse and prune on the embedded default, and what the built-in detector finds
# make test      the same, then all tests that need no Python
# make check     the tests of a debug build, and lint
# make sanitize  the library's tests under AddressSanitizer, C under UndefinedBehaviorSanitizer, then all under ThreadSanitizer (an hour)
# make sanitize-kernels  the C kernels' cases under both of C's sanitizers, in a minute
# make sanitize-commands  what the command does with several threads, under each of them: sanitize-threads, sanitize-memory
# make docs      the documentation, .build/docs/ModelUtils.doccarchive (needs python3, and docc, which comes with Swift)
# make install   the command with its man page and completions, under PREFIX
# make manual    Resources/mutils.1, from what the command says of itself
# make fuzz      libFuzzer on all that is read, MINUTES for each of TARGETS (Tests/Fuzzing/README.md)
# make portability  what the C makes of the same numbers on 64-bit ARM (needs Debian's gcc-aarch64-linux-gnu and qemu-user-static)
# make bench     ours against the originals, in one run (needs PYTHON)
# make train-demo  a ResNet-18 learns 60,000 real pictures of garments, in some minutes (needs Debian's dataset-fashion-mnist)
# make interop   the originals judge the command's output (needs PYTHON)
# make interop-slow  those of its tests that take minutes
# make mpi       the ranks of a real mpirun (needs Open MPI and a PYTHON with pytest)

SWIFT  ?= swift
PREFIX ?= /usr/local
# An environment as Tests/Interop/README.md describes it.
PYTHON ?= /tmp/reference/bin/python

STATIC := .build-static
WITH_MPI := .build-mpi
ADDRESSED := .build-address
THREADED := .build-thread
# Tests see what is internal, which another build is for: one folder for both would be built anew at every change of use.
TESTED := .build-test
# What run, docs and interop take: BUILD=.build-test is there after make test.
BUILD  := .build
MUTILS := $(BUILD)/release/mutils

.PHONY: run show build judged check test sanitize sanitize-kernels sanitize-commands sanitize-threads sanitize-memory lint docs interop interop-slow mpi fuzz portability bench train-demo install manual uninstall clean deps

run: build
	$(MAKE) show

show:
	$(MUTILS) info
	$(MUTILS) fuse
	$(MUTILS) prune --amount 0.3
	[ -e runs/shapes ] || $(MUTILS) dataset shapes runs/shapes --train 1 --val 4 --size 128 --seed 3
	$(MUTILS) detect runs/shapes/images/val -o runs/found --force

build: deps
ifneq ($(BUILD),$(TESTED))
	$(SWIFT) build -c release --scratch-path $(BUILD) --product mutils
endif

test: deps
	$(SWIFT) test -c release --scratch-path $(TESTED)
	$(MAKE) show BUILD=$(TESTED)
	$(SWIFT) run --package-path Tests/Consumer consumer

# The loop of a working day: a debug build, its tests, what a formatter says.
check: deps
	$(SWIFT) build --build-tests
	$(SWIFT) test --skip-build --parallel
	$(MAKE) lint

lint:
	$(SWIFT) format lint --strict --recursive Package.swift Sources Tests

docs: build
	SWIFT="$(SWIFT)" BUILD="$(BUILD)" Tests/Documentation/docs.sh

# What stands in for the library where Python judges it.
judged: build
ifneq ($(BUILD),$(TESTED))
	$(SWIFT) build -c release --scratch-path $(BUILD) --product interpret
	$(SWIFT) build -c release --scratch-path $(BUILD) --product rehearse
endif

interop: judged
	$(PYTHON) -m pip install -q --disable-pip-version-check -r Tests/Interop/requirements.txt
	$(PYTHON) -m pip install -q --disable-pip-version-check --no-deps -r Tests/Interop/requirements-originals.txt
	BUILD=$(abspath $(BUILD))/release $(PYTHON) -m pytest -q -n 2 Tests/Interop

# What is left out above for its time.
interop-slow: judged
	BUILD=$(abspath $(BUILD))/release $(PYTHON) -m pytest -q -n 2 -m slow Tests/Interop

mpi: deps
	$(SWIFT) build --traits MPI --scratch-path $(WITH_MPI) --product mutils
	$(SWIFT) build --traits MPI --scratch-path $(WITH_MPI) --product ranks
	$(PYTHON) -m pip install -q --disable-pip-version-check -r Tests/Interop/requirements.txt
	BUILD=$(abspath $(WITH_MPI))/debug $(PYTHON) -m pytest -q Tests/MPI

# The command's tests run it hundreds of times, which the sanitizers make slow; what it calls is tested without it. Leaks are not looked for: what
# is made once is kept. gold dies of what the sanitizers need. What MUTEX is for stands in it.
SANITIZED := -Xswiftc -use-ld=lld --skip ToolTests
CLANG := $(dir $(realpath $(shell command -v $(SWIFT))))clang
MUTEX := $(abspath $(THREADED))/mutex.so
UNDEFINED := -Xcc -fsanitize=undefined -Xcc -fno-sanitize-recover=undefined -Xcc -fno-sanitize=function
sanitize: deps sanitize-kernels $(MUTEX)
	ASAN_OPTIONS=detect_leaks=0 $(SWIFT) test -c release --sanitize=address $(UNDEFINED) $(SANITIZED) --scratch-path $(ADDRESSED)
	$(SWIFT) build -c release --build-tests --sanitize=thread -Xswiftc -enable-testing -Xswiftc -use-ld=lld --scratch-path $(THREADED)
	TSAN_OPTIONS=halt_on_error=1:suppressions=$(abspath Tests/Sanitizers/suppressions.txt) LD_PRELOAD=$(MUTEX) $(THREADED)/release/ModelUtilsPackageTests.xctest --testing-library swift-testing --skip ToolTests

$(MUTEX): Tests/Sanitizers/mutex.c
	mkdir -p $(THREADED)
	$(CLANG) -O1 -shared -fPIC $< -o $@

sanitize-kernels:
	SWIFT="$(SWIFT)" Tests/Sanitizers/kernels.sh

# Debug builds, but for C: kernels that are not made vectors would take most of the time.
sanitize-commands: sanitize-threads sanitize-memory

sanitize-threads: deps $(MUTEX)
	$(SWIFT) build --product mutils --sanitize=thread -Xcc -O2 -Xswiftc -use-ld=lld --scratch-path $(THREADED)
	Tests/Sanitizers/commands.sh $(THREADED)/debug/mutils $(MUTEX)

sanitize-memory: deps
	$(SWIFT) build --product mutils --sanitize=address $(UNDEFINED) -Xcc -O2 -Xswiftc -use-ld=lld --scratch-path $(ADDRESSED)
	Tests/Sanitizers/commands.sh $(ADDRESSED)/debug/mutils

MINUTES ?= 20
TARGETS ?= pickle checkpoint safetensors index onnx yaml pictures arrays labels graph
fuzz: deps
	SWIFT="$(SWIFT)" Tests/Fuzzing/fuzz.sh $(MINUTES) $(TARGETS)

portability:
	SWIFT="$(SWIFT)" Tests/Portability/portability.sh

bench: build
	$(SWIFT) build -c release --product benchmark
	$(SWIFT) build -c release --product pictures-benchmark
	$(SWIFT) build -c release --product interpret
	$(PYTHON) Tests/Benchmarks/bench.py

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
	$(SWIFT) build -c release --scratch-path $(BUILD) --product manual
	$(MUTILS) --experimental-dump-help | $(BUILD)/release/manual > Resources/mutils.1

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/mutils $(DESTDIR)$(PREFIX)/share/man/man1/mutils.1 \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions/mutils $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_mutils \
	  $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/mutils.fish

clean:
	rm -rf .build $(TESTED) $(STATIC) $(WITH_MPI) $(ADDRESSED) $(THREADED) .build-fuzz Tests/Consumer/.build

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
