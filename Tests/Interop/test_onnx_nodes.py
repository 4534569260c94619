"""onnx's own cases, operator by operator: what is claimed gives what onnx says."""

import re

import numpy as np
import pytest
import torch
from onnx.backend.test.case.node import collect_testcases
from onnx_runs import case, interpreted, tensor
from safetensors.torch import load_file

# What is carried and listed by name, but not computed.
UNKNOWN = {
    "AffineGrid", "BitCast", "BlackmanWindow", "CausalConvWithState", "Col2Im", "DeformConv", "Det",
    "HammingWindow", "HannWindow", "ImageDecoder", "LinearAttention", "Loop", "MaxUnpool", "MelWeightMatrix",
    "NonMaxSuppression", "OptionalGetElement", "OptionalHasElement", "STFT", "Scan",
    "SequenceConstruct", "SequenceMap", "SplitToSequence", "SwiGLU", "TensorScatter",
    "TfIdfVectorizer", "Unique", "Bernoulli", "RandomUniformLike", "RegexFullMatch", "StringConcat", "StringNormalizer",
    "StringSplit", "SequenceEmpty", "SequenceLength", "SequenceInsert",
}  # fmt: skip
# Cases that differ, with the reason.
OTHERWISE = {
    r"test_resize_downsample_scales_(linear|cubic)_align_corners": "as ONNX Runtime: by the rounded length",
    r"test_mod_float_edge_cases_fmod_0.*": "infinite divisors give NaN",
    r"test_bitshift_.*_negative_shift": "shifts by less than nothing are refused",
    r"test_training_dropout.*": "draws random numbers",
    r"test_range_.*_expanded": "spelled out as a loop",
}


def operators(graph):
    for node in graph.node:
        yield (node.domain, node.op_type)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from operators(attribute.g)


def is_claimed(each):
    if any(re.fullmatch(pattern, each.name) for pattern in OTHERWISE):
        return False
    names = set(operators(each.model.graph)) | {pair for f in each.model.functions for pair in operators(f)}
    return not any(domain not in ("", "ai.onnx") or name in UNKNOWN for domain, name in names)


def is_of_numbers(each):
    values = [value for values in each.data_sets[0] for value in values] if each.data_sets else [None]
    return all(isinstance(v, (np.ndarray, np.generic)) and v.dtype.kind in "fiub" for v in map(plain, values))


def plain(value):
    array = np.asarray(value) if isinstance(value, (np.ndarray, np.generic)) else value
    return array.astype(np.float32) if isinstance(array, np.ndarray) and array.dtype.name == "bfloat16" else array


CASES = {each.name: each for each in collect_testcases(None) if is_claimed(each) and is_of_numbers(each)}


@pytest.fixture(scope="session")
def node_cases(tmp_path_factory):
    root = tmp_path_factory.mktemp("nodes")
    for name, each in CASES.items():
        names = [value.name for value in each.model.graph.input]
        case(root / name, each.model, dict(zip(names, each.data_sets[0][0])))
    return root, interpreted([root / name for name in CASES])


def test_most_of_onnx_is_claimed():
    assert len(CASES) > 1250


@pytest.mark.parametrize("name", CASES)
def test_node(name, node_cases):
    root, lines = node_cases
    each = CASES[name]
    assert lines[str(root / name)].startswith("ok"), lines[str(root / name)]
    actual = load_file(root / name / "outputs.safetensors")
    for output, value in zip(each.model.graph.output, each.data_sets[0][1]):
        value, ours = tensor(value), actual[output.name]
        assert value.shape == ours.shape and value.dtype == ours.dtype
        # A sum of sixteen bits is rounded at other places.
        rounding = {torch.float16: 2e-3, torch.bfloat16: 2e-2}.get(value.dtype, 0)
        torch.testing.assert_close(
            ours, value, rtol=max(each.rtol, rounding), atol=max(each.atol, 1e-5, rounding), equal_nan=True
        )
