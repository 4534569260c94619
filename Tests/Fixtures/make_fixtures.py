#!/usr/bin/env python3
"""Makes the files in this folder that the Swift tests read, and beside each the JSON that says what it holds.

    PYTHON Tests/Fixtures/make_fixtures.py [FOLDER]

PYTHON has torch, numpy, safetensors and the `yolov5` package. Deterministic: two runs with the same versions
write the same bytes, but for the storage keys of the two legacy files, which are memory addresses. README.md is
a table of what each file is.
"""

import copy
import io
import json
import pathlib
import pickle
import struct
import sys
from collections import OrderedDict

import golden
import nets
import numpy as np
import torch
from safetensors.torch import save_file, save_model
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 60_000


def small_state(seed=0):
    g = torch.Generator().manual_seed(seed)
    return OrderedDict(
        [
            ("conv.weight", torch.randn(4, 3, 3, 3, generator=g)),
            ("conv.bias", torch.randn(4, generator=g)),
            ("bn.weight", torch.rand(4, generator=g) + 0.5),
            ("bn.bias", torch.randn(4, generator=g)),
            ("bn.running_mean", torch.randn(4, generator=g)),
            ("bn.running_var", torch.rand(4, generator=g) + 0.5),
            ("bn.num_batches_tracked", torch.tensor(17)),
        ]
    )


# --- pickles ----------------------------------------------------------------------------------------------------


def whole_modules(to):
    net = nets.conv_bn_small().eval()
    torch.save(net, to / "conv_bn_small.pt")
    fuse = {
        "fused": [{"conv": c, "bn": b} for c, b in nets.CONV_BN_SMALL_PAIRS],
        "tensors": golden.tensor_records(nets.fused_pairs(net, nets.CONV_BN_SMALL_PAIRS)),
    }
    thin = nets.pruned(net, 0.3)
    prune = {
        "amount": 0.3,
        "sparsity": nets.sparsity(thin),
        "tensors": golden.tensor_records(
            {f"{n}.weight": m.weight for n, m in thin.named_modules() if isinstance(m, nn.Conv2d)}
        ),
    }
    golden.write(
        to / "conv_bn_small.pt",
        "a whole nn.Sequential; every conv or linear is followed by its batch norm",
        net.state_dict(),
        counts=golden.counts(net),
        fuse=fuse,
        prune=prune,
    )

    for name, trap in nets.traps().items():
        path = to / f"trap_{name}.pt"
        torch.save(trap, path)
        golden.write(
            path, "nothing in it may be fused", trap.state_dict(), counts=golden.counts(trap), fuse={"fused": []}
        )


def yolov5(to):
    for file, net in (("yolov5_blocks.pt", nets.yolov5_blocks()), ("yolov5_tiny.pt", nets.yolov5_tiny())):
        fused = nets.yolov5_fused(net)
        with nets.RepositoryNames():
            torch.save(net, to / file)
            torch.save(fused, to / file.replace(".pt", "_fused.pt"))
        pairs = nets.conv_bn_pairs(net)
        golden.write(
            to / file,
            "YOLOv5 blocks, pickled under the names of YOLOv5's own repository",
            net.state_dict(),
            counts=golden.counts(net),
            fuse={
                "fused": [{"conv": c, "bn": b} for c, b in pairs],
                "tensors": golden.tensor_records(nets.fused_pairs(net, pairs)),
                "counts": golden.counts(fused),
                "names": list(fused.state_dict()),
            },
        )
        golden.write(
            to / file.replace(".pt", "_fused.pt"),
            "the same after YOLOv5's own fuse(): forward is the bound forward_fuse",
            fused.state_dict(),
            counts=golden.counts(fused),
            fuse={"fused": []},
        )


def training_checkpoint(to):
    """A checkpoint in the middle of training: two half models, an optimizer with state, odd companions."""
    import_path = to / "training_checkpoint.pt"
    net = nets.yolov5_tiny(7).train()
    average = copy.deepcopy(net).eval()
    with torch.no_grad():
        for p in average.parameters():
            p.requires_grad_(False)
            p.mul_(0.98)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    g = torch.Generator().manual_seed(8)
    for p in net.parameters():
        p.grad = torch.randn(p.shape, generator=g)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    checkpoint = {
        "epoch": 11,
        "best_fitness": np.array([0.5]),
        "model": copy.deepcopy(net).half(),
        "ema": copy.deepcopy(average).half(),
        "updates": 345,
        "optimizer": optimizer.state_dict(),
        "opt": {"epochs": 12, "imgsz": 64, "save_dir": pathlib.PurePosixPath("runs/exp")},
        "date": "2022-11-22T12:00:00",
    }
    with nets.RepositoryNames():
        torch.save(checkpoint, import_path)
    ema = checkpoint["ema"]
    pairs = nets.conv_bn_pairs(ema)
    golden.write(
        import_path,
        "a training checkpoint as YOLOv5 writes it: float16 model and ema, optimizer, options; reports speak of ema",
        ema.state_dict(),
        counts=golden.counts(ema),
        model={
            "counts": golden.counts(checkpoint["model"]),
            "tensors": golden.tensor_records(checkpoint["model"].state_dict()),
        },
        fuse={
            "fused": [{"conv": c, "bn": b} for c, b in pairs],
            "tensors": golden.tensor_records(nets.fused_pairs(copy.deepcopy(ema).float(), pairs)),
        },
    )


class OldStylePickler(pickle._Pickler):
    """Writes the text opcodes of protocol 0, but persistent ids as protocol 1 does: text ones cannot be tuples."""

    def __init__(self, file, protocol=0):
        super().__init__(file, 0)

    def save_pers(self, pid):
        self.save(pid, save_persistent_id=False)
        self.write(pickle.BINPERSID)


class OldStyle:
    """The pickle module as torch.save sees it."""

    Pickler = OldStylePickler
    dump = staticmethod(pickle.dump)
    HIGHEST_PROTOCOL = pickle.HIGHEST_PROTOCOL


def protocols(to):
    for protocol in range(6):
        state = small_state(protocol)
        path = to / f"protocol{protocol}.pt"
        torch.save(state, path, pickle_module=OldStyle if protocol == 0 else pickle, pickle_protocol=protocol)
        golden.write(path, f"a state dict in pickle protocol {protocol}", state)


def legacy(to):
    state = small_state(10)
    state["tied"] = state["conv.bias"]
    state["turned"] = state["conv.weight"].permute(3, 0, 1, 2)
    torch.save(state, to / "legacy.pt", _use_new_zipfile_serialization=False)
    golden.write(to / "legacy.pt", "a state dict in the format before 1.6, with a tied and a transposed tensor", state)

    torch.manual_seed(11)
    net = nets.lively(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), 11).eval()
    # The old format stores the source text of every class; a line will do.
    inspect, serialization = "get_source_lines_and_file", torch.serialization
    original = getattr(serialization, inspect)
    setattr(serialization, inspect, lambda c, *_: ([f"class {c.__name__}: ...\n"], 1, f"{c.__name__}.py"))
    torch.save(net, to / "legacy_module.pt", _use_new_zipfile_serialization=False)
    setattr(serialization, inspect, original)
    golden.write(
        to / "legacy_module.pt",
        "a whole module in the format before 1.6",
        net.state_dict(),
        counts=golden.counts(net),
        fuse={
            "fused": [{"conv": "0", "bn": "1"}],
            "tensors": golden.tensor_records(nets.fused_pairs(net, [("0", "1")])),
        },
    )


def nested(to):
    state = small_state(12)
    for file, key, prefix in (
        ("nested_state_dict.pt", "state_dict", "module."),
        ("nested_model_state_dict.pt", "model_state_dict", ""),
        ("nested_net.pt", "net", "_orig_mod."),
    ):
        inner = OrderedDict((prefix + k, v) for k, v in state.items())
        torch.save({"epoch": 3, "arch": "none", key: inner, "optimizer": {"state": {}, "param_groups": []}}, to / file)
        golden.write(to / file, f"a state dict under '{key}', prefix '{prefix}'", inner, key=key)


# --- tensors ----------------------------------------------------------------------------------------------------

DTYPES = (
    "float64 float32 float16 bfloat16 float8_e4m3fn float8_e5m2 "
    "int64 int32 int16 int8 uint64 uint32 uint16 uint8 bool complex64"
).split()


def of_every_dtype(shape=(2, 3)):
    g = torch.Generator().manual_seed(20)
    result = {}
    for name in DTYPES:
        dtype = getattr(torch, name)
        if name == "complex64":
            values = torch.view_as_complex(torch.randn(*shape, 2, generator=g))
        elif name == "bool":
            values = torch.rand(shape, generator=g) < 0.5
        elif "int" in name:
            low = 0 if name.startswith("u") else -100
            values = torch.randint(low, 100, shape, generator=g)
        else:
            values = torch.randn(shape, generator=g, dtype=torch.float64)
        result[name] = values.to(dtype)
    return result


def dtypes(to):
    tensors = of_every_dtype()
    torch.save(tensors, to / "dtypes.pt")
    golden.write(to / "dtypes.pt", "a tensor of every dtype", tensors)
    save_file(tensors, to / "dtypes.safetensors", metadata={"format": "pt"})
    golden.write(to / "dtypes.safetensors", "a tensor of every dtype", tensors, metadata={"format": "pt"})
    float8 = {k: v for k, v in tensors.items() if k.startswith("float8")}
    torch.save(float8, to / "float8.pt")
    golden.write(to / "float8.pt", "both float8 types (rebuilt by _rebuild_tensor_v3 over an UntypedStorage)", float8)


def strange_tensors():
    base = torch.arange(48, dtype=torch.float32)
    grid = torch.arange(24, dtype=torch.float32).view(2, 3, 4)
    return {
        "whole": base,
        "middle": base[10:22],
        "every_other": base[1:40:3],
        "matrix": base[:24].view(4, 6),
        "transposed": base[:24].view(4, 6).t(),
        "permuted": grid.permute(2, 0, 1),
        "channels_last": torch.arange(72, dtype=torch.float16)
        .view(2, 4, 3, 3)
        .contiguous(memory_format=torch.channels_last),
        "expanded": torch.tensor([[1.0], [2.0]]).expand(2, 5),
        "scalar": torch.tensor(3.5),
        "empty": torch.empty(0),
        "empty_3d": torch.empty(2, 0, 3, dtype=torch.int64),
        "one": torch.ones(1, 1, 1, dtype=torch.bfloat16),
    }


def storages(to):
    tensors = strange_tensors()
    torch.save(tensors, to / "storages.pt")
    golden.write(
        to / "storages.pt",
        "views: shared, offset, strided, transposed, channels_last, expanded; 0-d and empty",
        tensors,
    )


def big_endian(to):
    """A file as a big-endian machine would have written it: every storage's elements byte-swapped."""
    tensors = OrderedDict(
        a=torch.arange(6, dtype=torch.float32).view(2, 3) - 2.5,
        b=torch.arange(5, dtype=torch.int64) * -3,
        c=torch.tensor([1.5, -2.25], dtype=torch.float16),
        d=torch.tensor([True, False, True]),
        e=torch.tensor([0.1, 0.2], dtype=torch.float64),
        f=torch.tensor([1 + 2j, -3.5j], dtype=torch.complex64),
        g=torch.tensor([1.5, 2.5], dtype=torch.bfloat16),
    )
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    buffer.seek(0)
    sizes = [4, 8, 2, 1, 8, 4, 2]
    reader = torch._C.PyTorchFileReader(buffer)
    writer = torch._C.PyTorchFileWriter(str(to / "big_endian.pt"))
    for name in reader.get_all_records():
        data = reader.get_record(name)
        if name == "byteorder":
            data = b"big"
        elif name.startswith("data/"):
            size = sizes[int(name.removeprefix("data/"))]
            data = b"".join(data[i : i + size][::-1] for i in range(0, len(data), size))
        if name not in ("version", ".data/serialization_id"):
            writer.write_record(name, data, len(data))
    writer.write_end_of_file()
    golden.write(to / "big_endian.pt", "byteorder is 'big': storages hold big-endian elements", tensors)


class Scripted(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, x):
        return self.bn(self.conv(x))


def torchscript(to):
    torch.manual_seed(13)
    net = nets.lively(Scripted(), 13).eval()
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(net, torch.zeros(1, 3, 8, 8)), buffer)
    buffer.seek(0)
    # The debug records hold the paths of source files: leave them out.
    reader = torch._C.PyTorchFileReader(buffer)
    writer = torch._C.PyTorchFileWriter(str(to / "torchscript.pt"))
    for name in reader.get_all_records():
        if not name.endswith(".debug_pkl") and name not in ("version", ".data/serialization_id"):
            data = reader.get_record(name)
            writer.write_record(name, data, len(data))
    writer.write_end_of_file()
    state = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    loaded = torch.jit.load(str(to / "torchscript.pt")).state_dict()
    assert all(torch.equal(loaded[k], v) for k, v in state.items())
    golden.write(to / "torchscript.pt", "a traced module; code is not run, parameters and buffers are read", loaded)


# --- safetensors ------------------------------------------------------------------------------------------------


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.body = nn.Linear(4, 4)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embedding.weight


def safetensors(to):
    torch.manual_seed(14)
    net = Tied()
    save_model(net, str(to / "tied.safetensors"))
    with open(to / "tied.safetensors", "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    golden.write(
        to / "tied.safetensors",
        "as safetensors.torch.save_model writes tied weights: one tensor, the other name in the metadata",
        net.state_dict(),
        metadata=header["__metadata__"],
    )

    state = {k: v for k, v in small_state(15).items()}
    save_file(state, to / "bare_state_dict.safetensors")
    net = nn.ModuleDict({"conv": nn.Conv2d(3, 4, 3), "bn": nn.BatchNorm2d(4, eps=1e-3)})
    net.load_state_dict(state)
    golden.write(
        to / "bare_state_dict.safetensors",
        "a bare state dict: nothing says how conv and bn belong together or what eps is",
        state,
        fuse={
            "pairs": ["conv=bn"],
            "eps": 1e-3,
            "tensors": golden.tensor_records(nets.fused_pairs(net, [("conv", "bn")])),
        },
    )
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    save_file(half, to / "half.safetensors")
    golden.write(to / "half.safetensors", "a state dict in float16", half)


def sharded(to):
    folder = to / "sharded"
    folder.mkdir(exist_ok=True)
    state = small_state(16)
    names = list(state)
    for stem, extension, write in (
        ("model", "safetensors", lambda t, p: save_file(t, p, metadata={"format": "pt"})),
        ("pytorch_model", "bin", torch.save),
    ):
        index = {
            "metadata": {"total_size": sum(t.numel() * t.element_size() for t in state.values())},
            "weight_map": {},
        }
        for k, part in enumerate((names[:3], names[3:]), 1):
            file = f"{stem}-0000{k}-of-00002.{extension}"
            write({n: state[n] for n in part}, folder / file)
            index["weight_map"].update({n: file for n in part})
        path = folder / f"{stem}.{extension}.index.json"
        path.write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")
        golden.write(path, "a state dict in two files and the index that names them", state)


# --- unsafe -----------------------------------------------------------------------------------------------------


class Calls:
    """Pickled as a call of `function`; never called here, because it is never loaded."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def unsafe(to):
    import os

    torch.save(Calls(os.system, "touch mutils-was-executed"), to / "unsafe_system.pt")
    golden.write(to / "unsafe_system.pt", "would call os.system if Python loaded it; must never be run", refused=True)
    state = dict(small_state(17))
    state["payload"] = Calls(eval, "open('mutils-was-executed', 'w')")
    torch.save(state, to / "unsafe_eval.pt")
    tensors = {k: v for k, v in state.items() if k != "payload"}
    golden.write(
        to / "unsafe_eval.pt", "a state dict whose last entry would call eval: read the tensors, never run it", tensors
    )


def main():
    to = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    to.mkdir(parents=True, exist_ok=True)
    for make in (
        whole_modules,
        yolov5,
        training_checkpoint,
        protocols,
        legacy,
        nested,
        dtypes,
        storages,
        big_endian,
        torchscript,
        safetensors,
        sharded,
        unsafe,
    ):
        make(to)
    files = [p for p in to.rglob("*") if p.is_file() and p.suffix not in (".py", ".md", ".pyc")]
    for path in files:
        if path.stat().st_size > LIMIT:
            print(f"too large: {path.relative_to(to)}: {path.stat().st_size}")
    print(f"{len(files)} files, {sum(p.stat().st_size for p in files)} bytes")


if __name__ == "__main__":
    main()
