"""Runs commands and measures them: wall time, processor time, peak memory, and what of it is not file pages.

This module imports nothing large: on Linux a child's peak starts at its parent's.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = sys.executable
PROCESSORS = os.cpu_count()
# YOLOv5's classes are unpickled, its own loader asks for this.
LOADING = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1", "PYTHONWARNINGS": "ignore"}
# Nobody spins.
QUIET = {**LOADING, "OMP_WAIT_POLICY": "passive"}


class Failed(Exception):
    """What cannot be measured, in one line."""


@dataclass
class Run:
    seconds: float
    worked: float  # seconds of all processors
    peak: int  # bytes, mapped file pages included
    private: int = 0  # bytes beyond file pages, where they were watched
    output: str = ""


def note(text):
    print(text, file=sys.stderr, flush=True)


def turns(options, title):
    """The rounds in which ours and the peers alternate."""
    for number in range(options.rounds):
        note(f"{title}: round {number + 1} of {options.rounds}")
        yield number


def run(*argv, environment=None, watch=False, expected=0, processors=None):
    """Runs a command at a quiet moment; it must exit as expected.

    `watch` polls its private memory 200 times a second; `processors` is how many of them it may use.
    """
    wait_until_idle()
    errors = tempfile.TemporaryFile()
    start = time.perf_counter()
    child = subprocess.Popen(
        [str(a) for a in argv], stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **(environment or {})},
        preexec_fn=partial(keep_to, processors) if processors else None,
    )  # fmt: skip
    private = 0
    if watch:
        while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            private = max(private, private_memory(child.pid))
            time.sleep(0.005)
    output = child.stdout.read().decode()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    child.stdout.close()
    with errors:
        errors.seek(0)
        if child.returncode != expected:
            said = errors.read().decode(errors="replace").split("\n")
            reason = next((line.strip() for line in reversed(said) if line.strip()), "it says nothing")
            raise Failed(f"exit {child.returncode}: {' '.join(map(str, argv))[:200]}: {reason}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, private, output)


def printed_seconds(*argv, **options):
    """The numbers that a command prints, one a line."""
    return [float(line) for line in run(*argv, **options).output.splitlines() if line[:1].isdigit()]


def keep_to(processors):
    """Keeps a process to the first of its processors, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:processors])


def wait_until_idle(limit=5):
    """Waits until the processors do nothing for a quarter of a second, at most `limit` seconds; only where /proc tells."""
    end = time.monotonic() + limit
    busy = busy_time()
    while busy is not None and time.monotonic() < end:
        time.sleep(0.25)
        before, busy = busy, busy_time()
        if busy - before <= 3:
            return


def busy_time():
    """The time that all processors have worked, in hundredths of a second."""
    try:
        with open("/proc/stat") as file:
            return sum(int(value) for value in file.readline().split()[1:4])
    except OSError:
        return None


def private_memory(pid):
    """Resident bytes that are no file's pages."""
    try:
        with open(f"/proc/{pid}/status") as status:
            lines = dict(line.split(":", 1) for line in status)
    except OSError:
        return 0
    return sum(int(lines[name].split()[0]) for name in ("RssAnon", "RssShmem") if name in lines) * 1024


def median(runs):
    """One run with the median times, and the highest memory of all."""
    return Run(
        statistics.median(r.seconds for r in runs), statistics.median(r.worked for r in runs), max(r.peak for r in runs),
        max(r.private for r in runs), runs[-1].output,
    )  # fmt: skip
