"""Tensors of every dtype and layout, and TorchScript; make_fixtures.py runs it."""

import io
from collections import OrderedDict

import golden
import nets
import torch
from safetensors.torch import save_file
from torch import nn


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


# Its name stands in the archive: the script's own.
Scripted.__module__ = "__main__"


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
