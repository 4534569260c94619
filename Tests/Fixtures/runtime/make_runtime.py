"""Golden lines of YOLOv5's profile: what its print statements give for known figures, and NumPy's quantiles."""

import json
from pathlib import Path

import numpy as np

ROWS = [
    (0, 0, 0.0, 1.0, float("nan"), (16, 3, 640, 640), (16, 3, 640, 640)),
    (7235389, 16.4852345, 1.234567, 123.456789, 0.000123456, (1, 3, 64, 48), (1, 255)),
    (12, 1e-9, 80.0, 1e6, 1234567.0, (3,), "list"),
    (123456789012345, 1234567.0, 0.0005, 99999.5, 0.1, "list", ()),
]


def lines():
    yield (
        f"{'Params':>12s}{'GFLOPs':>12s}{'GPU_mem (GB)':>14s}{'forward (ms)':>14s}{'backward (ms)':>14s}"
        f"{'input':>24s}{'output':>24s}"
    )
    for p, flops, mem, tf, tb, s_in, s_out in ROWS:
        yield f"{p:12}{flops:12.4g}{mem:>14.3f}{tf:14.4g}{tb:14.4g}{str(s_in):>24s}{str(s_out):>24s}"


def quantiles():
    rng = np.random.default_rng(0)
    for count in [1, 2, 3, 4, 7, 10, 101]:
        values = rng.exponential(size=count)
        shares = [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1]
        yield {
            "values": values.tolist(),
            "shares": shares,
            "quantiles": [float(np.quantile(values, share)) for share in shares],
            "mean": float(values.mean()),
        }


if __name__ == "__main__":
    result = {"table": list(lines()), "quantiles": list(quantiles())}
    Path(__file__).with_name("runtime.json").write_text(json.dumps(result, indent=1) + "\n")
