"""check: verdicts as picklescan's, and better where it is known to be fooled; broken numbers as torch sees them."""

import io
import json
import pickle
import zipfile

import nets
import pytest
import torch
from helpers import FIXTURES, mutils
from hostile_archives import archive
from hostile_pickles import PROTO, STOP, call, dict_of, name, tensor, text, tuple_of
from picklescan.scanner import scan_file_path
from torch import nn

yolov5 = nets.import_yolov5()


def check(path):
    result = mutils("check", path, "--json")
    answer = json.loads(result.out)
    unsafe = any(f["severity"] in ("dangerous", "broken") for f in answer["findings"])
    assert result.code == (1 if unsafe else 0), result.err
    return answer


def picklescan(path):
    result = scan_file_path(str(path))
    return "dangerous" if result.issues_count else "other"


def payload(module, function, *arguments):
    return call(name(module, function), *(arguments or (text("true"),)))


def state(extra=b""):
    return PROTO + dict_of(weight=tensor()) + extra + STOP


DANGEROUS = {
    "os": ("os", "system"),
    "posix": ("posix", "system"),
    "subprocess": ("subprocess", "Popen"),
    "eval": ("builtins", "eval"),
    "exec": ("__builtin__", "exec"),
    "getattr": ("builtins", "getattr"),
    "import": ("builtins", "__import__"),
    "runpy": ("runpy", "_run_code"),
    "operator": ("operator", "attrgetter"),
    "pickle": ("pickle", "loads"),
    "webbrowser": ("webbrowser", "open"),
    "numpy": ("numpy.testing._private.utils", "runstring"),
    "torch": ("torch.serialization", "load"),
    "pip": ("pip", "main"),
    "pydoc": ("pydoc", "pipepager"),
    "uuid": ("uuid", "_get_command_stdout"),
    "types": ("types", "CodeType"),
}


@pytest.mark.parametrize("kind", DANGEROUS)
def test_dangerous_like_picklescan(tmp_path, kind):
    path = tmp_path / "m.pt"
    path.write_bytes(archive(PROTO + dict_of(weight=tensor(), x=payload(*DANGEROUS[kind])) + STOP))
    answer = check(path)
    assert answer["verdict"] == "dangerous"
    (finding,) = [f for f in answer["findings"] if f["severity"] == "dangerous"]
    assert finding["where"] == "archive/data.pkl" and ".".join(DANGEROUS[kind]) in finding["what"]
    if kind != "import":  # which it does not know
        assert picklescan(path) == "dangerous"


# What gets past scanners: by place, by order, by spelling.
FOOLING = {
    "thrown away": archive(PROTO + payload("os", "system") + b"0" + dict_of(weight=tensor()) + STOP),
    "before the error": archive(PROTO + payload("os", "system") + b"\xff"),
    "truncated": archive(PROTO + payload("os", "system") + b"0"),
    "second pickle": archive(state() + PROTO + payload("os", "system") + STOP),
    "other member": archive(state(), extra=[("archive/extra", PROTO + payload("os", "system") + STOP)]),
    "other member, no extension": archive(state(), extra=[("x", b"cos\nsystem\n(S'true'\ntR.")]),
    "in a storage": archive(state(), storages=[("0", PROTO + payload("os", "system") + STOP)]),
    "bdist": archive(state(payload("bdb", "Bdb.run") + b"0")),
    "through another module": archive(state(payload("torch.serialization", "os.system") + b"0")),
    "through a class": archive(state(payload("collections", "OrderedDict.__init__.__globals__") + b"0")),
    "instance opcode": archive(state(b"(S'true'\nios\nsystem\n0")),
    "object opcode": archive(state(b"(cos\nsystem\nS'true'\no0")),
    "stack global": archive(state(text("os") + text("system") + b"\x93" + tuple_of(text("true")) + b"R0")),
    "new object": archive(state(b"csubprocess\nPopen\n" + tuple_of(text("true")) + b"\x810")),
    "plain pickle": b"cos\nsystem\n(S'true'\ntR.",
    "getattr on a module": archive(state(call(name("builtins", "getattr"), name("os", "x"), text("system")) + b"0")),
    "torch.load": archive(state(payload("torch", "load") + b"0")),
    "io.open": archive(state(payload("_io", "open") + b"0")),
    "importlib": archive(state(payload("importlib", "import_module") + b"0")),
    "tempfile": archive(state(payload("tempfile", "mktemp") + b"0")),
}


@pytest.mark.parametrize("kind", FOOLING)
def test_not_fooled(tmp_path, kind):
    path = tmp_path / "m.pt"
    path.write_bytes(FOOLING[kind])
    answer = check(path)
    assert answer["verdict"] == "dangerous", answer


def saved(value, **options):
    out = io.BytesIO()
    torch.save(value, out, **options)
    return out.getvalue()


@pytest.mark.parametrize("legacy", [False, True])
def test_safe(tmp_path, legacy):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    for value in (model.state_dict(), model, {"state_dict": model.state_dict(), "epoch": 3}):
        (tmp_path / "m.pt").write_bytes(saved(value, _use_new_zipfile_serialization=not legacy))
        answer = check(tmp_path / "m.pt")
        assert answer["verdict"] == "safe" and picklescan(tmp_path / "m.pt") == "other"


def test_yolov5(tmp_path):
    """Fused by its own fuse() or by ours it is not dangerous, though picklescan says so of getattr."""
    for fixture in ("yolov5_tiny.pt", "yolov5_tiny_fused.pt", "training_checkpoint.pt"):
        answer = check(FIXTURES / fixture)
        assert answer["verdict"] == "suspicious"
        assert all("models." in f["what"] for f in answer["findings"] if f["severity"] == "suspicious")
    assert picklescan(FIXTURES / "yolov5_tiny_fused.pt") == "dangerous"
    assert mutils("fuse", FIXTURES / "yolov5_tiny.pt", "-o", tmp_path / "ours.pt").code == 0
    answer = check(tmp_path / "ours.pt")
    assert answer["verdict"] == "suspicious"
    assert any("forward_fuse" in f["what"] and f["severity"] == "info" for f in answer["findings"])


@pytest.mark.parametrize("name", ["unsafe_system.pt", "unsafe_eval.pt"])
def test_unsafe_fixtures(name):
    assert check(FIXTURES / name)["verdict"] == "dangerous" == picklescan(FIXTURES / name)


def test_trailing_bytes_and_hidden_pickle(tmp_path):
    path = tmp_path / "m.pt"
    path.write_bytes(archive(state() + b"nothing"))
    answer = check(path)
    assert answer["verdict"] == "suspicious" and any("7 bytes follow" in f["what"] for f in answer["findings"])
    hidden = pickle.dumps(torch.Size([1]), 2)
    path.write_bytes(archive(state(), extra=[("archive/x.bin", hidden)]))
    answer = check(path)
    assert answer["verdict"] == "suspicious" and {f["where"] for f in answer["findings"]} == {"archive/x.bin"}


def test_torchscript():
    assert check(FIXTURES / "torchscript.pt")["verdict"] == "safe"


def test_numbers(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, eps=1e-3), nn.Conv2d(8, 8, 3), nn.Linear(4, 4))
    torch.save(model, tmp_path / "m.pt")
    (finding,) = check(tmp_path / "m.pt")["findings"]
    assert finding["severity"] == "info" and finding["where"] == "1" and "0.001" in finding["what"]
    with torch.no_grad():
        model[0].weight[2] = 0
        model[0].bias[0], model[0].bias[1], model[0].bias[2] = float("nan"), float("inf"), -float("inf")
        model[1].running_var[0], model[1].running_var[1] = -1, 0
        model[2].bias[0], model[2].bias[1], model[2].bias[2] = 65520, 65519.99, -1e30
        model[3].bias[0], model[3].bias[1] = 2**-25, 2**-25 * (1 + 2**-23)
    torch.save(model.state_dict(), tmp_path / "s.pt")
    findings = {(f["severity"], f["where"], f["what"]) for f in check(tmp_path / "s.pt")["findings"]}
    assert findings == {
        ("broken", "0.bias", "1 of 8 elements are NaN"),
        ("broken", "0.bias", "2 of 8 elements are infinite"),
        ("broken", "1.running_var", "1 running variances are negative"),
        ("warning", "0.weight", "1 of 8 channels are dead: all their weights are zero"),
        ("warning", "1.running_var", "1 running variances are zero"),
        ("warning", "2.bias", "2 elements would become infinite in float16"),
        ("info", "3.bias", "1 elements would become zero in float16"),
    }
    # As torch converts.
    half = {k: v.half() for k, v in model.state_dict().items() if v.is_floating_point()}
    assert half["2.bias"].isinf().sum() == 2
    assert ((half["3.bias"] == 0) & (model[3].bias != 0)).sum() == 1


def test_not_a_checkpoint(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as z:
        z.writestr("readme", "hello")
    result = mutils("check", tmp_path / "m.pt")
    assert result.code == 2 and result.err.startswith("mutils: error: ")
