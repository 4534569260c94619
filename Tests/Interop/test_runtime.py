"""devices, env and the progress of long runs, against YOLOv5's torch_utils where the CPU is enough."""

import json
import os
import pty
import re
import select
import shutil
import subprocess
import time

import nets
import pytest
import torch
from helpers import MUTILS, fails, mutils, report, succeeds

yolov5 = nets.import_yolov5()
torch_utils = yolov5.utils.torch_utils
general = yolov5.utils.general

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")


def theirs(device, batch_size=0):
    """(device, the line's end) of the original, or the kind of error."""
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    lines = []
    logger, torch_utils.LOGGER = torch_utils.LOGGER, type("Lines", (), {"info": staticmethod(lines.append)})
    try:
        chosen = torch_utils.select_device(device, batch_size)
        return str(chosen), lines[0].split("torch-")[1].split(" ", 1)[1]
    except AssertionError:
        return None
    finally:
        torch_utils.LOGGER = logger
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)
        if before is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = before


@pytest.mark.parametrize("device", ["cpu", "CPU", " cpu ", "", "none", "None"])
def test_cpu(device):
    chosen, line = theirs(device)
    ours = report("devices", "--device", device, "--batch-size", "3")
    assert ours["device"] == chosen == "cpu"
    assert succeeds("devices", "--device", device).out.split(" ", 2)[2] == line == "CPU\n"


@pytest.mark.parametrize("device", ["0", "cuda:0", "0,1", "7", "-1", "cuda", "x", "0,"])
def test_what_is_not_there(device):
    assert theirs(device) is None
    named = device.replace("cuda:", "").replace("cuda", "0")
    fails("devices", "--device=" + device, naming=f"device '{named}'")


def test_checkout(tmp_path):
    """env's git is what git_describe says of the checkout that the command was built in."""
    environment = report("env")
    build = next((p for p in MUTILS.resolve().parents if p.name == ".build" or p.name.startswith(".build-")), None)
    if build is None:
        assert environment["git"] == ""
    else:
        said = subprocess.run(
            ["git", "-C", build.parent, "describe", "--tags", "--long", "--always"], capture_output=True, text=True
        )
        assert environment["git"] == said.stdout.strip()
        if (build.parent / ".git").is_dir():
            assert environment["git"] == general.git_describe(build.parent)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/Los_Angeles", "Pacific/Kiritimati"])
@pytest.mark.parametrize("stamp", [1616760000, 951865200, 1702425599, 1000000000, 86400 * 3, 2147601600])
def test_date(tmp_path, stamp, zone, monkeypatch):
    """The date of the command's own file, in a copy that was changed at another time, seen from another place."""
    copy = tmp_path / "mutils"
    shutil.copyfile(MUTILS, copy)
    copy.chmod(0o755)
    os.utime(copy, (stamp, stamp))
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        expected = general.file_date(copy)
    finally:
        said = subprocess.run([copy, "env", "--json"], capture_output=True, text=True)
        monkeypatch.undo()
        time.tzset()
    assert json.loads(said.stdout)["date"] == expected
    assert json.loads(said.stdout)["git"] == ""


def test_machine():
    environment = report("env", "--threads", "3")
    assert environment["threads"] == 3
    assert environment["cores"] == os.cpu_count()
    assert environment["memory"] == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert os.uname().release in environment["kernel"]
    flags = next((line for line in open("/proc/cpuinfo") if line.startswith("flags")), "")
    assert (environment["simd"] == "avx512") == ("avx512_vbmi2" in flags and "avx512vl" in flags)
    assert succeeds("env").out.startswith("ModelUtils  " + environment["version"])


# --- progress ---------------------------------------------------------------------------------------------------------


def on_terminal(*arguments):
    """What is written to a terminal that is standard error."""
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        [MUTILS, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=secondary,
        env=os.environ | {"TERM": "xterm", "NO_COLOR": "1"},
    )
    os.close(secondary)
    text = b""
    while select.select([primary], [], [], 60)[0]:
        try:
            part = os.read(primary, 4096)
        except OSError:  # Linux says that the other end is closed
            break
        text += part
    os.close(primary)
    assert process.wait() == 0
    return text.decode()


def many_checkpoints(folder):
    torch.save({f"w{i}": torch.randn(500_000) for i in range(20)}, folder / "m.pt")
    return [folder / "m.pt"] * 101


def test_bar_of_updates(tmp_path):
    inputs = many_checkpoints(tmp_path)
    text = on_terminal("ema", *inputs, "-o", tmp_path / "ema.safetensors")
    drawings = re.findall(r"\r(\[#* *\]) (\d+)/100 checkpoints, [\d.e+]+/s", text)
    assert drawings and [int(d) for _, d in drawings] == sorted(int(d) for _, d in drawings)
    for bar, done in drawings:
        assert bar.count("#") == int(int(done) / 100 * (len(bar) - 2))
    # The note that nearly all is the last checkpoint stands where the bar was.
    assert text.split("\r\x1b[K")[-1].startswith("mutils: note: ")
    assert on_terminal("ema", *inputs, "-o", tmp_path / "ema.safetensors", "--force", "--quiet") == ""
    piped = succeeds("ema", *inputs, "-o", tmp_path / "ema.safetensors", "--force").err
    assert piped.startswith("mutils: note: 95.1 % of the average") and piped.count("\n") == 1


def test_bar_of_writing(tmp_path):
    torch.save({f"w{i}": torch.randn(10_000_000) for i in range(20)}, tmp_path / "large.pt")
    text = on_terminal("convert", tmp_path / "large.pt", "-o", tmp_path / "large.safetensors")
    assert re.search(r"\r\[#* *\] writing \d+ MB/800 MB, \d+ MB/s|\r\[#* *\] writing \d+ MB/800 MB, [\d.]+ GB/s", text)
    assert text.endswith("\r\x1b[K")


@pytest.mark.slow
def test_lines_elsewhere(tmp_path):
    """Not on a terminal a line every ten seconds."""
    torch.save({"w": torch.randn(10_000_000)}, tmp_path / "m")
    count, seconds = 100, 0
    while seconds < 12:
        began = time.monotonic()
        result = mutils("ema", *["m"] * count, "-o", "e.safetensors", "--force", cwd=tmp_path, timeout=300)
        seconds = time.monotonic() - began
        assert result.code == 0
        assert result.err == "" or seconds > 9
        final, count = count - 1, int(count * max(1.5, 14 / seconds))
    lines = result.err.splitlines()
    assert 1 <= len(lines) <= seconds / 10
    for line in lines:
        assert re.fullmatch(rf"mutils: \d+/{final} checkpoints, [\d.e+]+/s, [\d:]+( s)? left", line), line
