#!/usr/bin/env python3
"""Writes pickles.json: Python's pickles of plain objects in every protocol, and what each must be read as.

    python Tests/Fixtures/make_pickles.py

The text names an object so that sharing and cycles show: the first meeting of a list, dict, set or non-empty tuple that is met again
is numbered (`#1=[…]`), later ones are the number alone. Floats are their bits, text that is not plain ASCII its UTF-8 in hexadecimal.
"""

import collections
import json
import pathlib
import pickle
import struct


def objects():
    shared = [1]
    loop = []
    loop.append(loop)
    ring = {}
    ring["self"] = ring
    knot = ([],)
    knot[0].append(knot)
    long_knot = ({}, 1, 2, 3)
    long_knot[0]["up"] = long_knot
    pair = ([], {})
    pair[0].append(pair[1])
    pair[1]["back"] = pair[0]
    twin = ("twin", 2)
    return {
        "none": None, "booleans": [True, False],
        "integers": [0, 1, 255, 256, 65535, 65536, -1, -256, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**63 - 1, -(2**63)],
        "big integers": [2**63, -(2**63) - 1, 2**64, 10**30, -(10**30), 2**2100, -(2**2100)],
        "floats": [0.0, -0.0, 1.5, -1e-300, 0.1, float("inf"), float("-inf"), 1.7976931348623157e308],
        "text": ["", "abc", "é漢👍", "line\nbreak", "back\\u0041slash\\", "\ud800 alone", "\x00", "x" * 260],
        "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
        "lists": [[], [1], [[], [[]]]],
        "a long list": list(range(1001)),
        "dicts": [{}, {1: 2}, {"a": [1], (1, 2): None, None: True}],
        "a long dict": {i: None for i in range(1001)},
        "shared": [shared, shared, (shared,)], "a shared tuple": [twin, twin],
        "a list in itself": loop, "a dict in itself": ring, "a tuple in its list": knot, "four in their dict": long_knot,
        "two in each other": pair, "a class": collections.OrderedDict,
        "sets": [set(), {3}, frozenset(), frozenset([4])], "bytes": [b"", b"ab\x00\xff", b"x" * 260],
        "a byte array": bytearray(b"ab"),
    }


# Before these protocols, Python pickles them as calls.
SINCE = {"sets": 4, "bytes": 3, "a byte array": 5}


def describe(root):
    counts, first = collections.Counter(), {}

    def identified(x):
        return isinstance(x, (list, dict, set, bytearray)) or (isinstance(x, (tuple, frozenset)) and len(x))

    def parts(x):
        if isinstance(x, dict):
            return [y for item in x.items() for y in item]
        return list(x) if isinstance(x, (list, tuple, set, frozenset)) else []

    def count(x):
        if identified(x):
            counts[id(x)] += 1
            if counts[id(x)] > 1:
                return
        for y in parts(x):
            count(y)

    def text(x):
        if identified(x) and counts[id(x)] > 1:
            if id(x) in first:
                return f"#{first[id(x)]}"
            first[id(x)] = len(first) + 1
            return f"#{first[id(x)]}={body(x)}"
        return body(x)

    def body(x):
        if x is None or isinstance(x, (bool, int)):
            return str(x)
        if isinstance(x, float):
            return "0x" + struct.pack(">d", x).hex()
        if isinstance(x, str):
            plain = x.isascii() and x.isprintable()
            return f"'{x}'" if plain else "u" + x.encode("utf-8", "surrogatepass").hex()
        if isinstance(x, (bytes, bytearray)):
            return ("b" if isinstance(x, bytes) else "bytearray ") + x.hex()
        if isinstance(x, type):
            return f"{x.__module__}.{x.__qualname__}"
        if isinstance(x, dict):
            return "{" + ", ".join(f"{text(k)}: {text(v)}" for k, v in x.items()) + "}"
        open_, close = {list: "[]", tuple: "()"}.get(type(x), (f"{type(x).__name__}(", ")"))
        return open_ + ", ".join(text(y) for y in x) + close

    count(root)
    return text(root)


def main():
    cases = []
    for name, value in objects().items():
        for protocol in range(SINCE.get(name, 0), 6):
            if "a long" in name and protocol != 2:
                continue
            cases.append({
                "name": name, "protocol": protocol, "pickle": pickle.dumps(value, protocol).hex(), "text": describe(value),
            })
    path = pathlib.Path(__file__).resolve().parent / "pickles.json"
    path.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
    print(f"{len(cases)} pickles, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
