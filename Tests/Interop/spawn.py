"""Runs commands for the suite from a small process, so that memory figures are the command's own.

One JSON object per line on stdin: argv, cwd, timeout (seconds), address_space (bytes, 0: unlimited), environment (variables to add).
One per line on stdout: code (negative: a signal), out, err, timed_out, peak (bytes), seconds.
A child of the test process itself would count that process's memory as its own.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time


def limits(address_space):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if address_space:
        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))


def run(argv, cwd, timeout, address_space, environment):
    started = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(
            argv,
            cwd=cwd,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            preexec_fn=lambda: limits(address_space),
        )
        timed_out = False
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            if not timed_out and time.monotonic() - started > timeout:
                timed_out = True
                os.kill(child.pid, signal.SIGKILL)
            time.sleep(0.002)
        child.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "replace"))
    return {
        "code": child.returncode,
        "out": texts[0],
        "err": texts[1],
        "timed_out": timed_out,
        "peak": usage.ru_maxrss * 1024,
        "seconds": time.monotonic() - started,
    }


def main():
    for line in sys.stdin:
        print(json.dumps(run(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
