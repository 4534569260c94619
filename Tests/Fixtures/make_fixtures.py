#!/usr/bin/env python3
"""Makes the files in this folder that the Swift tests read, and beside each the JSON that says what it holds.

    PYTHON Tests/Fixtures/make_fixtures.py [FOLDER]

PYTHON has torch, numpy, safetensors and the `yolov5` package. Deterministic: two runs with the same versions
write the same bytes, but for the storage keys of the two legacy files, which are memory addresses. README.md is
a table of what each file is; the fixtures_*.py beside this one make them.
"""

import pathlib
import sys

from fixtures_modules import training_checkpoint, whole_modules, yolov5
from fixtures_pickles import legacy, nested, protocols, unsafe
from fixtures_safetensors import safetensors, sharded
from fixtures_tensors import big_endian, dtypes, storages, torchscript

HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 60_000


def main():
    to = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    to.mkdir(parents=True, exist_ok=True)
    for make in (
        whole_modules,
        yolov5,
        training_checkpoint,
        protocols,
        legacy,
        nested,
        dtypes,
        storages,
        big_endian,
        torchscript,
        safetensors,
        sharded,
        unsafe,
    ):
        make(to)
    files = [p for p in to.rglob("*") if p.is_file() and p.suffix not in (".py", ".md", ".pyc")]
    for path in files:
        if path.stat().st_size > LIMIT:
            print(f"too large: {path.relative_to(to)}: {path.stat().st_size}")
    print(f"{len(files)} files, {sum(p.stat().st_size for p in files)} bytes")


if __name__ == "__main__":
    main()
