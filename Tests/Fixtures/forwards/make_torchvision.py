"""Makes torchvision.json, what the tools say of torchvision's classifiers at two sizes, and a file of one model of most families.

    python Tests/Fixtures/forwards/make_torchvision.py

macs: PyTorch's FlopCounterMode, halved. thop and ultralytics: profile of thop 0.1.1 and of ultralytics-thop 2.2.3, doubled. readme:
twice the macs and the additions of the fused model's biases. The models' files hold no weights: every tensor of a dtype is one
element that is seen everywhere; they are deflated.
"""

import copy
import json
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "Interop"))

import torch  # noqa: E402
from flops_judges import ask_ultralytics_thop, hollow, judged  # noqa: E402
from helpers import provable_pairs  # noqa: E402
from test_flops_torchvision import NAMES, build  # noqa: E402

SIZES = [(224, 224), (97, 211)]
FILES = (
    "alexnet vgg16_bn squeezenet1_1 resnet18 resnext50_32x4d densenet121 mobilenet_v2 mobilenet_v3_large "
    "shufflenet_v2_x0_5 mnasnet1_0 googlenet convnext_tiny"
).split()


def figures(name, scratch):
    model = build(name)
    folded = {conv for conv, _ in provable_pairs(model)}
    record = {
        "layers": len(list(model.modules())),
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    # thop leaves buffers behind.
    torch.save(hollow(copy.deepcopy(model)), scratch)
    for size in SIZES:
        expected = judged(model, size, folded=folded)
        record[f"{size[0]}x{size[1]}"] = {
            "macs": expected.macs,
            "thop": int(2 * expected.thop),
            "ultralytics": int(2 * ask_ultralytics_thop(scratch, size)()),
            "readme": 2 * (expected.macs + expected.biases),
        }
    return record


def deflate(source, target):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        for name in old.namelist():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, old.read(name))


def main():
    scratch = HERE / "scratch.pt"
    records = {}
    for name in NAMES:
        records[name] = figures(name, scratch)
        if name in FILES:
            deflate(scratch, HERE / f"{name}.pt")
        print(name, file=sys.stderr)
    scratch.unlink()
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(record)}" for name, record in records.items())
    (HERE / "torchvision.json").write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
