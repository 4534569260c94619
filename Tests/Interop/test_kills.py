"""A run that is killed, or refused something, at each call by which it changes a folder: the old file whole, or the new one."""

import shutil
from collections import Counter

import helpers
import numpy as np
import onnx
import pytest
import torch
import tracing
from helpers import mutils, report, same_bits
from PIL import Image
from safetensors.torch import load_file, save_file
from test_shards import contents
from torch import nn
from tracing import needs_strace

NAMES = "?rename,?renameat,?renameat2,?unlink,?unlinkat,?link,?linkat,write,pwrite64,ftruncate,fsync,?fallocate,?open,openat,?mkdir,?mkdirat"


class Saving:
    """A command that replaces what stands in a folder, and what tells the old from the new."""

    def __init__(self, folder, argv, output):
        self.folder, self.start, self.place = folder, folder / "start", folder / "place"
        self.argv, self.output = argv, output
        self.start.mkdir()

    def restore(self):
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.start, self.place)

    def value(self):
        """What stands there, as its own library reads it."""
        return self.read(self.place / self.output)

    @property
    def command(self):
        return [helpers.MUTILS, *self.argv]

    def run(self):
        return tracing.run(*self.command, cwd=self.place)

    def calls(self):
        """By which calls the command changes the folder."""
        self.restore()

        def changes(name, call):
            if name.startswith("open"):
                return "O_WRONLY" in call or "O_RDWR" in call
            return str(self.place) in call or name.startswith(("rename", "unlink", "link", "mkdir"))

        return tracing.calls(self.command, self.folder / "trace", NAMES, changes, cwd=self.place)

    def inject(self, name, number, what):
        self.restore()
        return tracing.injected(self.command, name, number, what, cwd=self.place)


def tensors_of(path):
    return load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)


def whole(path):
    return torch.load(path, weights_only=False).state_dict()


def weights_of_onnx(path):
    model = onnx.load(path)
    onnx.checker.check_model(model)
    return {tensor.name: torch.tensor(onnx.numpy_helper.to_array(tensor)) for tensor in model.graph.initializer}


def pixels(path):
    return {"pixels": torch.from_numpy(np.array(Image.open(path)))}


def same(a, b):
    return a.keys() == b.keys() and all(same_bits(a[name], b[name]) for name in a)


def saving(case, folder):
    """The folder as it begins, with the old output in it, and the command."""
    state = {f"layer{i}.weight": torch.randn(16, 8, 5, 5) for i in range(4)}
    if case in ("state.pt", "state.safetensors"):
        run = Saving(folder, ["prune", "in.pt", "--amount", "0.5", "-o", case, "--force"], case)
        torch.save(state, run.start / "in.pt")
        run.read = tensors_of
    elif case == "in place":
        run = Saving(folder, ["convert", "m.safetensors", "-o", "m.safetensors", "--dtype", "bfloat16", "--force"], "m.safetensors")
        save_file(state, run.start / "m.safetensors")
        run.read = tensors_of
        return run
    elif case == "whole module":
        run = Saving(folder, ["fuse", "in.pt", "-o", "out.pt", "--force"], "out.pt")
        torch.save(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3)).eval(), run.start / "in.pt")
        run.read = whole
    elif case == "average":
        run = Saving(folder, ["ema", "in.pt", "more.pt", "--variant", "swa", "-o", "out.safetensors", "--force"], "out.safetensors")
        torch.save(state, run.start / "in.pt")
        torch.save({name: tensor + 1 for name, tensor in state.items()}, run.start / "more.pt")
        run.read = tensors_of
    elif case.startswith("onnx"):
        beside = case.endswith("beside")
        argv = ["convert", "in.onnx", "--external-data", "--dtype", "float16"] if beside else ["fuse", "in.onnx"]
        run = Saving(folder, [*argv, "-o", "out.onnx", "--force"], "out.onnx")
        net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 16, 3)).eval()
        net[1].running_mean.normal_()
        torch.onnx.export(net, torch.rand(1, 3, 8, 8), run.start / "in.onnx", dynamo=False, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
        run.read = weights_of_onnx
        run.place.mkdir()
        shutil.copy(run.start / "in.onnx", run.place / "in.onnx")
        # The old output is another model's, in the same form.
        report("convert", run.place / "in.onnx", "-o", run.start / "out.onnx", *(["--external-data"] if beside else []))
        return run
    else:
        run = Saving(folder, ["scale", "in.png", "--ratio", "0.5", "-o", "out.png", "--force"], "out.png")
        noise = np.random.RandomState(0).randint(0, 255, (40, 48, 3), np.uint8)
        Image.fromarray(noise).save(run.start / "in.png")
        Image.fromarray(noise[::2]).save(run.start / "out.png")
        run.read = pixels
        return run
    shutil.copy(run.start / "in.pt", run.start / run.output if run.output.endswith(".pt") else folder / "unused")
    if not (run.start / run.output).exists():
        save_file(state, run.start / run.output)
    return run


CASES = ["state.pt", "state.safetensors", "in place", "whole module", "average", "onnx", "onnx, weights beside", "picture"]


@needs_strace
@pytest.mark.parametrize("what", ["signal=KILL", "error=EIO"])
@pytest.mark.parametrize("case", CASES)
def test_at_every_call(case, what, tmp_path):
    run = saving(case, tmp_path)
    run.restore()
    old, before = run.value(), contents(run.place)
    calls = run.calls()
    new = run.value()
    after = contents(run.place)
    assert not same(old, new) and len(calls) >= 4, calls
    found = Counter()
    for name, number in calls:
        result = run.inject(name, number, what)
        where = f"{name} {number}: {result.stderr}"
        value = run.value()
        assert same(value, old) or same(value, new), where
        found[same(value, new)] += 1
        if what == "error=EIO":
            assert result.returncode in (0, 1), where
            if result.returncode:
                assert result.stderr.startswith("mutils: error: ") and result.stderr.count("\n") == 1, where
                assert same(value, new) or contents(run.place) == before or name.startswith("unlink"), where
            else:
                assert same(value, new), where
        # The next run finds its way, and leaves nothing of the one that was ended.
        again = run.run()
        assert again.returncode == 0, again.stderr
        assert len(contents(run.place)) == len(after) and same(run.value(), new), where
    print(case, what, dict(found))
    assert found[False] >= 3


TRAINING = "--model mobilenet_v3_small --epochs 2 --batch-size 4 --image-size 32 --ema 0.9 --threads 1".split()


@needs_strace
@pytest.mark.parametrize("what", ["signal=KILL", pytest.param("error=EIO", marks=pytest.mark.slow)])
def test_training_at_its_calls(what, tmp_path):
    """A run that is killed while it writes its folder goes on to the very same files."""
    numbers = np.random.RandomState(0)
    np.savez(tmp_path / "set.npz", x_train=numbers.randint(0, 255, (8, 16, 16, 3), np.uint8), y_train=np.arange(8) % 2,
             x_test=numbers.randint(0, 255, (4, 16, 16, 3), np.uint8), y_test=np.arange(4) % 2)  # fmt: skip
    run = Saving(tmp_path, ["train", tmp_path / "set.npz", *TRAINING, "-o", "run"], "run/last.pt")
    calls = run.calls()
    expected = {name: (run.place / "run" / name).read_bytes() for name in ("last.pt", "best.pt")}
    assert len(calls) > 40
    found = Counter()
    for name, number in calls[:: max(1, len(calls) // 24)]:
        result = run.inject(name, number, what)
        last = run.place / "run/last.pt"
        if last.exists():
            assert "model" in torch.load(last, weights_only=True), f"{name} {number}"
        if result.returncode == 0:
            assert last.read_bytes() == expected["last.pt"]
            continue
        begun = last.exists()
        found[begun] += 1
        shutil.rmtree(run.place / "run", ignore_errors=True) if not begun else None
        arguments = ["--resume", run.place / "run"] if begun else [*TRAINING, "-o", run.place / "run"]
        again = mutils("train", tmp_path / "set.npz", *arguments)
        assert again.code == 0, f"{name} {number}: {again.err}"
        for file, bytes in expected.items():
            assert (run.place / "run" / file).read_bytes() == bytes, f"{name} {number}: {file}"
    print(dict(found))
    assert found[True] > 3
