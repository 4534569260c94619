"""Writes down what a file must be read as: the JSON that stands beside each fixture.

A tensor is recorded as its dtype (PyTorch's name), its shape, the SHA-256 of its values as contiguous
little-endian bytes, and, when it is small, those bytes in hexadecimal.
"""

import hashlib
import json

import torch

SMALL = 2048  # bytes of a tensor that are written out


def raw_bytes(tensor):
    """The values, contiguous and little-endian."""
    tensor = tensor.detach().cpu().contiguous().reshape(-1)
    return bytes(tensor.view(torch.uint8).numpy()) if tensor.numel() else b""


def tensor_record(name, tensor):
    data = raw_bytes(tensor)
    record = {
        "name": name,
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "shape": list(tensor.shape),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    if len(data) <= SMALL:
        record["hex"] = data.hex()
    return record


def tensor_records(tensors):
    return [tensor_record(name, tensor) for name, tensor in tensors.items()]


def sharing(tensors):
    """Groups of names that look into one storage."""
    groups = {}
    for name, tensor in tensors.items():
        if tensor.untyped_storage().nbytes():
            groups.setdefault(tensor.untyped_storage().data_ptr(), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def counts(module):
    """What `info` must count: modules by identity, parameters by identity, buffers' elements."""
    parameters = list(module.parameters())
    return {
        "layers": len(list(module.modules())),
        "parameters": sum(p.numel() for p in parameters),
        "gradients": sum(p.numel() for p in parameters if p.requires_grad),
        "buffers": sum(b.numel() for b in module.buffers()),
    }


def write(path, what, tensors=None, **more):
    """Writes PATH.json."""
    golden = {"file": path.name, "what": what}
    if tensors is not None:
        golden["tensors"] = tensor_records(tensors)
        golden["shared"] = sharing(tensors)
    golden.update(more)
    text = json.dumps(golden, indent=1, sort_keys=False)
    path.with_name(path.name + ".json").write_text(text + "\n")
