"""What stands beside the tensors of a whole module: Python's libraries pass over it, and the command makes the module of it again."""

import json

from pathlib import Path

import nets
import pytest
import torch
import torchvision
from helpers import assert_same_outputs, mutils, report, succeeds
from safetensors import safe_open
from safetensors.torch import load_file

yolov5 = nets.import_yolov5()


@pytest.fixture
def net():
    torch.manual_seed(0)
    return torchvision.models.resnet18(num_classes=7).eval()


def test_python_passes_over_it(net, tmp_path):
    torch.save(net, tmp_path / "whole.pt")
    succeeds("convert", tmp_path / "whole.pt", "--state-dict", "-o", tmp_path / "state.pt")
    succeeds("convert", tmp_path / "whole.pt", "-o", tmp_path / "tensors.safetensors")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state._metadata == net.state_dict()._metadata and "mutils.module" in vars(state)
    for tensors in (state, load_file(tmp_path / "tensors.safetensors")):
        other = torchvision.models.resnet18(num_classes=7).eval()
        other.load_state_dict(tensors)
        assert_same_outputs(net(torch.ones(1, 3, 32, 32)), other(torch.ones(1, 3, 32, 32)), tolerance=0)
    # Saved anew by Python it is still there; by safetensors, which is given tensors alone, it is not.
    torch.save(state, tmp_path / "again.pt")
    assert report("info", tmp_path / "again.pt")["gflops"] == report("info", tmp_path / "whole.pt")["gflops"]
    with safe_open(tmp_path / "tensors.safetensors", "pt") as file:
        record = json.loads(file.metadata()["mutils.module"])
    assert record["module"]["class"] == ["torchvision.models.resnet", "ResNet"]


def test_tensors_that_were_changed(net, tmp_path):
    """A layer cut off in Python: the description no longer holds, and says nothing."""
    torch.save(net, tmp_path / "whole.pt")
    succeeds("convert", tmp_path / "whole.pt", "--state-dict", "-o", tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    del state["fc.weight"], state["fc.bias"]
    torch.save(state, tmp_path / "cut.pt")
    result = mutils("info", tmp_path / "cut.pt")
    assert result.code == 0 and "does not go with its tensors and is left aside" in result.err


@pytest.mark.parametrize("deploy", [False, True])
def test_fused_by_the_original(deploy, tmp_path):
    """A bare state dict of what YOLOv5's own fuse() left, which no file describes."""
    torch.manual_seed(0)
    yolo = yolov5.models.yolo
    model = yolo.DetectionModel(Path(yolo.__file__).parent / "yolov5n.yaml").eval()
    if deploy:
        model.fuse()
    torch.save(model.state_dict(), tmp_path / "state.pt")
    info = report("info", tmp_path / "state.pt")
    assert info["parameters"] == sum(p.numel() for p in model.parameters()) and info["gflops"]
    assert info["layers"] == len(list(model.modules()))
