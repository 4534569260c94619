"""Draws learned.svg: what a ResNet-18 learns of Fashion-MNIST, by mutils train and by PyTorch with the same recipe.

Usage: make_learned.py MUTILS [EPOCHS]

Both take torchvision's ResNet-18 for ten classes at 28x28, batches of 128, SGD with momentum 0.9 and weight decay 1e-4, a
rate that falls from 0.1 by a cosine to a hundredth, random shifts of up to 3 pixels and mirrored pictures, and judge the
10,000 test pictures after each epoch. Weights are drawn, shifts and orders shuffled, each in its own way: the curves are
two seeds, not two accounts of one run. Needs torch, torchvision and Debian's package dataset-fashion-mnist.
"""

import csv
import gzip
import math
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path("/usr/share/datasets/fashion-mnist")
BATCH, RATE, SHARE = 128, 0.1, 0.01


def ours(mutils, epochs):
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        subprocess.run(
            [mutils, "train", FOLDER, "--model", "resnet18", "--epochs", str(epochs), "--batch-size", str(BATCH),
             "--lr", str(RATE), "--quiet", "-o", run], check=True)
        return [float(row["top1"]) for row in csv.DictReader((run / "results.csv").open())]


def theirs(epochs):
    import numpy as np
    import torch
    import torchvision
    from torchvision.transforms import v2

    def read(name, head):
        return np.frombuffer(gzip.decompress((FOLDER / name).read_bytes()), np.uint8)[head:]

    def pictures(name):
        x = torch.from_numpy(read(name, 16).reshape(-1, 1, 28, 28).copy()).float() / 255
        mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
        deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
        return x, lambda part: (part.expand(-1, 3, -1, -1) - mean) / deviation

    x, normalize = pictures("train-images-idx3-ubyte.gz")
    y = torch.from_numpy(read("train-labels-idx1-ubyte.gz", 8).copy()).long()
    tests, _ = pictures("t10k-images-idx3-ubyte.gz")
    truth = torch.from_numpy(read("t10k-labels-idx1-ubyte.gz", 8).copy()).long()
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=10)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, weight_decay=1e-4)
    shift = v2.Compose([v2.RandomCrop(28, padding=3), v2.RandomHorizontalFlip()])
    results = []
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (SHARE + (1 - SHARE) * (1 + math.cos(math.pi * epoch / epochs)) / 2)
        model.train()
        for batch in torch.randperm(len(x)).split(BATCH):
            inputs = normalize(torch.stack([shift(picture) for picture in x[batch]]))
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs), y[batch]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            right = sum(
                (model(normalize(part)).argmax(1) == labels).sum().item()
                for part, labels in zip(tests.split(500), truth.split(500)))
        results.append(right / len(truth))
        print(f"torch, epoch {epoch + 1}: {results[-1]:.4f}", flush=True)
    return results


def svg(curves):
    """Accuracy over epochs; `curves` are (name, colour, numbers)."""
    width, height, left, top, right, bottom = 640, 300, 60, 20, 20, 40
    epochs = len(curves[0][2])
    low = math.floor(min(min(numbers) for *_, numbers in curves) * 50) / 50
    high = math.ceil(max(max(numbers) for *_, numbers in curves) * 50) / 50

    def at(epoch, value):
        x = left + (width - left - right) * (epoch - 1) / max(epochs - 1, 1)
        return x, top + (height - top - bottom) * (high - value) / (high - low)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for step in range(round((high - low) * 50) + 1):
        value = low + step / 50
        _, y = at(1, value)
        lines.append(f'<path d="M{left} {y:.1f}H{width - right}" stroke="#ddd"/>')
        lines.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{value * 100:.0f} %</text>')
    for epoch in range(1, epochs + 1):
        x, _ = at(epoch, low)
        lines.append(f'<text x="{x:.1f}" y="{height - bottom + 18}" text-anchor="middle">{epoch}</text>')
    lines.append(f'<text x="{(width + left) / 2}" y="{height - 6}" text-anchor="middle">epochs</text>')
    for index, (name, colour, numbers) in enumerate(curves):
        points = [at(epoch + 1, value) for epoch, value in enumerate(numbers)]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        lines.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        lines += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        lines.append(
            f'<text x="{width - right - 150}" y="{height - bottom - 34 + 16 * index}" fill="{colour}">'
            f"{name}: {numbers[-1] * 100:.2f} %</text>")
    return "\n".join(lines) + "\n</svg>\n"


if __name__ == "__main__":
    epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    curves = [("PyTorch", "#d95f02", theirs(epochs)), ("mutils train", "#1b6ca8", ours(sys.argv[1], epochs))]
    Path(__file__).with_name("learned.svg").write_text(svg(curves))
