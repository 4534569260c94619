"""Runs commands and measures them: wall time, peak memory, and what of it is not file pages.

This module imports nothing large: on Linux a child's peak starts at its parent's.
"""

import os
import statistics
import subprocess
import time
from dataclasses import dataclass


@dataclass
class Run:
    seconds: float
    peak: int  # bytes, mapped file pages included
    private: int = 0  # bytes beyond file pages, where they were watched
    output: str = ""


def run(*argv, environment=None, watch=False, expected=0):
    """Runs a command at a quiet moment; it must exit as expected. `watch` polls its private memory 200 times a second."""
    wait_until_idle()
    start = time.perf_counter()
    child = subprocess.Popen([str(a) for a in argv], stdout=subprocess.PIPE, env={**os.environ, **(environment or {})})
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
    if child.returncode != expected:
        raise SystemExit(f"exit {child.returncode}: {' '.join(map(str, argv))}")
    return Run(seconds, usage.ru_maxrss * 1024, private, output)


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
    """One run with the median time, and the highest memory of all."""
    return Run(
        statistics.median(r.seconds for r in runs), max(r.peak for r in runs), max(r.private for r in runs),
        runs[-1].output,
    )
