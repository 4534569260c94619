"""Measures mutils and its library against what people use today, and prints one table.

    python bench.py [--only GROUP ...] [--without GROUP ...] [--rounds N] [--threads N ...] [--json]

Run it with the Python that has the peers. Ours and theirs alternate. A group is measured by the module GROUP_bench.py, and left out
where a program or a peer that it needs is missing. `make bench` builds and runs it.
"""

import argparse
import importlib
import json
import os
import shutil
import sys
import tempfile
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

from processes import HERE, PROCESSORS, Failed, note, run
from table import render

BUILD = HERE.parents[1] / ".build/release"
PROGRAMS = {
    "mutils": "the command", "benchmark": "measures the library in memory", "pictures-benchmark": "measures it on pictures",
    "interpret": "takes its steps of training",
}  # fmt: skip
GROUPS = ("memory", "sizes", "processes", "large", "pictures", "engine", "onnx", "training", "detectors")


def missing(module, options):
    """The programs and packages that a group needs and that are not there."""
    programs = [str(path) for path in (getattr(options, name) for name in module.PROGRAMS) if not shutil.which(path)]
    return programs + [name for name in module.PEERS if find_spec(name) is None]


def measure(groups, options):
    """The rows of all groups, the names of the peers' packages, and whether all that was begun came to its end."""
    rows, peers, whole = [], [], True
    for group in groups:
        module = importlib.import_module(f"{group}_bench")
        if absent := missing(module, options):
            note(f"{group} is left out: {', '.join(absent)} missing")
            continue
        with tempfile.TemporaryDirectory(prefix=f"mutils-{group}-", dir=options.folder) as folder:
            try:
                found = module.rows(options, Path(folder))
            except (Failed, OSError) as reason:
                note(f"{group} is left out: {reason}")
                whole = False
                continue
        for row in found:
            row.group = group
        rows += found
        peers += module.PEERS
    return rows, peers, whole


def versions(peers):
    """The version of each package, by the name under which it is installed."""
    names = packages_distributions()
    return {name: version(name) for name in dict.fromkeys(names[peer][0] for peer in peers if peer in names)}


def machine(options):
    """What is measured on, as `mutils env` tells it."""
    known = {"cores": PROCESSORS}
    try:
        told = json.loads(run(options.mutils, "env", "--json").output)
        known = {name: told[name] for name in ("processor", "cores", "simd", "memory", "system", "kernel")}
    except (Failed, OSError, ValueError) as reason:
        note(f"the machine is not described: {reason}")
    return {**known, "loadBefore": os.getloadavg()[0]}


def positive(text):
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, what in PROGRAMS.items():
        parser.add_argument(f"--{name}", dest=name, type=Path, metavar="FILE", default=BUILD / name, help=what)
    parser.add_argument("--only", nargs="+", choices=GROUPS, metavar="GROUP", default=GROUPS, help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--without", nargs="+", choices=GROUPS, metavar="GROUP", default=(), help="leave these out")
    parser.add_argument("--rounds", type=positive, metavar="N", default=3, help="how often ours and the peers alternate; default: 3")
    parser.add_argument("--runs", type=positive, metavar="N", default=10, help="forward passes of each in a round; default: 10")
    parser.add_argument(
        "--threads", nargs="+", type=int, choices=range(1, PROCESSORS + 1), metavar="N", default=[1, 2][:PROCESSORS],
        help="the numbers of threads that compute; default: 1 2",
    )  # fmt: skip
    parser.add_argument("--photographs", type=positive, metavar="N", default=100, help="how many are looked at; default: 100")
    parser.add_argument("--large-gb", type=float, metavar="GB", default=10, help="the size of the large file; default: 10")
    parser.add_argument("--folder", type=Path, help="where models are made; default: a temporary folder")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()

    about = machine(options)
    rows, peers, whole = measure([group for group in GROUPS if group in options.only and group not in options.without], options)
    packages = versions(peers)
    if options.json:
        print(json.dumps({"machine": about, "versions": packages, "rows": [row.values() for row in rows]}, indent=1))
    else:
        notes = [*packages.items(), *((name, about[name]) for name in ("processor", "cores", "simd") if name in about)]
        print(render(rows))
        print()
        print(", ".join(f"{name} {value}" for name, value in notes) + f", load before {about['loadBefore']:.1f}")
    sys.exit(not whole)


if __name__ == "__main__":
    main()
