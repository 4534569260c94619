"""Writes conversions.txt: what PyTorch's Tensor.to(dtype) makes of every 8- and 16-bit number and of chosen wider ones.

Run with PyTorch 2.13: python make_conversions.py > conversions.txt

  crc SOURCE TARGET PATTERNS CRC32    of the results' little-endian bytes
  SOURCE BITS TARGET=BITS ...

PATTERNS: "all", or the count of float32 patterns that the test computes by the same rule as `rounding` below.
NaNs in float16 and bfloat16 are written as 0x7e00 with their sign and as 0x7fc0: PyTorch's scalar and vector code
disagree about their bits.
"""

import zlib

import torch

FORMATS = {
    "float64": (torch.float64, torch.int64),
    "float32": (torch.float32, torch.int32),
    "float16": (torch.float16, torch.int16),
    "bfloat16": (torch.bfloat16, torch.int16),
    "float8_e4m3fn": (torch.float8_e4m3fn, torch.uint8),
    "float8_e5m2": (torch.float8_e5m2, torch.uint8),
}


def tensor(bits, name):
    dtype, integer = FORMATS[name]
    width = 8 * torch.empty(0, dtype=integer).element_size()
    signed = [b - (1 << width) if b >> (width - 1) and width > 8 else b for b in bits]
    return torch.tensor(signed, dtype=integer).view(dtype)


def converted(source, target):
    result = source.to(FORMATS[target][0])
    bits = result.view(FORMATS[target][1]).clone()
    nan = torch.isnan(result)
    if target == "float16":
        bits[nan] = bits[nan] & -0x8000 | 0x7E00
    elif target == "bfloat16":
        bits[nan] = 0x7FC0
    return bits


def listed(bits):
    width = 8 * bits.element_size()
    return [f"{b & ((1 << width) - 1):#0{2 + width // 4}x}" for b in bits.tolist()]


def rounding():
    """float32 around every float16 and half way to the next, over the narrow formats' exponents."""
    return [
        sign << 31 | exponent << 23 | fraction << 13 | low
        for sign in range(2)
        for exponent in range(96, 146)
        for fraction in range(1 << 10)
        for low in (0, 1, 0xFFF, 0x1000, 0x1001)
    ]


def edges32():
    anchors = [0.0, 2.0**-149, 2.0**-126, 2.0**-133, 2.0**-134, 2.0**-24, 2.0**-25, 2.0**-14, 2.0**-16, 2.0**-17]
    anchors += [2.0**-9, 2.0**-10, 2.0**-6, 1.0, 1.0625, 1.125, 1.5, 3.0, 240.0, 448.0, 464.0, 480.0, 512.0]
    anchors += [57344.0, 61440.0, 65504.0, 65520.0, 65536.0, 3.3895314e38, 3.4028235e38, float("inf")]
    bits = set()
    for anchor in anchors:
        middle = torch.tensor(anchor, dtype=torch.float32).view(torch.int32).item()
        bits |= {b for b in (middle - 1, middle, middle + 1) if 0 <= b <= 0x7F800000}
    bits |= {0x7F800001, 0x7F801FFF, 0x7F802000, 0x7FC00000, 0x7FE00000, 0x7FFFFFFF}
    return sorted(bits | {b | 1 << 31 for b in bits})


def edges64():
    """Among them numbers just off a tie that rounding to float32 first puts on the tie."""
    anchors = [0.0, 5e-324, 2.2250738585072014e-308, 1e-46, 7.006492321624085e-46, 2.0**-149, 2.0**-126, 2.0**-25]
    anchors += [2.0**-17, 2.0**-10, 1.0, 1 + 2.0**-11, 1 + 2.0**-8, 1 + 2.0**-4, 1 + 2.0**-3, 1 + 2.0**-24, 464.0]
    anchors += [61440.0, 65520.0, 3.4028234663852886e38, 3.4028235677973366e38, 1.7976931348623157e308, float("inf")]
    bits = set()
    for anchor in anchors:
        middle = torch.tensor(anchor, dtype=torch.float64).view(torch.int64).item()
        bits |= {b for b in (middle - 1, middle, middle + 1) if 0 <= b <= 0x7FF0000000000000}
    bits |= {0x7FF0000000000001, 0x7FF8000000000000, 0x7FFFFFFFFFFFFFFF}
    return sorted(bits | {b | 1 << 63 for b in bits})


def crc(source, name, pattern):
    for target in FORMATS:
        if target != name:
            data = converted(source, target).numpy().tobytes()
            print("crc", name, target, pattern, f"{zlib.crc32(data):#010x}")


def edges(bits, name):
    source = tensor(bits, name)
    targets = [t for t in FORMATS if t != name]
    for row in zip(listed(source.view(FORMATS[name][1])), *(listed(converted(source, t)) for t in targets)):
        print(name, row[0], *(f"{t}={b}" for t, b in zip(targets, row[1:])))


for name in ("float16", "bfloat16"):
    crc(tensor(range(1 << 16), name), name, "all")
for name in ("float8_e4m3fn", "float8_e5m2"):
    crc(tensor(range(1 << 8), name), name, "all")
patterns = rounding()
crc(tensor(patterns, "float32"), "float32", len(patterns))
edges(edges32(), "float32")
edges(edges64(), "float64")
