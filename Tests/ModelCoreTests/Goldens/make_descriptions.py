"""NumPy's words for arrays: type, shape and bytes on a line, then str(array), then a line of dashes."""

import pathlib

import numpy as np

rng = np.random.default_rng(0)


def normal(*shape, scale=1.0, dtype=np.float32):
    return (rng.standard_normal(shape) * scale).astype(dtype)


arrays = [np.array(value, np.float32) for value in (
    [1], [0.5, 1], [0], [-0.0, 2], [1, 10, 100.25], [1e-5, 1], [1e8, 1], [99999999, 1000000], [0.1, 0.2, 0.30000001],
    [1 / 3, 2 / 3], [1e-3, 1.1], [np.nan, 1], [np.inf, -np.inf, 1e-10], [np.nan], [-np.inf, 123456.7], [np.inf, 1.5],
    [1e-45, 3.4028235e38], [1.0000001, 1], [12345.678, 0.125], [0.0001, 0.09], [0.00009, 0.0001], [1000.5, 1], [1001, 1],
    [-1.5, 22.25, 3])]
arrays += [np.array(value, np.float64) for value in (
    [0.1], [1 / 3, 1e7], [1e-300, 1e300], [123456789.125], [np.pi, -np.e], [1e-4, 1e-5], [0.123456785, 1], [2 / 3, 1e9])]
arrays += [np.array(value, np.float16) for value in ([0.1, 65504], [1e-7, 1], [1 / 3, 2])]
arrays += [np.array(value, dtype) for value, dtype in (
    ([1, -20, 300], np.int64), ([0, 255], np.uint8), ([-128, 127], np.int8), ([2**64 - 1, 0], np.uint64),
    ([[True, False], [False, True]], np.bool_), ([True], np.bool_), ([7], np.int32), ([-5, 6], np.int16), ([9], np.uint16), ([8], np.uint32))]
arrays += [np.array(value, np.float32) for value in (0.1, -2, 1e20, np.nan, np.inf)] + [np.array(7, np.int64), np.array(True)]
arrays += [np.zeros(shape, np.float32) for shape in ((0,), (0, 3), (2, 0, 3))]
arrays += [normal(2, 3), normal(17), normal(2, 3, 4), normal(1, 2, 1, 2), normal(30, scale=1e4), normal(12, 12), normal(1000),
           normal(1001), normal(40, 40), normal(7, 6, 30), normal(3, 500), normal(2, 2, 300), normal(11, 13, 17),
           normal(40, dtype=np.float64), normal(1100, scale=1e-6), np.arange(2000), np.arange(24).reshape(2, 3, 4),
           rng.integers(0, 2, (40, 40)).astype(np.bool_), normal(1, 1001), normal(2000, 1)]

with open(pathlib.Path(__file__).parent / "descriptions.txt", "w") as file:
    for array in arrays:
        name = "bool" if array.dtype == np.bool_ else array.dtype.name
        shape = "x".join(map(str, array.shape)) or "scalar"
        file.write(f"{name} {shape} {array.tobytes().hex() or '-'}\n{array}\n---\n")
