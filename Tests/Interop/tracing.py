"""What a command asks of the system, and what becomes of it where one of its calls ends it or is refused (strace)."""

import shutil
import subprocess
from collections import Counter

import pytest

needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None or subprocess.run(["strace", "true"], capture_output=True).returncode != 0,
    reason="needs strace, and the right to use it",
)


def run(*command, cwd=None):
    return subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True)


def calls(command, trace, names, concerns, cwd=None):
    """Of the calls of these names those that `concerns` a test, by name and line: each with its number in its thread."""
    result = run("strace", "-f", "-y", "-s", "4096", "-o", trace, "-e", f"trace={names}", *command, cwd=cwd)
    assert result.returncode == 0, result.stderr
    counts, found = Counter(), []
    for line in trace.read_text().splitlines():
        thread, call = line.split(maxsplit=1)
        name = call.split("(")[0]
        if not name.isidentifier():
            continue
        counts[thread, name] += 1
        if concerns(name, call):
            found.append((name, counts[thread, name]))
    return found


def injected(command, name, number, what, cwd=None):
    """Runs the command, to which `what` happens at a call."""
    options = ["-f", "-o", "/dev/null", "-e", f"trace={name}", "-e", f"inject={name}:{what}:when={number}"]
    return run("strace", *options, *command, cwd=cwd)
