"""Starting ranks and waiting for them. Needs a build with --traits MPI in the folder BUILD."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BUILD", REPOSITORY / ".build-mpi/debug")).absolute()
ABORTS = 30  # seconds: far more than mpirun takes to end its processes, far less than the default wait

needs_mpirun = pytest.mark.skipif(not shutil.which("mpirun"), reason="no mpirun")


def environment(**variables):
    names = ("OMPI_", "PMI", "SLURM_", "RANK", "LOCAL_RANK", "WORLD_SIZE")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(names)}
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return clean | root | {k: str(v) for k, v in variables.items()}


def start(count, *command, **variables):
    return subprocess.Popen(
        ["mpirun", "-n", str(count), "--oversubscribe", *map(str, command)],
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ends(process, within=ABORTS):
    """Its exit status and what it printed; it must end in time."""
    try:
        out, err = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail("it hangs")
    return process.returncode, out, err


def errors(text):
    return [line for line in text.splitlines() if line.startswith("mutils: error: ")]
