"""What torch.hub gives of YOLOv5: the model in it is counted, run and fused."""

import copy

import nets
import pytest
import torch
from helpers import load, report, tensors_in
from output_judges import check_outputs


def build():
    common = nets.import_yolov5().models.common
    torch.manual_seed(3)
    path = common.__file__.replace("common.py", "yolov5n.yaml")
    return common, nets.lively(nets.import_yolov5().models.yolo.DetectionModel(path), 3).eval()


def wrapped(kind, tmp_path):
    common, model = build()
    if kind == "AutoShape":
        return common.AutoShape(model)
    torch.save({"model": model}, tmp_path / "weights.pt")
    backend = common.DetectMultiBackend(tmp_path / "weights.pt", device=torch.device("cpu"), fuse=False)
    return backend if kind == "DetectMultiBackend" else common.AutoShape(backend)


@pytest.mark.parametrize("kind", ["AutoShape", "DetectMultiBackend", "both"])
def test_wrapped_model(kind, tmp_path):
    model, x = wrapped(kind, tmp_path), torch.rand(1, 3, 64, 64)
    torch.save(build()[1], tmp_path / "plain.pt")
    torch.save(model, tmp_path / "in.pt")
    plain, result = report("info", tmp_path / "plain.pt"), report("info", tmp_path / "in.pt")
    assert result["gflops"] == plain["gflops"] and result["parameters"] == plain["parameters"]
    expected = [t.clone() for t in tensors_in(model(x))][:1]
    check_outputs(copy.deepcopy(model), x, tmp_path, count=1)
    fused = report("fuse", tmp_path / "in.pt", "-o", tmp_path / "out.pt")["fused"]
    assert len(fused) == len(report("fuse", tmp_path / "plain.pt", "-o", tmp_path / "plain-out.pt")["fused"]) == 57
    actual = tensors_in(load(tmp_path / "out.pt")(x))[:1]
    assert torch.allclose(actual[0], expected[0], rtol=1e-4, atol=1e-3)


def test_half_precision_is_refused(tmp_path):
    model = wrapped("DetectMultiBackend", tmp_path)
    model.fp16 = True
    torch.save(model, tmp_path / "in.pt")
    assert "float32" in report("info", tmp_path / "in.pt")["gflopsReason"]
