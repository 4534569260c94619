"""torch's own run of `make train-demo`, and prints what it names rightly after each epoch.

    python garments_curve.py [--seed N] [--threads N] [--data FOLDER] [--epochs N]

torchvision's ResNet-18 learns the 60,000 pictures of Debian's dataset-fashion-mnist by the same recipe: 28x28 pictures in three equal channels,
batches of 128, SGD with momentum, half an epoch of rising rates, then epochs on a cosine. A thread takes about a quarter of an hour for an epoch.
"""

import argparse
import gzip
import math
from pathlib import Path

import numpy as np
import torch
import torchvision

RATE, FINAL_SHARE, BATCH = 0.05, 0.01, 128
MEAN, DEVIATION = (torch.tensor(values).view(1, 3, 1, 1) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))


def read(path, header, shape):
    return torch.from_numpy(np.frombuffer(gzip.open(path).read(), np.uint8, offset=header).copy()).reshape(shape)


def half(folder, name):
    pictures = read(folder / f"{name}-images-idx3-ubyte.gz", 16, (-1, 1, 28, 28))
    return pictures, read(folder / f"{name}-labels-idx1-ubyte.gz", 8, -1).long()


def inputs(pictures):
    x = (pictures.expand(-1, 3, -1, -1).float() / 255 - MEAN) / DEVIATION
    return x.contiguous(memory_format=torch.channels_last)


def learning_rate(step, steps, epochs):
    share = FINAL_SHARE + (1 - FINAL_SHARE) * (1 + math.cos(math.pi * (step // steps) / epochs)) / 2
    rising = 0.5 * steps
    return RATE * share * ((step + 1) / (rising + 1) if step < rising else 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    pictures, labels = half(options.data, "train")
    test_pictures, test_labels = half(options.data, "t10k")
    model = torchvision.models.resnet18(num_classes=10).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, weight_decay=1e-4)
    steps = math.ceil(len(pictures) / BATCH)
    print("| epoch | mean loss | rightly named |\n|---|---|---|")
    for epoch in range(options.epochs):
        model.train()
        total = 0.0
        for k, chosen in enumerate(torch.randperm(len(pictures)).split(BATCH)):
            optimizer.param_groups[0]["lr"] = learning_rate(epoch * steps + k, steps, options.epochs)
            loss = torch.nn.functional.cross_entropy(model(inputs(pictures[chosen])), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(chosen)
        model.eval()
        with torch.no_grad():
            right = sum((model(inputs(x)).argmax(1) == y).sum().item() for x, y in zip(test_pictures.split(500), test_labels.split(500)))
        print(f"| {epoch + 1} | {total / len(pictures):.4f} | {100 * right / len(test_labels):.2f} % |", flush=True)


if __name__ == "__main__":
    main()
