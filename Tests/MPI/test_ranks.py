"""zero-first and withRankZeroFirst under a real mpirun. Needs a build with --traits MPI in the folder BUILD."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from launching import ABORTS, BUILD, ends, environment, errors, needs_mpirun, start

pytestmark = needs_mpirun

def zero_first(count, script, *options, **variables):
    return ends(start(count, BUILD / "mutils", "zero-first", *options, "--", "sh", "-c", script, **variables))


def alive(marker):
    """Processes whose command line holds `marker`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and marker in (entry / "cmdline").read_bytes().decode(errors="replace"):
                found.append(int(entry.name))
        except OSError:
            pass
    return [pid for pid in found if pid != os.getpid()]


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_zero_goes_first(tmp_path, count):
    rank = "$OMPI_COMM_WORLD_RANK"
    script = f"echo {rank} starts >> $LOG; [ {rank} != 0 ] || sleep 1; echo {rank} ends >> $LOG"
    status, out, err = zero_first(count, script, LOG=tmp_path / "log")
    assert status == 0 and err == ""
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[:2] == ["0 starts", "0 ends"]
    assert sorted(lines) == sorted(f"{rank} {what}" for rank in range(count) for what in ("starts", "ends"))


def test_streams_and_arguments():
    status, out, err = zero_first(2, 'echo out "$0"; echo err >&2')
    assert status == 0 and out == "out sh\n" * 2 and err == "err\n" * 2


FAILURES = [("exit 5", 5), ("exit 255", 255), ("kill -9 $$", 137), ("kill -15 $$", 143), ("nosuchcommand", 127)]


@pytest.mark.parametrize("script, expected", FAILURES)
def test_first_fails(tmp_path, script, expected):
    """Every rank ends with the status of the one that goes first; the others do not run."""
    guarded = f"if [ $OMPI_COMM_WORLD_RANK = 0 ]; then {script}; else touch {tmp_path}/ran; fi"
    wrapper = f"{BUILD}/mutils zero-first -- sh -c '{guarded}'; echo $? > {tmp_path}/$OMPI_COMM_WORLD_RANK; exit 0"
    status, out, err = ends(start(4, "sh", "-c", wrapper))
    assert [int((tmp_path / str(rank)).read_text()) for rank in range(4)] == [expected] * 4
    lines = [f"rank {r}: sh is not run: it ended with status {expected} on a rank that goes first" for r in (1, 2, 3)]
    assert sorted(errors(err)) == [f"mutils: error: {line}" for line in lines]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("script, expected", FAILURES)
def test_status_of_the_run(script, expected):
    assert zero_first(4, script)[0] == expected


def test_command_that_is_not_there(tmp_path):
    process = start(2, BUILD / "mutils", "zero-first", "--", tmp_path / "none")
    status, out, err = ends(process)
    assert status == 127 and out == "" and any("cannot be run: No such file or directory" in e for e in errors(err))


def test_other_fails():
    script = "[ $OMPI_COMM_WORLD_RANK != 2 ] || exit 7"
    status, out, err = zero_first(4, script)
    assert status == 7 and errors(err) == []


@pytest.mark.parametrize("victim", [0, 3])
def test_killed_rank(tmp_path, victim):
    """A rank that is killed while the first one works ends the run, the command included."""
    marker = f"600.{os.getpid()}{victim}"
    script = f"echo $PPID > {tmp_path}/$OMPI_COMM_WORLD_RANK; exec sleep {marker}"
    process = start(4, BUILD / "mutils", "zero-first", "--", "sh", "-c", script)
    deadline = time.monotonic() + 20
    while not (tmp_path / "0").exists() or not (tmp_path / "0").read_text().strip():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ranks = {}
    for pid in alive(marker):
        try:
            entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
            program = Path(f"/proc/{pid}/exe").resolve().name
        except OSError:
            continue
        if program == "mutils":
            ranks[int(dict(e.split("=", 1) for e in entries if "=" in e)["OMPI_COMM_WORLD_RANK"])] = pid
    assert sorted(ranks) == [0, 1, 2, 3]
    os.kill(ranks[victim], signal.SIGKILL)
    status, out, err = ends(process)
    assert status == 137
    deadline = time.monotonic() + 10
    while alive(marker) and victim != 0:
        assert time.monotonic() < deadline, "the command goes on"
        time.sleep(0.05)
    for pid in alive(marker):
        os.kill(pid, signal.SIGKILL)


def test_stopped_first_rank():
    """A first rank that neither ends nor comes: the others give up."""
    began = time.monotonic()
    script = "[ $OMPI_COMM_WORLD_RANK != 0 ] || exec sleep 600"
    status, out, err = zero_first(4, script, "--timeout", "2")
    assert status == 1 and time.monotonic() - began < ABORTS
    assert errors(err) and all("has waited for the others in vain, for 2 seconds" in e for e in errors(err))


def test_interrupt_reaches_the_command(tmp_path):
    script = f"trap 'touch {tmp_path}/told; exit 3' TERM; touch {tmp_path}/ready; while :; do sleep 0.05; done"
    process = start(2, BUILD / "mutils", "zero-first", "--", "sh", "-c", script)
    deadline = time.monotonic() + 20
    while not (tmp_path / "ready").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    status, out, err = ends(process)
    assert status != 0 and (tmp_path / "told").exists()


# --- no rank takes itself to be alone ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "variables",
    [
        {"RANK": 0, "WORLD_SIZE": 4, "LOCAL_RANK": 0},
        {"RANK": 3, "WORLD_SIZE": 4, "LOCAL_RANK": 1},
        {"OMPI_COMM_WORLD_RANK": 0, "OMPI_COMM_WORLD_SIZE": 2, "OMPI_COMM_WORLD_LOCAL_RANK": 0},
        {"PMI_RANK": 1, "PMI_SIZE": 2, "MPI_LOCALRANKID": 1},
        {"SLURM_PROCID": 0, "SLURM_STEP_NUM_TASKS": 2, "SLURM_LOCALID": 0},
    ],
)
def test_others_without_mpi(variables):
    result = subprocess.run(
        [BUILD / "mutils", "zero-first", "--", "echo", "ran"],
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=ABORTS,
    )
    assert result.returncode == 1 and result.stdout == ""
    assert len(errors(result.stderr)) == 1 and "launch it with the mpirun" in result.stderr


def test_torchrun_within_mpirun():
    """Where both say the same, MPI serves; else no rank runs."""
    agreeing = f"RANK=$OMPI_COMM_WORLD_RANK WORLD_SIZE=$OMPI_COMM_WORLD_SIZE exec {BUILD}/mutils zero-first -- echo ran"
    status, out, err = ends(start(2, "sh", "-c", agreeing))
    assert status == 0 and out == "ran\nran\n"
    status, out, err = ends(start(2, BUILD / "mutils", "zero-first", "--", "echo", "ran", RANK=0, WORLD_SIZE=8))
    assert status == 1 and out == "" and "Open MPI says" in err


# --- the library ----------------------------------------------------------------------------------------------------


def ranks(*arguments, count=4):
    return ends(start(count, BUILD / "ranks", *arguments))


def test_library():
    status, out, err = ranks("well")
    assert status == 0
    lines = out.splitlines()
    assert sorted(lines) == sorted(f"rank {r} of 4, local {r}, round {n}" for r in range(4) for n in range(3))
    for n in range(3):
        of_round = [line for line in lines if line.endswith(f"round {n}")]
        assert of_round[0].startswith("rank 0 ")


def test_library_throws():
    status, out, err = ranks("throws")
    assert status in (1, 3)
    # Which rank's lines come first is mpirun's affair.
    assert out.count("round") == 1 and any(line.startswith("rank 0 ") for line in out.splitlines())
    assert "fault\n" in out or "does not run: the rank that goes first has failed" in out


@pytest.mark.parametrize("manner, expected", [("exits", 9), ("dies", 137)])
def test_library_ends(manner, expected):
    status, out, err = ranks(manner)
    assert status == expected and out.count("round") == 1


def test_library_hangs():
    status, out, err = ranks("hangs", "2")
    assert status == 1 and out.count("round") == 1 and "waited for the others in vain, for 2 seconds" in out
