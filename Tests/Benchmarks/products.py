"""What a processor computes at most: products of matrices."""

import time

import torch

SIDE = 1536


def fastest(body, runs):
    """The least seconds of some runs, after two that warm up."""
    seconds = []
    for _ in range(runs + 2):
        start = time.perf_counter()
        body()
        seconds.append(time.perf_counter() - start)
    return min(seconds[2:])


def rate(runs):
    """Operations in a second of the fastest product of two matrices, on as many threads as torch has."""
    a, b = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    return 2 * SIDE**3 / fastest(lambda: a @ b, runs)
