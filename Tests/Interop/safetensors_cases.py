"""safetensors files, good and bad, each with a name. Whether a file is good the reference library says."""

import functools
import json
import struct


def file(header, data=b"", length=None):
    if not isinstance(header, (bytes, str)):
        header = json.dumps(header)
    if isinstance(header, str):
        header = header.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def info(start=0, end=4, shape=(1,), dtype="F32", **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end], **more}


def one(data=bytes(4), **fields):
    return file({"a": info(**fields)}, data)


def raw(entry, data=bytes(4)):
    """A header whose only tensor is written by hand."""
    return file('{"a":' + entry + "}", data)


PLAIN = '"dtype":"F32","shape":[1],"data_offsets":[0,4]'
DTYPES = (
    "BOOL U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ I16 U16 F16 BF16 I32 U32 F32 C64 F64 I64 U64 "
    "F4 F6_E2M3 F6_E3M2 C128 I4 U4 F8_E3M4 f32 F128 BF8 FLOAT"
).split()


@functools.cache
def cases():
    result = {
        # the length
        "nothing": b"",
        "seven bytes": bytes(7),
        "length 0": file(""),
        "length 0 and data": file("", bytes(4)),
        "length beyond the file": file("{}", length=1000),
        "length 100,000,000": file("{}", length=100_000_000),
        "length 100,000,001": file("{}", length=100_000_001),
        "length 2^63": file("{}", length=2**63),
        "length 2^64 - 1": file("{}", length=2**64 - 1),
        "length one less": struct.pack("<Q", struct.unpack("<Q", one()[:8])[0] - 1) + one()[8:],
        "length one more": struct.pack("<Q", struct.unpack("<Q", one()[:8])[0] + 1) + one()[8:],
        # the text
        "no tensors": file("{}"),
        "no tensors, but data": file("{}", bytes(4)),
        "spaces behind": file("{}      "),
        "spaces before": file("   {}"),
        "line feed before": file("\n{}"),
        "tab before": file("\t{}"),
        "line feeds behind": file("{}\n\n"),
        "zeros behind": file("{}\0\0"),
        "byte order mark": file("\ufeff{}"),
        "vertical tab": raw("{\x0b" + PLAIN + "}"),
        "no-break space": file("{\u00a0}"),
        "an array": file("[]"),
        "null": file("null"),
        "a string": file('"a"'),
        "not UTF-8": file(b'{\xff"}'),
        "name not UTF-8": file(b'{"\xff":{' + PLAIN.encode() + b"}}", bytes(4)),
        "encoded surrogate": file(b'{"\xed\xa0\x80":{' + PLAIN.encode() + b"}}", bytes(4)),
        "lone surrogate, escaped": file('{"\\ud800":{' + PLAIN + "}}", bytes(4)),
        "surrogate pair, escaped": file('{"\\ud83d\\ude00":{' + PLAIN + "}}", bytes(4)),
        "escapes in a name": file('{"\\u0061\\n\\/\\"\\\\":{' + PLAIN + "}}", bytes(4)),
        "escaped zero in a name": file('{"a\\u0000":{' + PLAIN + "}}", bytes(4)),
        "bad escape": file('{"a\\x":{' + PLAIN + "}}", bytes(4)),
        "short escape": file('{"a\\u00":{' + PLAIN + "}}", bytes(4)),
        "control character in a name": file('{"a\n":{' + PLAIN + "}}", bytes(4)),
        "delete character in a name": file('{"a\x7f":{' + PLAIN + "}}", bytes(4)),
        "empty name": file({"": info()}, bytes(4)),
        "text behind": file(json.dumps({"a": info()}) + "x", bytes(4)),
        "another object behind": file(json.dumps({"a": info()}) + "{}", bytes(4)),
        "trailing comma": file('{"a":{' + PLAIN + "},}", bytes(4)),
        "comment": file("{/*x*/}"),
        "single quotes": file("{'a':1}"),
        "unquoted key": file("{a:1}"),
        "missing colon": file('{"a" 1}'),
        "cut short": file('{"a":{"dtype":"F32"'),
        # offsets
        "good": one(),
        "data too long": one(bytes(5)),
        "data too short": one(bytes(3)),
        "does not start at 0": one(bytes(8), start=4, end=8),
        "hole": file({"a": info(), "b": info(8, 12)}, bytes(12)),
        "the same bytes twice": file({"a": info(), "b": info()}, bytes(4)),
        "overlap": file({"a": info(0, 8, (2,)), "b": info(4, 12, (2,))}, bytes(12)),
        "one inside another": file({"a": info(0, 12, (3,)), "b": info(4, 8)}, bytes(12)),
        "backwards in the header": file({"a": info(4, 8), "b": info()}, bytes(8)),
        "end before start": one(start=4, end=0),
        "end before start, empty": one(start=4, end=0, shape=(0,)),
        "negative offset": one(start=-4, end=0),
        "offset 2^63": one(end=2**63),
        "offset 2^64": one(end=2**64),
        "offset 2^64 - 1 to 3": one(start=2**64 - 1, end=3),
        "three offsets": raw('{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}'),
        "one offset": raw('{"dtype":"F32","shape":[1],"data_offsets":[0]}'),
        "no offsets": raw('{"dtype":"F32","shape":[1],"data_offsets":[]}'),
        "offsets are an object": raw('{"dtype":"F32","shape":[1],"data_offsets":{"0":0,"1":4}}'),
        "real offset": raw('{"dtype":"F32","shape":[1],"data_offsets":[0,4.0]}'),
        "minus zero offset": raw('{"dtype":"F32","shape":[1],"data_offsets":[-0,4]}'),
        # shapes
        "size too large": one(shape=(2,)),
        "size too small": one(bytes(8), end=8, shape=(1,)),
        "scalar": one(shape=()),
        "hundred ones": one(shape=(1,) * 100),
        "empty tensor": one(b"", end=0, shape=(0,)),
        "empty tensors around": file({"a": info(0, 0, (0,)), "b": info(0, 4), "c": info(4, 4, (3, 0))}, bytes(4)),
        "negative size": one(shape=(-1,)),
        "two negative sizes": one(shape=(-1, -1)),
        "real size": raw('{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}'),
        "size with exponent": raw('{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}'),
        "size with leading zero": raw('{"dtype":"F32","shape":[01],"data_offsets":[0,4]}'),
        "size is text": one(shape=("1",)),
        "size is null": one(shape=(None,)),
        "size is true": one(shape=(True,)),
        "shape is null": raw('{"dtype":"F32","shape":null,"data_offsets":[0,4]}'),
        "shape is a number": raw('{"dtype":"F32","shape":1,"data_offsets":[0,4]}'),
        "size 2^63": one(shape=(2**63,)),
        "size 2^64": one(shape=(2**64,)),
        "product 2^64": one(shape=(2**32, 2**32)),
        "product wraps to one": one(shape=(2**62 + 1, 4)),
        "bytes overflow": one(shape=(2**61,)),
        "bytes overflow for doubles": one(bytes(8), end=8, shape=(2**61 + 1,), dtype="F64"),
        "zero first, then overflow": one(b"", end=0, shape=(0, 2**63, 4)),
        "overflow first, then zero": one(b"", end=0, shape=(2**63, 4, 0)),
        "zero and 2^63": one(b"", end=0, shape=(0, 2**63)),
        # fields
        "no dtype": raw('{"shape":[1],"data_offsets":[0,4]}'),
        "no shape": raw('{"dtype":"F32","data_offsets":[0,4]}'),
        "no data_offsets": raw('{"dtype":"F32","shape":[1]}'),
        "unknown field": one(extra={"x": [1, None, True, 1.5e3, "\u00e9"]}),
        "unknown field twice": raw("{" + PLAIN + ',"x":1,"x":2}'),
        "unknown field: NaN": raw("{" + PLAIN + ',"x":NaN}'),
        "unknown field: 1e999": raw("{" + PLAIN + ',"x":1e999}'),
        "unknown field: a long integer": raw("{" + PLAIN + ',"x":123456789012345678901234567890}'),
        "unknown field: lone surrogate": raw("{" + PLAIN + ',"x":"\\ud800"}'),
        "unknown field: 125 deep": raw("{" + PLAIN + ',"x":' + "[" * 125 + "]" * 125 + "}"),
        "unknown field: 126 deep": raw("{" + PLAIN + ',"x":' + "[" * 126 + "]" * 126 + "}"),
        "unknown field: 100,000 deep": raw("{" + PLAIN + ',"x":' + "[" * 100_000 + "]" * 100_000 + "}"),
        "field twice": raw('{"dtype":"F32",' + PLAIN + "}"),
        "escaped field name": raw('{"dt\\u0079pe":"F32","shape":[1],"data_offsets":[0,4]}'),
        "dtype is null": one(dtype=None),
        "dtype is a number": one(dtype=1),
        "dtype is an object": raw('{"dtype":{"F32":null},"shape":[1],"data_offsets":[0,4]}'),
        "dtype is an object with a value": raw('{"dtype":{"F32":1},"shape":[1],"data_offsets":[0,4]}'),
        "tensor is null": raw("null", b""),
        "tensor is a string": raw('"F32"', b""),
        "tensor is an array": raw('["F32",[1],[0,4]]'),
        "tensor is a short array": raw('["F32",[1]]'),
        "tensor is a long array": raw('["F32",[1],[0,4],5]'),
        # metadata
        "metadata": file({"__metadata__": {"a": "b"}}),
        "metadata, empty": file({"__metadata__": {}}),
        "metadata behind": file({"a": info(), "__metadata__": {"a": "b"}}, bytes(4)),
        "metadata is null": file({"__metadata__": None}),
        "metadata is an array": file({"__metadata__": ["a"]}),
        "metadata is a string": file({"__metadata__": "a"}),
        "metadata is a tensor": file({"__metadata__": info()}, bytes(4)),
        "metadata with a number": file({"__metadata__": {"a": 1}}),
        "metadata with null": file({"__metadata__": {"a": None}}),
        "metadata with an object": file({"__metadata__": {"a": {"b": "c"}}}),
        "metadata twice": file('{"__metadata__":{"a":"b"},"__metadata__":{"a":"b"}}'),
        "metadata with one key twice": file('{"__metadata__":{"a":"b","a":"c"}}'),
    }
    for dtype in DTYPES:
        for count, size in ((2, 2), (2, 4), (2, 8), (2, 16), (2, 32), (8, 4), (8, 6), (4, 3), (3, 2), (1, 1)):
            result[f"{dtype}: {count} in {size} bytes"] = file({"a": info(0, size, (count,), dtype)}, bytes(size))
    return result


def with_duplicate_names():
    """The library takes the last of two entries of one name; here they are refused."""
    first, second = "{" + PLAIN + "}", '{"dtype":"F32","shape":[1],"data_offsets":[4,8]}'
    return {
        "the same entry twice": file(f'{{"a":{first},"a":{first}}}', bytes(4)),
        "two entries": file(f'{{"a":{first},"a":{second}}}', bytes(8)),
        "escaped differently": file(f'{{"a":{first},"\\u0061":{first}}}', bytes(4)),
    }
