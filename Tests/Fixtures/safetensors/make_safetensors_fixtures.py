#!/usr/bin/env python3
"""Writes the files beside this script with safetensors 0.8 and PyTorch: `python make_safetensors_fixtures.py`.

Every tensor's bytes count up from 0 (bool: 0 1 0 1 …), so the tests know them without a second file.
headers.tsv lists headers, good and bad, with the verdict of the reference implementation on each.
"""

import json
import os
import struct

import torch
from safetensors import deserialize, safe_open
from safetensors.torch import save_file, save_model

HERE = os.path.dirname(os.path.abspath(__file__))


def path(*names):
    return os.path.join(HERE, *names)


def counting(dtype, *shape):
    """A tensor whose bytes are 0, 1, 2, … (mod 256)."""
    size = torch.empty(0, dtype=dtype).element_size()
    count = 1
    for length in shape:
        count *= length
    if dtype == torch.bool:
        return (torch.arange(count) % 2).to(torch.bool).reshape(shape)
    data = (torch.arange(count * size) % 256).to(torch.uint8)
    return data.view(dtype).reshape(shape) if count else torch.empty(shape, dtype=dtype)


# All the types that PyTorch has, in an order that is not the file's. In PyTorch one element of float4_e2m1fn_x2 is a byte;
# the header counts the two halves.
TYPES = """uint8 bool int8 float8_e5m2 float8_e4m3fn float8_e8m0fnu float8_e4m3fnuz float8_e5m2fnuz int16 uint16 float16
bfloat16 int32 uint32 float32 complex64 float64 int64 uint64 float4_e2m1fn_x2""".split()
save_file({"a." + name: counting(getattr(torch, name), 3, 2) for name in TYPES}, path("dtypes.safetensors"))

save_file({}, path("empty.safetensors"))
save_file(
    {
        "scalar": counting(torch.float32),
        "none": counting(torch.float32, 0),
        "none.between": counting(torch.int64, 2, 0, 3),
        "one": counting(torch.float32, 1),
        "many.axes": counting(torch.int16, 1, 2, 1, 2, 1, 2, 1, 1, 1),
    },
    path("shapes.safetensors"),
)
NAMES = [
    "plain.weight", "", " ", 'quote"', "back\\slash", "slash/", "line\nfeed", "tab\t", "return\r", "bell\x07",
    "back\x08space", "form\x0cfeed", "null\x00", "escape\x1b", "delete\x7f", "é", "ß", "日本語", "😀", "\u2028",
    "\ufeff", "a" * 300, "Z", "a", "a.10", "a.9",
]
save_file({name: counting(torch.uint8, 2) for name in NAMES}, path("names.safetensors"))
save_file(
    {"weight": counting(torch.float32, 2, 2), "bias": counting(torch.float32, 2)},
    path("metadata.safetensors"),
    metadata={'for\tmat "é"': "pt\n\u0001😀/\\"},
)


class Tied(torch.nn.Module):
    """`head.weight` and `embed.weight` are one parameter: the file has `embed.weight` and says so of the other."""

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(3, 4)
        self.embed = torch.nn.Embedding(4, 3)
        with torch.no_grad():
            self.head.weight.copy_(counting(torch.float32, 4, 3))
            self.head.bias.copy_(counting(torch.float32, 4))
        self.embed.weight = self.head.weight


save_model(Tied(), path("tied.safetensors"))


# A checkpoint in two files, and the index in the spelling of Transformers.
os.makedirs(path("sharded"), exist_ok=True)
shards = {
    "model-00001-of-00002.safetensors": {
        "b.weight": counting(torch.float32, 2, 2),
        "a.bias": counting(torch.float16, 3),
    },
    "model-00002-of-00002.safetensors": {"a.weight": counting(torch.bfloat16, 2, 3)},
}
for name, tensors in shards.items():
    save_file(tensors, path("sharded", name), metadata={"format": "pt"})
index = {
    "metadata": {"total_size": 34, "total_parameters": 13, "origin": "test"},
    "weight_map": {
        "a.weight": "model-00002-of-00002.safetensors",
        "a.bias": "model-00001-of-00002.safetensors",
        "b.weight": "model-00001-of-00002.safetensors",
    },
}
with open(path("sharded", "model.safetensors.index.json"), "w") as file:
    file.write(json.dumps(index, indent=2) + "\n")


# Headers and the reference's verdict on each: name, header, bytes of data, and the claimed length where it is not the true one.

U8 = '"dtype":"U8","shape":[2],"data_offsets":[0,2]'


def one(fields):
    return '{"a":{%s}}' % fields


def more(name, dtype, shape, start, end):
    """Another tensor behind the first."""
    return ',"%s":{"dtype":"%s","shape":%s,"data_offsets":[%s,%s]}' % (name, dtype, shape, start, end)


def info(dtype, shape, start, end):
    return one('"dtype":"%s","shape":%s,"data_offsets":[%s,%s]' % (dtype, shape, start, end))


def extra(value):
    return one(U8 + ',"x":' + value)


def nested(levels):
    return extra("[" * levels + "]" * levels)


CASES = [
    ("plain", one(U8), 2),
    ("no tensors", "{}", 0),
    ("no tensors but data", "{}", 1),
    ("data missing", one(U8), 1),
    ("data left over", one(U8), 3),
    ("empty header", "", 0),
    ("length beyond the file", one(U8), 2, 60),
    ("length one short", one(U8), 2, len(one(U8)) - 1),
    ("length zero", one(U8), 2, 0),
    ("length beyond the limit", one(U8), 2, 100_000_001),
    ("length 2^63", one(U8), 2, 1 << 63),
    ("length 2^64 - 1", one(U8), 2, (1 << 64) - 1),
    ("white space around", " \n\r\t" + one(U8) + " \t\r\n  ", 2),
    ("white space between", '{ "a" :\n{ "dtype" : "U8" , "shape" : [ 2 ] ,\t"data_offsets" : [ 0 , 2 ] } }', 2),
    ("vertical tab", "\x0b" + one(U8), 2),
    ("form feed behind", one(U8) + "\x0c", 2),
    ("no-break space behind", one(U8) + "\u00a0", 2),
    ("zero bytes behind", one(U8) + "\0\0", 2),
    ("byte order mark", "\ufeff" + one(U8), 2),
    ("trailing brace", one(U8) + "}", 2),
    ("trailing object", one(U8) + "{}", 2),
    ("comment", one(U8) + "//", 2),
    ("array at the top", "[]", 0),
    ("null at the top", "null", 0),
    ("number at the top", "1", 0),
    ("unclosed object", one(U8)[:-1], 2),
    ("unclosed string", '{"a', 0),
    ("only a brace", "{", 0),
    ("trailing comma in the object", '{"a":{%s},}' % U8, 2),
    ("trailing comma in the tensor", '{"a":{%s,}}' % U8, 2),
    ("trailing comma in the shape", info("U8", "[2,]", 0, 2), 2),
    ("leading comma", '{,"a":{%s}}' % U8, 2),
    ("double comma", '{"a":{%s},,"b":{%s}}' % (U8, U8), 2),
    ("comma missing", '{"a":{"dtype":"U8" "shape":[2],"data_offsets":[0,2]}}', 2),
    ("colon missing", '{"a"{%s}}' % U8, 2),
    ("single quotes", one(U8).replace('"', "'"), 2),
    ("name without quotes", one(U8).replace('"a"', "a"), 2),
    ("name null", "{null:{%s}}" % U8, 2),
    # Names and strings.
    ("escaped name", '{"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9":{%s}}' % U8, 2),
    ("surrogate pair", '{"\\ud83d\\uDE00":{%s}}' % U8, 2),
    ("leading surrogate alone", '{"\\ud83d":{%s}}' % U8, 2),
    ("leading surrogate and a letter", '{"\\ud83dx":{%s}}' % U8, 2),
    ("leading surrogate and an escape", '{"\\ud83d\\n":{%s}}' % U8, 2),
    ("two leading surrogates", '{"\\ud83d\\ud83d\\ude00":{%s}}' % U8, 2),
    ("leading surrogate and a scalar", '{"\\ud83d\\u0041":{%s}}' % U8, 2),
    ("trailing surrogate alone", '{"\\ude00":{%s}}' % U8, 2),
    ("surrogate in a value nobody reads", extra('"\\ud83d"'), 2),
    ("escaped zero", '{"\\u0000":{%s}}' % U8, 2),
    ("three hexadecimal digits", '{"\\u00e":{%s}}' % U8, 2),
    ("signed hexadecimal digits", '{"\\u+0e9":{%s}}' % U8, 2),
    ("unknown escape", '{"\\x41":{%s}}' % U8, 2),
    ("capital escape", '{"\\N":{%s}}' % U8, 2),
    ("control character in a name", '{"\x1f":{%s}}' % U8, 2),
    ("line feed in a name", '{"\n":{%s}}' % U8, 2),
    ("delete in a name", '{"\x7f":{%s}}' % U8, 2),
    ("line separator in a name", '{"\u2028":{%s}}' % U8, 2),
    ("invalid UTF-8", b'{"\xff":{' + U8.encode() + b"}}", 2),
    ("overlong UTF-8", b'{"\xc0\xaf":{' + U8.encode() + b"}}", 2),
    ("surrogate in UTF-8", b'{"\xed\xa0\x80":{' + U8.encode() + b"}}", 2),
    ("code point beyond Unicode", b'{"\xf4\x90\x80\x80":{' + U8.encode() + b"}}", 2),
    ("UTF-8 cut off", b'{"\xe3\x81":{' + U8.encode() + b"}}", 2),
    ("invalid UTF-8 in a value nobody reads", b'{"a":{' + U8.encode() + b',"x":"\x80"}}', 2),
    ("invalid UTF-8 outside a string", one(U8).encode() + b"\xa0", 2),
    # Fields.
    ("unknown fields", extra('[1,-2.5e-3,true,false,null,{"y":{}},"z"]'), 2),
    ("unknown field twice", one(U8 + ',"x":1,"x":2'), 2),
    ("unknown field of bad syntax", extra("[1 2]"), 2),
    ("unknown field of a bad word", extra("tru"), 2),
    ("unknown field of a capital word", extra("True"), 2),
    ("fields in another order", one('"data_offsets":[0,2],"shape":[2],"dtype":"U8"'), 2),
    ("escaped field names", one('"\\u0064type":"\\u00558","sh\\u0061pe":[2],"data\\u005foffsets":[0,2]'), 2),
    ("dtype missing", one('"shape":[2],"data_offsets":[0,2]'), 2),
    ("shape missing", one('"dtype":"U8","data_offsets":[0,2]'), 2),
    ("offsets missing", one('"dtype":"U8","shape":[2]'), 2),
    ("dtype twice", one(U8 + ',"dtype":"U8"'), 2),
    ("shape twice", one(U8 + ',"shape":[2]'), 2),
    ("offsets twice", one(U8 + ',"data_offsets":[0,2]'), 2),
    ("tensor as an array", '{"a":["U8",[2],[0,2]]}', 2),
    ("tensor as a short array", '{"a":["U8",[2]]}', 2),
    ("tensor as a long array", '{"a":["U8",[2],[0,2],null]}', 2),
    ("tensor null", '{"a":null}', 0),
    ("tensor a string", '{"a":"U8"}', 0),
    ("tensor empty", '{"a":{}}', 0),
    ("dtype as an object of null", one('"dtype":{"U8":null},"shape":[2],"data_offsets":[0,2]'), 2),
    ("dtype as an object of an object", one('"dtype":{"U8":{}},"shape":[2],"data_offsets":[0,2]'), 2),
    ("dtype as an object of two", one('"dtype":{"U8":null,"I8":null},"shape":[2],"data_offsets":[0,2]'), 2),
    ("dtype as an empty object", one('"dtype":{},"shape":[2],"data_offsets":[0,2]'), 2),
    ("dtype as a number", one('"dtype":4,"shape":[2],"data_offsets":[0,2]'), 2),
    ("dtype null", one('"dtype":null,"shape":[2],"data_offsets":[0,2]'), 2),
    ("dtype in small letters", info("u8", "[2]", 0, 2), 2),
    ("dtype unknown", info("C128", "[1]", 0, 16), 16),
    ("dtype empty", info("", "[2]", 0, 2), 2),
    # Numbers.
    ("negative zero as an offset", info("U8", "[2]", "-0", 2), 2),
    ("negative length", info("U8", "[-2]", 0, 2), 2),
    ("real length", info("U8", "[2.0]", 0, 2), 2),
    ("length with an exponent", info("U8", "[2e0]", 0, 2), 2),
    ("length as a string", info("U8", '["2"]', 0, 2), 2),
    ("length null", info("U8", "[null]", 0, 2), 2),
    ("length true", info("U8", "[true]", 0, 2), 2),
    ("length with a leading zero", info("U8", "[02]", 0, 2), 2),
    ("length with a plus", info("U8", "[+2]", 0, 2), 2),
    ("shape null", info("U8", "null", 0, 2), 2),
    ("shape an object", info("U8", "{}", 0, 2), 2),
    ("shape a number", info("U8", "2", 0, 2), 2),
    ("one offset", one('"dtype":"U8","shape":[2],"data_offsets":[0]'), 2),
    ("three offsets", one('"dtype":"U8","shape":[2],"data_offsets":[0,2,2]'), 2),
    ("no offsets", one('"dtype":"U8","shape":[2],"data_offsets":[]'), 2),
    ("offset of 2^64 - 1", info("U8", "[2]", 0, (1 << 64) - 1), 2),
    ("offset of 2^64", info("U8", "[2]", 0, 1 << 64), 2),
    ("length of 2^64", info("U8", "[%d]" % (1 << 64), 0, 2), 2),
    ("number without digits", extra("-"), 2),
    ("number ending in a point", extra("1."), 2),
    ("number starting with a point", extra(".5"), 2),
    ("number without exponent digits", extra("1e+"), 2),
    ("number in hexadecimal", extra("0x1"), 2),
    ("number 1e308", extra("1e308"), 2),
    ("number 1e309", extra("1e309"), 2),
    ("number -1e309", extra("-1e309"), 2),
    ("number just in range", extra("17976931348623157e292"), 2),
    ("number just out of range", extra("1.7976931348623159e308"), 2),
    ("greatest double, refused for its rounding", extra("1.7976931348623158e308"), 2),
    ("number of 308 digits", extra("9" * 308), 2),
    ("number of 310 digits", extra("1" * 310), 2),
    ("zero with a great exponent", extra("0e99999999999"), 2),
    ("number with a great negative exponent", extra("1e-99999999999"), 2),
    ("number with an overflowing exponent", extra("1e99999999999"), 2),
    ("long fraction against a great exponent", extra("0." + "0" * 40 + "1e340"), 2),
    ("not a number", extra("NaN"), 2),
    ("infinity", extra("Infinity"), 2),
    # Depth: the header and the tensor are two levels.
    ("127 levels", nested(125), 2),
    ("128 levels", nested(126), 2),
    ("127 levels of objects", extra('{"x":' * 125 + "1" + "}" * 125), 2),
    ("128 levels of objects", extra('{"x":' * 126 + "1" + "}" * 126), 2),
    # Metadata.
    ("metadata", '{"__metadata__":{"k":"v"},"a":{%s}}' % U8, 2),
    ("metadata last", '{"a":{%s},"__metadata__":{"k":"v"}}' % U8, 2),
    ("metadata empty", '{"__metadata__":{}}', 0),
    ("metadata null", '{"__metadata__":null}', 0),
    ("metadata escaped", '{"\\u005f_metadata__":{"k":"v"}}', 0),
    ("metadata twice", '{"__metadata__":{},"__metadata__":{}}', 0),
    ("metadata an array", '{"__metadata__":[]}', 0),
    ("metadata a string", '{"__metadata__":"x"}', 0),
    ("metadata of a number", '{"__metadata__":{"k":1}}', 0),
    ("metadata of null", '{"__metadata__":{"k":null}}', 0),
    ("metadata of an object", '{"__metadata__":{"k":{}}}', 0),
    ("metadata as a tensor", '{"__metadata__":{%s}}' % U8, 2),
    # Places and sizes.
    ("two tensors in the other order", '{"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},"a":{%s}}' % U8, 3),
    ("hole", '{"a":{%s},"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}' % U8, 4),
    ("overlap", '{"a":{%s},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}' % U8, 3),
    ("two tensors at one place", '{"a":{%s},"b":{%s}}' % (U8, U8), 2),
    ("hole at the start", info("U8", "[2]", 1, 3), 3),
    ("offsets in reverse", info("U8", "[2]", 2, 0), 2),
    ("end before the start", '{"a":{%s},"b":{"dtype":"U8","shape":[0],"data_offsets":[2,1]}}' % U8, 2),
    ("empty tensors at one place", info("U8", "[0]", 0, 0)[:-1] + more("b", "I64", "[3,0]", 0, 0) + "}", 0),
    ("empty tensor between", one(U8)[:-1] + more("e", "F32", "[0]", 2, 2) + more("b", "U8", "[1]", 2, 3) + "}", 3),
    ("empty tensor elsewhere", '{"a":{%s},"e":{"dtype":"F32","shape":[0],"data_offsets":[1,1]}}' % U8, 2),
    ("size too small for the shape", info("U8", "[3]", 0, 2), 2),
    ("size too great for the shape", info("U8", "[1]", 0, 2), 2),
    ("size of another dtype", info("F32", "[2]", 0, 2), 2),
    ("scalar", info("U8", "[]", 0, 1), 1),
    ("64 axes", info("U8", "[" + "1," * 63 + "2]", 0, 2), 2),
    ("product overflows", info("U8", "[4294967296,4294967296]", 0, 0), 0),
    ("product overflows to the right size", info("U8", "[9223372036854775809,2]", 0, 2), 2),
    ("product overflows before a zero", info("U8", "[4294967296,4294967296,0]", 0, 0), 0),
    ("zero before the product overflows", info("U8", "[0,4294967296,4294967296]", 0, 0), 0),
    ("bits overflow", info("F64", "[2305843009213693952]", 0, 0), 0),
    ("bytes overflow 2^63", info("U8", "[9223372036854775807,1]", 0, 9223372036854775807), 0),
    ("half bytes", info("F4", "[4]", 0, 2), 2),
    ("half a byte left over", info("F4", "[3]", 0, 2), 2),
    ("half bytes counted as bytes", info("F4", "[2]", 0, 2), 2),
    ("six bits", info("F6_E2M3", "[2,2]", 0, 3), 3),
    ("six bits left over", info("F6_E3M2", "[3]", 0, 3), 3),
    ("six bits, none", info("F6_E3M2", "[0]", 0, 0), 0),
    # Differences that are meant.
    ("ours: name twice", '{"a":{%s},"a":{%s}}' % (U8, U8), 2),
    ("ours: name twice, both empty", info("U8", "[0]", 0, 0)[:-1] + more("\\u0061", "I8", "[0]", 0, 0) + "}", 0),
    ("ours: name in two Unicode forms", '{"\u00e9":{%s}' % U8 + more("e\u0301", "U8", "[1]", 2, 3) + "}", 3),
    ("metadata key twice", '{"__metadata__":{"k":"v","k":"w"}}', 0),
    ("65 axes", info("U8", "[" + "1," * 64 + "2]", 0, 2), 2),
    ("ours: empty axis beyond 2^63", info("U8", "[0,18446744073709551615]", 0, 0), 0),
]


def accepts(content):
    """The verdicts of both ways into the reference, which must agree."""
    try:
        deserialize(content)
        whole = True
    except Exception:
        whole = False
    name = path("probe.tmp")
    with open(name, "wb") as file:
        file.write(content)
    try:
        with safe_open(name, "pt"):
            lazy = True
    except Exception:
        lazy = False
    finally:
        os.remove(name)
    assert whole == lazy, content
    return whole


def escaped(header):
    def shown(byte):
        if byte == 0x5C:
            return "\\\\"
        return chr(byte) if 0x20 <= byte < 0x7F else "\\x%02x" % byte

    return "".join(map(shown, header))


with open(path("headers.tsv"), "w") as file:
    file.write("# verdict, name, claimed length (- where it is the true one), bytes of data, header\n")
    file.write("# In the header \\\\ is a backslash and \\xNN a byte.\n")
    for name, header, size, *claimed in CASES:
        header = header if isinstance(header, bytes) else header.encode()
        length = claimed[0] if claimed else len(header)
        verdict = accepts(struct.pack("<Q", length) + header + bytes(size))
        claim = str(claimed[0]) if claimed else "-"
        columns = ["accept" if verdict else "refuse", name, claim, str(size), escaped(header)]
        file.write("\t".join(columns) + "\n")
