"""Broken and malicious pickles, made opcode by opcode; also as tools for making others."""

import functools
import struct

# --- pickles, opcode by opcode ----------------------------------------------------------------------------------

PROTO = b"\x80\x02"
STOP = b"."


def text(s):
    data = s.encode("utf-8")
    return b"X" + struct.pack("<I", len(data)) + data


def integer(n):
    if 0 <= n < 256:
        return b"K" + bytes([n])
    if -(2**31) <= n < 2**31:
        return b"J" + struct.pack("<i", n)
    data = n.to_bytes(n.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def tuple_of(*items):
    return b"(" + b"".join(items) + b"t"


def dict_of(**items):
    return b"}(" + b"".join(text(k) + v for k, v in items.items()) + b"u"


def call(function, *arguments):
    return function + tuple_of(*arguments) + b"R"


def storage(key="0", count=4, kind="FloatStorage", location="cpu"):
    return tuple_of(text("storage"), name("torch", kind), text(key), text(location), integer(count)) + b"Q"


def tensor(shape=(4,), stride=(1,), offset=0, **stored):
    return call(
        name("torch._utils", "_rebuild_tensor_v2"),
        storage(**stored),
        integer(offset),
        tuple_of(*map(integer, shape)),
        tuple_of(*map(integer, stride)),
        b"\x89",
        call(name("collections", "OrderedDict")),
    )


def state(**items):
    return PROTO + dict_of(**items) + STOP


# --- lists of pickles -----------------------------------------------------------------------------------------


@functools.cache
def bad_pickles():
    """name -> data.pkl that must be refused."""
    huge = 2**63
    return {
        "empty": b"",
        "no stop": PROTO + b"}",
        "stop at once": STOP,
        "stop after proto": PROTO + STOP,
        "protocol 6": b"\x80\x06}.",
        "protocol 255": b"\x80\xff}.",
        "unknown opcode": PROTO + b"\xff" + STOP,
        "unset memo, one byte": PROTO + b"h\x05" + STOP,
        "unset memo, four bytes": PROTO + b"j\xff\xff\xff\xff" + STOP,
        "unset memo, text": PROTO + b"g99999999999999999999\n" + STOP,
        "negative memo": PROTO + b"}p-1\n" + STOP,
        "put on an empty stack": PROTO + b"q\x00" + STOP,
        "memoize on an empty stack": PROTO + b"\x94" + STOP,
        "pop on an empty stack": PROTO + b"0" + STOP,
        "pop mark without mark": PROTO + b"1" + STOP,
        "dup on an empty stack": PROTO + b"2" + STOP,
        "tuple without mark": PROTO + b"K\x01t" + STOP,
        "list without mark": PROTO + b"K\x01l" + STOP,
        "dict without mark": PROTO + b"K\x01d" + STOP,
        "tuple1 on an empty stack": PROTO + b"\x85" + STOP,
        "tuple3 of two": PROTO + b"K\x01K\x01\x87" + STOP,
        "setitems without mark": PROTO + b"}K\x01K\x01u" + STOP,
        "setitems, odd": PROTO + b"}(K\x01u" + STOP,
        "setitems on a list": PROTO + b"](K\x01K\x01u" + STOP,
        "append to a dict": PROTO + b"}K\x01a" + STOP,
        "appends to an integer": PROTO + b"K\x01(K\x01e" + STOP,
        "append to nothing": PROTO + b"K\x01a" + STOP,
        "additems to a list": PROTO + b"](K\x01\x90" + STOP,
        "reduce of two integers": PROTO + b"K\x01K\x01R" + STOP,
        "reduce of nothing": PROTO + b"R" + STOP,
        "build on nothing": PROTO + b"b" + STOP,
        "newobj of nothing": PROTO + b"\x81" + STOP,
        "newobj of an integer": PROTO + b"K\x01)\x81" + STOP,
        "mark left on top": PROTO + b"(" + STOP,
        "stack global of integers": b"\x80\x04K\x01K\x02\x93" + STOP,
        "stack global of nothing": b"\x80\x04\x93" + STOP,
        "persistent id of nothing": PROTO + b"Q" + STOP,
        "persistent id of an integer": PROTO + b"K\x01Q" + STOP,
        "persistent id of another kind": PROTO + tuple_of(text("module"), integer(1)) + b"Q" + STOP,
        "persistent id, too short": PROTO + tuple_of(text("storage")) + b"Q" + STOP,
        "extension": PROTO + b"\x82\x01" + STOP,
        "out-of-band buffer": b"\x80\x05\x97" + STOP,
        "text cut short": PROTO + b"X\x64\x00\x00\x00abc" + STOP,
        "text of 4 GB": PROTO + b"X\xff\xff\xff\xffabc" + STOP,
        "text of 2^63 bytes": b"\x80\x04\x8d" + struct.pack("<Q", huge) + b"abc" + STOP,
        "bytes of 2^64 - 1": b"\x80\x04\x8e" + b"\xff" * 8 + b"abc" + STOP,
        "bytearray of 2^62": b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"abc" + STOP,
        "bytes cut short": b"\x80\x03B\xff\xff\xff\x7fabc" + STOP,
        "negative string length": PROTO + b"T\xff\xff\xff\xffabc" + STOP,
        "long of 2 GB": PROTO + b"\x8b\xff\xff\xff\x7f\x01" + STOP,
        "long of negative length": PROTO + b"\x8b\xff\xff\xff\xff\x01" + STOP,
        "frame longer than the file": b"\x80\x04\x95" + struct.pack("<Q", huge) + b"}" + STOP,
        "text that is not UTF-8": PROTO + b"}X\x02\x00\x00\x00\xff\xfeK\x01s" + STOP,
        "integer line that is no integer": PROTO + b"Iabc\n" + STOP,
        "line without end": PROTO + b"I12345",
        "global without end": PROTO + b"ctorch\nFloat",
        "just an integer": PROTO + b"K\x01" + STOP,
        "just None": PROTO + b"N" + STOP,
    }


@functools.cache
def bad_tensors():
    """name -> data.pkl whose tensors do not fit their storage of 16 bytes (or are no tensors at all)."""
    huge = 2**63
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    cases = {
        "longer than the storage": tensor((5,)),
        "offset beyond the storage": tensor((1,), (1,), 4),
        "huge offset": tensor((1,), (1,), 2**62),
        "negative offset": tensor((1,), (1,), -1),
        "stride beyond the storage": tensor((2,), (4,)),
        "huge stride": tensor((2,), (2**62,)),
        "stride that wraps": tensor((5,), (2**62,)),
        "negative stride": tensor((2,), (-1,), 1),
        "negative size": tensor((-1,)),
        "size 2^63": tensor((huge,)),
        "size 2^64": tensor((2**64 + 1,)),
        "sizes that wrap to four": tensor((2**62 + 1, 4), (4, 1)),
        "sizes that overflow": tensor((2**32, 2**32), (2**32, 1)),
        "sizes and strides of different length": tensor((2, 2), (1,)),
        "storage says more than it holds": tensor((8,), count=8),
        "storage says 2^62": tensor((4,), count=2**62),
        "storage says a negative count": tensor((4,), count=-4),
        "storage is missing": tensor(key="7"),
        "storage in another folder": tensor(key="../data.pkl"),
        "storage with an absolute name": tensor(key="/etc/passwd"),
        "storage of an unknown type": tensor(kind="SpamStorage"),
        "too few arguments": call(rebuild, storage()),
        "arguments of the wrong kind": call(rebuild, integer(1), integer(2), integer(3), integer(4), integer(5)),
        "sizes are text": call(
            rebuild,
            storage(),
            integer(0),
            tuple_of(text("4")),
            tuple_of(integer(1)),
            b"\x89",
            call(name("collections", "OrderedDict")),
        ),
    }
    return {k: state(good=tensor(), bad=v) for k, v in cases.items()}


@functools.cache
def odd_pickles():
    """name -> data.pkl that Python takes, cheaply: read or refused."""
    tail = b"(" + text("a") + tensor() + b"u" + STOP
    no_strides = call(
        name("torch._utils", "_rebuild_tensor_v2"),
        storage(),
        integer(0),
        tuple_of(integer(4)),
        b"N",
        b"\x89",
        call(name("collections", "OrderedDict")),
    )
    return {
        "memo 2^32 - 1": PROTO + b"}r\xff\xff\xff\xff" + tail,
        "memo beyond 2^64": PROTO + b"}p99999999999999999999\n" + tail,
        "memo again and again": PROTO + b"}" + b"q\x00" * 100_000 + tail,
        "memoize again and again": b"\x80\x04}" + b"\x94" * 100_000 + tail,
        "a number of 4,000 digits": PROTO + b"L" + b"9" * 4000 + b"L\n0}" + tail,
        "a number of 100,000 digits": PROTO + b"L" + b"9" * 100_000 + b"L\n0}" + tail,
        "a tall stack": PROTO + b"}" * 200_000 + tail,
        "strides are None": state(a=tensor(), b=no_strides),
        "an empty dict": PROTO + b"}" + STOP,
        "an empty list": PROTO + b"]" + STOP,
        "no tensors": state(a=integer(1), b=text("x")),
        "a list of tensors": PROTO + b"](" + tensor() + tensor() + b"e" + STOP,
        "a tensor alone": PROTO + tensor() + STOP,
        "keys that are no text": PROTO + b"}(K\x01" + tensor() + tuple_of(integer(1)) + tensor() + b"u" + STOP,
        "one key twice": PROTO + b"}(" + text("a") + tensor() + text("a") + tensor((2,), (1,)) + b"u" + STOP,
        "an unhashable key": PROTO + b"}(]" + tensor() + b"u" + STOP,
        "names with line feeds": state(**{"a\nmutils: error: b": tensor()}),
        "a name of a megabyte": state(**{"a" * (1 << 20): tensor()}),
    }


def deep(opening, closing, middle, depth):
    return opening * depth + middle + closing * depth


@functools.cache
def deep_pickles(depth=100_000):
    """name -> data.pkl that nests very deep beside a good tensor; Python's own unpickler does not recurse either."""
    memo = b"\x94"
    return {
        "lists": b"\x80\x04" + dict_of(a=tensor(), deep=b"]" * depth + b"a" * (depth - 1)) + STOP,
        "tuples": PROTO + dict_of(a=tensor(), deep=b")" + b"\x85" * depth) + STOP,
        "marked tuples": PROTO + dict_of(a=tensor(), deep=b"(" * depth + b"t" * depth) + STOP,
        "dicts": PROTO + dict_of(a=tensor(), deep=deep(b"}" + text("k"), b"s", b"N", depth)) + STOP,
        "calls": PROTO + dict_of(a=tensor(), deep=name("nowhere", "f") * 1 + b")R" + b")R" * depth) + STOP,
        "builds": PROTO
        + dict_of(a=tensor(), deep=deep(name("collections", "OrderedDict") + b")R", b"b", b"}", depth))
        + STOP,
        "memoised lists": b"\x80\x04" + dict_of(a=tensor(), deep=(b"]" + memo) * depth + b"a" * (depth - 1)) + STOP,
        "dicts as models": PROTO + deep(b"}" + text("state_dict"), b"s", dict_of(a=tensor()), depth) + STOP,
        "marks": PROTO + b"(" * depth + STOP,
    }


def deep_modules(depth=20_000):
    """Modules inside modules."""
    opening = (
        name("torch.nn.modules.container", "Sequential")
        + b")\x81}("
        + text("training")
        + b"\x88"
        + text("_parameters")
        + b"}"
        + text("_buffers")
        + b"}"
        + text("_modules")
        + b"}"
        + text("0")
    )
    return PROTO + opening * depth + b"N" + b"sub" * depth + STOP


@functools.cache
def wide_pickles():
    """name -> data.pkl that would grow without bounds if repeated references were copied."""
    doubled = b"]q\x00" + b"".join(
        b"]q" + bytes([i + 1]) + b"(h" + bytes([i]) + b"h" + bytes([i]) + b"e" for i in range(60)
    )
    # Each list holds the one before twice: 2^60 leaves when walked as a tree, 61 objects in memory.
    laughs = PROTO + b"}(" + text("a") + tensor() + text("deep") + doubled + b"u" + STOP
    loop = PROTO + b"}q\x00(" + text("a") + tensor() + text("self") + b"h\x00" + b"u" + STOP
    inner = PROTO + b"}q\x00(" + text("model") + b"h\x00" + text("state_dict") + b"h\x00" + b"u" + STOP
    return {"billion laughs": laughs, "a dict that holds itself": loop, "a model that is its own": inner}


@functools.cache
def malicious_pickles(marker):
    """name -> data.pkl that would leave the marker file behind if anything in it were called."""
    command = text(f"touch {marker}")
    python = text(f"open({marker!r}, 'w').close()")
    getattr_ = name("builtins", "getattr")
    imported = call(name("builtins", "__import__"), text("os"))
    return {
        "os.system": call(name("os", "system"), command),
        "posix.system": call(name("posix", "system"), command),
        "subprocess": call(name("subprocess", "check_output"), b"](" + text("touch") + text(marker) + b"e"),
        "eval": call(name("builtins", "eval"), python),
        "exec": call(name("__builtin__", "exec"), python),
        "getattr of an import": call(call(getattr_, imported, text("system")), command),
        "open": call(name("io", "open"), text(marker), text("w")),
        "pathlib": call(name("pathlib", "Path.touch"), call(name("pathlib", "Path"), text(marker))),
        "stack global": text("os") + text("system") + b"\x93" + tuple_of(command) + b"R",
        "inst": b"(" + command + b"ios\nsystem\n",
        "obj": b"(" + name("os", "system") + command + b"o",
        "newobj": name("os", "system") + tuple_of(command) + b"\x81",
        "newobj_ex": name("os", "system") + tuple_of(command) + b"}\x92",
        "build with setstate": name("torch", "Tensor")
        + b")\x81"
        + dict_of(__setstate__=name("os", "system"))
        + b"b"
        + command
        + b"b",
        "torch.load": call(name("torch", "load"), text(marker)),
        "torch.hub": call(name("torch.hub", "load"), text(marker), text("x")),
        "runpy": call(name("runpy", "run_path"), text(marker)),
        "rebuild with a callable": call(
            name("torch._tensor", "_rebuild_from_type_v2"),
            name("os", "system"),
            name("torch", "Tensor"),
            tuple_of(command),
            b"N",
        ),
        "import star": call(name("torch.serialization", "os.system"), command),
    }
