"""Small files of NumPy's and of gzip's making, in hexadecimal."""

import gzip
import io
import json
import pathlib

import numpy as np

pixels = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
labels = np.array([1, 0, 2, 1])


def npz(save=np.savez, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue().hex()


def idx(array, compress=True):
    data = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()
    return (gzip.compress(data, mtime=0) if compress else data).hex()


pathlib.Path(__file__).with_name("sets.json").write_text(json.dumps({
    "keras.npz": npz(np.savez_compressed, x_train=pixels, y_train=labels, x_test=pixels[:2], y_test=labels[:2, None]),
    "plain.npz": npz(images=np.stack([pixels.reshape(4, 3, 2)] * 3, 1), labels=labels.astype(np.uint8)),
    "floats.npz": npz(images=pixels / 255, labels=labels),
    "other.npz": npz(a=pixels),
    "long.npz": npz(x_train=pixels, y_train=labels[:3]),
    "badtest.npz": npz(x_train=pixels, y_train=labels, x_test=pixels[:1], y_test=np.array([9])),
    "images.gz": idx(pixels), "labels.gz": idx(labels.astype(np.uint8)), "images": idx(pixels, False),
    "short.gz": gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 9]) + bytes(8), mtime=0).hex(),
    "long.gz": gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 9]) + bytes(10), mtime=0).hex(),
    "bomb.gz": gzip.compress(bytes([0, 0, 8, 2, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1]), mtime=0).hex(),
}, indent=1) + "\n")
