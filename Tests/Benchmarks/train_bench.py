"""Measures steps of training against PyTorch, in turns in one run, and prints a table.

    python train_bench.py [--interpret FILE] [--rounds N] [--threads N]

A step is forward, the mean square of the outputs as loss, backward, and SGD with momentum. PyTorch runs eagerly in both layouts; nobody spins.
Of each the fastest step of all rounds counts: on a machine that others share the others are in all slower ones.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / ".build/release"
QUIET = {"OMP_WAIT_POLICY": "passive", "PYTHONWARNINGS": "ignore", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
# Name: size, batch, and what PyTorch must take at least, in ours, in both layouts.
CASES = {"resnet18": (64, 32, 1.25, 1.3), "yolov5n": (320, 8, 1.6, 1.4)}


def network(name):
    import torch

    torch.manual_seed(0)
    if name == "resnet18":
        import torchvision

        return torchvision.models.resnet18().train()
    sys.path.insert(0, str(HERE.parent / "Fixtures"))
    import nets

    yolov5 = nets.import_yolov5().models.yolo
    return yolov5.DetectionModel(Path(yolov5.__file__).parent / f"{name}.yaml").train()


def peer(name, size, batch, layout, threads):
    """Prints the seconds of each step."""
    import torch

    torch.set_num_threads(threads)
    model = network(name)
    x = torch.rand(batch, 3, size, size)
    if layout == "channels_last":
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9)
    for _ in range(10):
        start = time.perf_counter()
        optimizer.zero_grad()
        outputs = model(x)
        sum(t.square().mean() for t in (outputs if isinstance(outputs, (list, tuple)) else [outputs])).backward()
        optimizer.step()
        print(time.perf_counter() - start)


def seconds(*command, **environment):
    output = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=True,
                            env=os.environ | QUIET | environment).stdout  # fmt: skip
    # The first ones compile and warm up.
    return [float(line) for line in output.split()][2:]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interpret", type=Path, default=BUILD / "interpret")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer", nargs=4, metavar=("NAME", "SIZE", "BATCH", "LAYOUT"))
    options = parser.parse_args()
    if options.peer:
        name, size, batch, layout = options.peer
        return peer(name, int(size), int(batch), layout, options.threads)

    import torch
    from safetensors.torch import save_file

    print(f"steps of training, {options.threads} threads, torch {torch.__version__}")
    print("| network | ours | PyTorch NCHW | wanted | channels_last | wanted |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name, (size, batch, *wanted) in CASES.items():
            torch.save(network(name), folder / f"{name}.pt")
            save_file({"input.0": torch.rand(batch, 3, size, size)}, folder / "input.safetensors")
            best = {}
            for _ in range(options.rounds):
                ours = seconds(options.interpret, folder / f"{name}.pt", folder / "input.safetensors",
                               folder / "output.safetensors", "--learn")  # fmt: skip
                best["ours"] = min([*ours, best.get("ours", 1e9)])
                for layout in ("nchw", "channels_last"):
                    theirs = seconds(sys.executable, __file__, "--threads", options.threads, "--peer", name, size, batch, layout)
                    best[layout] = min([*theirs, best.get(layout, 1e9)])
            ratios = [best[layout] / best["ours"] for layout in ("nchw", "channels_last")]
            print(f"| {name} at {size}, batch {batch} | {best['ours'] * 1e3:.0f} ms | {ratios[0]:.2f} | {wanted[0]} | "
                  f"{ratios[1]:.2f} | {wanted[1]} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
