"""A safetensors file of many gigabytes, written as a stream."""

import json
import random
import struct

SHAPE = (1024, 1024, 3, 3)
BYTES = 4 * SHAPE[0] * SHAPE[1] * SHAPE[2] * SHAPE[3]


def write(path, gigabytes):
    """Writes float32 convolution weights; returns their number.

    The values are normal numbers between 1/8 and 4 in magnitude, the same ones in each tensor but from another start.
    """
    count = max(1, int(gigabytes * 1e9) // BYTES)
    header = {
        f"layers.{i}.conv.weight": {"dtype": "F32", "shape": SHAPE, "data_offsets": [i * BYTES, (i + 1) * BYTES]}
        for i in range(count)
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    values = bytearray(random.Random(0).randbytes(BYTES))
    # The two highest bytes of each little-endian float: sign, an exponent from -3 to 1, and the fraction's first bits.
    high = bytes((byte & 0x80) | (0x3E + (byte & 1)) for byte in range(256))
    values[3::4] = values[3::4].translate(high)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for i in range(count):
            start = i * 40_000_004 // 1000 * 4 % BYTES
            file.write(memoryview(values)[start:])
            file.write(memoryview(values)[:start])
    return count
