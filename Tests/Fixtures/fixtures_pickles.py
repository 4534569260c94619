"""State dicts in every pickle protocol, the format before 1.6, under keys, and two that would run something; make_fixtures.py runs it."""

import os
import pickle
from collections import OrderedDict

import golden
import nets
import torch
from nets import small_state
from torch import nn


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


class Calls:
    """Pickled as a call of `function`; never called here, because it is never loaded."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def unsafe(to):
    torch.save(Calls(os.system, "touch mutils-was-executed"), to / "unsafe_system.pt")
    golden.write(to / "unsafe_system.pt", "would call os.system if Python loaded it; must never be run", refused=True)
    state = dict(small_state(17))
    state["payload"] = Calls(eval, "open('mutils-was-executed', 'w')")
    torch.save(state, to / "unsafe_eval.pt")
    tensors = {k: v for k, v in state.items() if k != "payload"}
    golden.write(
        to / "unsafe_eval.pt", "a state dict whose last entry would call eval: read the tensors, never run it", tensors
    )
