"""safetensors, tied and in shards; make_fixtures.py runs it."""

import json
import struct

import golden
import nets
import torch
from nets import small_state
from safetensors.torch import save_file, save_model
from torch import nn


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
