"""Writes the inputs that fuzzing begins with, a folder of small files for each target, and the dictionaries.

    python make_corpora.py [FOLDER]

Needs torch, safetensors, onnx, numpy and Pillow. Files whose names begin with `found-` are what fuzzing has found; they stay.
"""

import gzip
import io
import json
import random
import struct
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import nn

HERE = Path(__file__).resolve().parent
FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "Corpora"


def put(target, name, content):
    folder = FOLDER / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def pickled(value, **options):
    """The pickle of a checkpoint without its archive."""
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    with zipfile.ZipFile(stream) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        return archive.read(name)


def pickles():
    """Every storage has 64 bytes, which is what the target gives each."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(16)
    norm.num_batches_tracked = torch.zeros(8, dtype=torch.int64)
    net = nn.Sequential(nn.Conv2d(1, 16, 1, bias=False), norm, nn.ReLU(), nn.Flatten(), nn.Linear(4, 4, bias=False))
    put("pickle", "module", pickled(net))
    put("pickle", "state", pickled(net.state_dict()))
    momenta = {"state": {0: {"momentum_buffer": torch.ones(16)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    put("pickle", "training", pickled({"model": nn.Linear(4, 4, bias=False), "epoch": 3, "optimizer": momenta, "best": np.float64(0.5)}))
    base = torch.arange(16.0)
    views = {"a": base[2:6], "b": base.view(4, 4).t(), "c": base.as_strided((2, 2), (1, 2)), "d": base[:1].expand(5, 7)}
    put("pickle", "views", pickled(views))
    put("pickle", "types", pickled({str(t): torch.zeros(64 // t.itemsize, dtype=t) for t in (torch.float16, torch.bfloat16, torch.int8, torch.bool, torch.float64)}))
    put("pickle", "nested", pickled({"state_dict": OrderedDict([("module.fc.weight", torch.ones(4, 4))]), "meta": [None, True, 2**70, -1.5, "ü", b"x", (1,), {2}]}))
    for protocol in (3, 4, 5):
        put("pickle", f"protocol{protocol}", pickled({"w": torch.ones(16)}, pickle_protocol=protocol))
    put("pickle", "recurrent", pickled(nn.RNN(4, 4, bias=False)))
    # A whole file, whose zip archive has no checksums to keep: they stand in the directory alone.
    stream = io.BytesIO()
    torch.save({"w": torch.ones(2)}, stream)
    put("checkpoint", "state.pt", stream.getvalue())
    stream = io.BytesIO()
    torch.save({"w": torch.ones(2)}, stream, _use_new_zipfile_serialization=False)
    put("checkpoint", "legacy.pt", stream.getvalue())


def safetensors():
    entry = lambda dtype, shape, start, end: {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    # Of 256 bytes of data, which is what the target gives.
    headers = {
        "one": {"w": entry("F32", [8, 8], 0, 256)},
        "several": {"__metadata__": {"format": "pt"}, "a.weight": entry("F32", [4, 8], 0, 128), "a.bias": entry("F16", [8], 128, 144),
                    "n": entry("I64", [], 144, 152), "e": entry("BF16", [0, 5], 152, 152), "b": entry("BOOL", [104], 152, 256)},
        "norm": {name: entry("F32", [16], 64 * k, 64 * k + 64) for k, name in enumerate(["0.weight", "0.bias", "0.running_mean", "0.running_var"])},
    }  # fmt: skip
    for name, header in headers.items():
        put("safetensors", name, json.dumps(header))
    tensors = {"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}, "metadata": {"total_size": 16}}
    put("index", "both", json.dumps(tensors))
    put("index", "one", json.dumps({"weight_map": {"a": "a.safetensors"}}))
    put("index", "missing", json.dumps({"weight_map": {"a": "a.safetensors", "c": "c.safetensors"}}))
    put("index", "outside", json.dumps({"weight_map": {"a": "../a.safetensors", "b": "/b.safetensors"}}))


def onnx_models():
    value = lambda name, shape, kind=TensorProto.FLOAT: helper.make_tensor_value_info(name, kind, shape)
    weight = lambda name, *shape: numpy_helper.from_array(np.linspace(-1, 1, max(1, int(np.prod(shape))), dtype=np.float32).reshape(shape), name)
    ints = lambda name, *values: numpy_helper.from_array(np.array(values, np.int64), name)

    def model(name, nodes, inputs, weights=(), outputs=("y",), functions=(), opset=17):
        graph = helper.make_graph(nodes, name, inputs, [value(output, None) for output in outputs], list(weights))
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("own", 1)], functions=list(functions))
        put("onnx", name, made.SerializeToString())

    x = [value("x", [1, 2, 5, 5])]
    node = helper.make_node
    norm = [weight(n, 3) for n in ("scale", "shift", "mean")] + [numpy_helper.from_array(np.ones(3, np.float32), "var")]
    model("convolution", [node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), node("BatchNormalization", ["c", "scale", "shift", "mean", "var"], ["n"]),
                          node("Relu", ["n"], ["y"])], x, [weight("w", 3, 2, 3, 3), *norm])  # fmt: skip
    model("classifier", [node("GlobalAveragePool", ["x"], ["p"]), node("Flatten", ["p"], ["f"]), node("Gemm", ["f", "w", "b"], ["g"], transB=1),
                         node("Softmax", ["g"], ["y"])], x, [weight("w", 3, 2), weight("b", 3)])  # fmt: skip
    model("sizes", [node("Shape", ["x"], ["s"]), node("Gather", ["s", "i"], ["n"], axis=0), node("Concat", ["n", "m"], ["t"], axis=0),
                    node("Reshape", ["x", "t"], ["y"])], [value("x", ["batch", 2, 5, 5])], [ints("i", 0), ints("m", -1)])  # fmt: skip
    model("resize", [node("Resize", ["x", "", "scales"], ["r"], mode="linear"), node("Slice", ["r", "a", "b", "axes", "step"], ["y"])], x,
          [numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"), ints("a", 1), ints("b", 9), ints("axes", 2), ints("step", 3)])  # fmt: skip
    model("recurrence", [node("LSTM", ["x", "w", "r"], ["y"], hidden_size=3)], [value("x", [4, 1, 2])], [weight("w", 1, 12, 2), weight("r", 1, 12, 3)])
    branch = lambda name, operation: helper.make_graph([node(operation, ["x"], [name])], name, [], [value(name, None)])
    model("branches", [node("If", ["c"], ["y"], then_branch=branch("a", "Relu"), else_branch=branch("b", "Neg"))], x,
          [numpy_helper.from_array(np.array(True), "c")])  # fmt: skip
    model("quantized", [node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["y"])], x,
          [numpy_helper.from_array(np.float32(0.1), "s"), numpy_helper.from_array(np.uint8(128), "z")])  # fmt: skip
    twice = helper.make_function("own", "Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)])
    model("function", [node("Twice", ["x"], ["y"], domain="own")], x, functions=[twice])
    model("attention", [node("MatMul", ["q", "k"], ["s"]), node("Einsum", ["s", "v"], ["y"], equation="bij,bjk->bik")],
          [value("q", [1, 3, 4]), value("k", [1, 4, 3]), value("v", [1, 3, 2])])  # fmt: skip
    model("pools", [node("MaxPool", ["x"], ["p"], kernel_shape=[3, 2], strides=[2, 1], ceil_mode=1), node("AveragePool", ["p"], ["y"], kernel_shape=[2, 2], auto_pad="SAME_UPPER")], x)
    outside = weight("w", 3, 2)
    outside.ClearField("raw_data")
    outside.data_location = TensorProto.EXTERNAL
    for key, text in (("location", "weights.bin"), ("offset", "0"), ("length", "24")):
        outside.external_data.add(key=key, value=text)
    model("beside", [node("MatMul", ["x", "w"], ["y"])], [value("x", [2, 3])], [outside])


def descriptions():
    put("yaml", "data", "path: .\ntrain: images\nval: [images, list.txt]\nnc: 2\nnames: [a, 'b c']\n")
    put("yaml", "names", "train: images\nval: images\nnames:\n  0: one\n  1: \"two\"\n# end\n")
    put("yaml", "recipe", "lr0: 0.01\nmomentum: 0.937\nmosaic: 1.0\nfliplr: 0.5\nbox: 7.5\n")
    put("yaml", "yolov5", """nc: 2
depth_multiple: 0.33
width_multiple: 0.25
anchors:
  - [10,13, 16,30]
backbone:
  [[-1, 1, Conv, [64, 6, 2, 2]],
   [-1, 3, C3, [128]],
   [-1, 1, SPPF, [128, 5]]]
head:
  [[-1, 1, nn.Upsample, [None, 2, 'nearest']],
   [[-1, 0], 1, Concat, [1]],
   [[3, 4], 1, Detect, [nc, anchors]]]
""")  # fmt: skip
    put("yaml", "yolov6", "family: yolov6\ndepth: 0.33\nwidth: 0.25\nclasses: 3\nmode: repvgg\nneck: bifpan\nlevels: 3\n")
    put("yaml", "text", "a: |\n  two\n  lines\nb: >-\n  folded\n  text\nc: {d: [1, 2.5e3, ~], 'e': null}\n")


def pictures():
    pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3) * 2
    colour = Image.fromarray(pixels)
    made = {"rgb.png": colour, "grey.png": colour.convert("L"), "bits.png": colour.convert("1"), "palette.png": colour.convert("P"),
            "alpha.png": colour.convert("RGBA"), "grey_alpha.png": colour.convert("LA"),
            "wide.png": Image.fromarray(np.arange(35, dtype=np.uint16).reshape(5, 7) * 1800)}  # fmt: skip
    for name, image in made.items():
        stream = io.BytesIO()
        image.save(stream, "png", optimize=True)
        put("pictures", name, stream.getvalue())
    turned = Image.Exif()
    turned[0x112] = 6
    for name, image, options in (("rgb.jpg", colour, {}), ("grey.jpg", colour.convert("L"), {}), ("ink.jpg", colour.convert("CMYK"), {}),
                                 ("progressive.jpg", colour, {"progressive": True}), ("turned.jpg", colour, {"exif": turned})):  # fmt: skip
        stream = io.BytesIO()
        image.save(stream, "jpeg", quality=60, **options)
        put("pictures", name, stream.getvalue())


def arrays():
    for name, array in {"f4": np.ones((2, 3), np.float32), "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "big": np.arange(3, dtype=">i4"),
                        "c16": np.ones(2, np.complex128), "b1": np.array([True]), "scalar": np.float16(2), "empty": np.zeros((0, 4), np.uint8)}.items():  # fmt: skip
        stream = io.BytesIO()
        np.save(stream, array)
        put("arrays", f"{name}.npy", stream.getvalue())
    for name, save in (("stored.npz", np.savez), ("deflated.npz", np.savez_compressed)):
        stream = io.BytesIO()
        save(stream, x_train=np.zeros((2, 3, 3), np.uint8), y_train=np.array([0, 1]))
        put("arrays", name, stream.getvalue())
    idx = struct.pack(">HBBIII", 0, 8, 3, 2, 3, 3) + bytes(18)
    put("arrays", "idx3-ubyte", idx)
    put("arrays", "idx3-ubyte.gz", gzip.compress(idx, mtime=0))
    put("arrays", "pixels.csv", "label,p0,p1,p2,p3\n1,0,255,3,4\n0,9,8,7,6\n")
    put("arrays", "paths.csv", 'path,label\n"a ""b"".png",cat\n')


def labels():
    put("labels", "boxes", "0 0.5 0.5 0.2 0.4\n1 0.1 0.1 0.2 0.2\n1 0.1 0.1 0.2 0.2\n")
    put("labels", "polygon", "2 0.1 0.1 0.5 0.1 0.5 0.5\n")
    put("labels", "instances", json.dumps({
        "images": [{"id": 1, "file_name": "one.png", "width": 16, "height": 12}], "categories": [{"id": 3, "name": "a"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 1, 12, 9.5], "area": 114, "iscrowd": 0}]}))  # fmt: skip


def graphs():
    source = random.Random(0)
    for number in range(24):
        put("graph", f"{number:02}", bytes(source.randrange(256) for _ in range(48 + 8 * number)))


def dictionaries():
    quoted = lambda words: "".join('"' + "".join(f"\\x{b:02x}" for b in w) + '"\n' for w in words)
    words = {
        "pickle": [b"\x80\x02", b"}q\x00", b"(", b"u.", b"Q", b"R", b"\x81", b"b", b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nFloatStorage\n",
                   b"ccollections\nOrderedDict\n", b"ctorch.nn.modules.conv\nConv2d\n", b"ctorch._utils\n_rebuild_parameter\n", b"storage", b"cpu",
                   b"_parameters", b"_buffers", b"_modules", b"state_dict", b"\x8a\x04", b"\x95", b"\x8c", b"\x93", b"\x94", b"X\x06\x00\x00\x00weight"],
        "safetensors": [b'"dtype":', b'"shape":', b'"data_offsets":', b'"__metadata__":', b'"F32"', b'"BF16"', b'"F8_E4M3"', b"[0,", b"18446744073709551615"],
        "index": [b'"weight_map":', b'"metadata":', b'"total_size":', b"a.safetensors", b"../"],
        "yaml": [b"backbone:", b"head:", b"Conv", b"C3", b"Detect", b"Concat", b"nc", b"anchors", b"family: yolov6", b"names:", b"train:", b"path:",
                 b"depth_multiple:", b"width_multiple:", b"|", b">-", b"- ", b": "],
        "pictures": [b"IHDR", b"IDAT", b"PLTE", b"tRNS", b"IEND", b"eXIf", b"iCCP", b"acTL", b"\xff\xd8", b"\xff\xc0", b"\xff\xc2", b"\xff\xc4", b"\xff\xda", b"\xff\xdb",
                     b"\xff\xdd", b"\xff\xe1", b"Exif\x00\x00", b"\xff\xee", b"Adobe"],
        "arrays": [b"\x93NUMPY\x01\x00", b"'descr': ", b"'fortran_order': ", b"'shape': ", b"True", b"'<f4'", b"'|O'", b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"\x1f\x8b\x08"],
        "labels": [b'"images":', b'"annotations":', b'"categories":', b'"bbox":', b'"image_id":', b'"category_id":', b'"iscrowd":', b'"id":', b"nan", b"1e400"],
        "onnx": [op.encode() for op in sorted({s.name for s in onnx.defs.get_all_schemas() if s.domain == ""})],
    }  # fmt: skip
    words["checkpoint"] = words["pickle"] + [b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"archive/data.pkl", b"byteorder", b"constants.pkl"]
    folder = HERE / "Dictionaries"
    folder.mkdir(exist_ok=True)
    for target, entries in words.items():
        (folder / f"{target}.dict").write_text(quoted(entries))


for make in (pickles, safetensors, onnx_models, descriptions, pictures, arrays, labels, graphs, dictionaries):
    make()
