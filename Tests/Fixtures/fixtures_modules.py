"""Whole modules, and YOLOv5's own files; make_fixtures.py runs it."""

import copy
import pathlib

import golden
import nets
import numpy as np
import torch
from torch import nn


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
