"""intersect transfers what YOLOv5's intersect_dicts and load_state_dict transfer."""

from pathlib import Path

import nets
import pytest
import torch
from helpers import fails, load, mutils, report, same_bits, succeeds
from torch import nn

general = nets.import_yolov5().utils.general


def source():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 255, 1), nn.Linear(4, 4))


def destination():
    torch.manual_seed(2)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 18, 1), nn.Linear(4, 4), nn.Linear(2, 2))


@pytest.mark.parametrize("exclude", [[], ["3."], ["bias", "running"]])
def test_against_the_original(tmp_path, exclude):
    model = destination()
    torch.save(source().state_dict(), tmp_path / "a.pt")
    torch.save(model.state_dict(), tmp_path / "b.pt")
    options = [x for text in exclude for x in ("--exclude", text)]
    answer = report("intersect", tmp_path / "a.pt", tmp_path / "b.pt", *options, "-o", tmp_path / "c.pt")
    common = general.intersect_dicts(source().state_dict(), model.state_dict(), exclude=exclude)
    assert answer["transferred"] == list(common)
    total = len(model.state_dict())
    model.load_state_dict(common, strict=False)
    ours = torch.load(tmp_path / "c.pt", weights_only=True)
    assert list(ours) == list(model.state_dict())
    assert all(same_bits(ours[k], v) for k, v in model.state_dict().items())
    text = succeeds("intersect", tmp_path / "a.pt", tmp_path / "b.pt", *options, "-o", tmp_path / "c.pt", "-f").out
    assert text.splitlines()[0] == f"Transferred {len(common)}/{total} items"


def test_reasons(tmp_path):
    extra = source().state_dict() | {"head": torch.ones(2)}
    torch.save(extra, tmp_path / "a.pt")
    torch.save(destination().state_dict(), tmp_path / "b.pt")
    answer = report("intersect", tmp_path / "a.pt", tmp_path / "b.pt", "--exclude", "3.w", "-o", tmp_path / "c.pt")
    assert {s["name"]: s["reason"] for s in answer["skipped"]} == {
        "2.weight": "shape [255, 8, 1, 1] against [18, 8, 1, 1]",
        "2.bias": "shape [255] against [18]",
        "3.weight": "excluded by '3.w'",
        "head": "not in target",
        "4.weight": "not in pretrained",
        "4.bias": "not in pretrained",
    }


@pytest.mark.parametrize("before", ["", "module.", "_orig_mod.module.", "model.", "module._orig_mod.model."])
@pytest.mark.parametrize("behind", ["", "module.", "model._orig_mod."])
def test_prefixes(tmp_path, before, behind):
    torch.save({before + k: v for k, v in source().state_dict().items()}, tmp_path / "a.pt")
    target = {behind + k: v for k, v in destination().state_dict().items()}
    torch.save(target, tmp_path / "b.pt")
    result = succeeds("intersect", tmp_path / "a.pt", tmp_path / "b.pt", "-o", tmp_path / "c.pt")
    assert result.out.startswith("Transferred 9/13 items\n")
    assert ("prefix" in result.err) == (before != behind)
    ours = torch.load(tmp_path / "c.pt", weights_only=True)
    assert list(ours) == list(target)
    assert same_bits(ours[behind + "0.weight"], source()[0].weight.detach())


def test_into_a_whole_module_of_another_type(tmp_path):
    torch.save(source(), tmp_path / "a.pt")
    torch.save({"model": destination().half(), "epoch": 3}, tmp_path / "b.pt")
    answer = report("intersect", tmp_path / "a.pt", tmp_path / "b.pt", "-o", tmp_path / "c.pt")
    assert len(answer["transferred"]) == 9
    file = load(tmp_path / "c.pt")
    assert file["epoch"] == 3
    expected = destination().half()
    expected.load_state_dict(general.intersect_dicts(source().state_dict(), expected.state_dict()), strict=False)
    assert all(same_bits(file["model"].state_dict()[k], v) for k, v in expected.state_dict().items())
    assert file["model"][0].weight.requires_grad


@pytest.mark.parametrize(("before", "behind"), [("net.", ""), ("", "backbone."), ("a.b.", "encoder."), ("module.net.", "")])
def test_other_prefixes(tmp_path, before, behind):
    """What frameworks call a network, beside layers of their own on either side."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 1)).state_dict()
    torch.save({"state_dict": {before + k: v for k, v in net.items()} | {"loss.scale": torch.ones(3)}}, tmp_path / "a.pt")
    target = {behind + k: torch.zeros_like(v) for k, v in net.items()} | {"head.weight": torch.ones(2, 5)}
    torch.save(target, tmp_path / "b.pt")
    result = report("intersect", tmp_path / "a.pt", tmp_path / "b.pt", "-o", tmp_path / "o.pt")
    assert len(result["transferred"]) == len(net) and result["targetCount"] == len(net) + 1
    ours = torch.load(tmp_path / "o.pt", weights_only=True)
    assert list(ours) == list(target)
    assert all(torch.equal(ours[behind + k], v) for k, v in net.items()) and ours["head.weight"].eq(1).all()


def test_two_prefixes_that_fit(tmp_path):
    """Nothing is guessed: the user says which."""
    net = nn.Conv2d(3, 4, 3).state_dict()
    torch.save({"net." + k: v for k, v in net.items()}, tmp_path / "a.pt")
    torch.save({f"{who}.{k}": torch.zeros_like(v) for who in ("first", "later") for k, v in net.items()}, tmp_path / "b.pt")
    files = ("intersect", tmp_path / "a.pt", tmp_path / "b.pt", "-o", tmp_path / "o.pt", "--force")
    result = succeeds(*files)
    assert result.out.startswith("Transferred 0/4 items")
    assert "without any of the prefixes 'first.', 'later.'; choose one with --target-prefix" in result.err
    result = succeeds(*files, "--target-prefix", "later.")
    assert result.out.startswith("Transferred 2/4 items")
    ours = torch.load(tmp_path / "o.pt", weights_only=True)
    assert torch.equal(ours["later.weight"], net["weight"]) and ours["first.weight"].eq(0).all()


def test_two_copies_of_the_pretrained(tmp_path):
    net = nn.Conv2d(3, 4, 3).state_dict()
    torch.save({f"{who}.{k}": v + n for n, who in enumerate(("student", "teacher")) for k, v in net.items()}, tmp_path / "a.pt")
    torch.save({k: torch.zeros_like(v) for k, v in net.items()}, tmp_path / "b.pt")
    files = ("intersect", tmp_path / "a.pt", tmp_path / "b.pt", "-o", tmp_path / "o.pt", "--force")
    assert "'student.', 'teacher.'; choose one with --pretrained-prefix" in succeeds(*files).err
    assert succeeds(*files, "--pretrained-prefix", "teacher.").out.startswith("Transferred 2/2 items")
    assert torch.equal(torch.load(tmp_path / "o.pt", weights_only=True)["weight"], net["weight"] + 1)


def test_nothing_in_common(tmp_path):
    torch.save({"a.weight": torch.ones(3)}, tmp_path / "a.pt")
    torch.save({"b.weight": torch.ones(4)}, tmp_path / "b.pt")
    result = succeeds("intersect", tmp_path / "a.pt", tmp_path / "b.pt", "-o", tmp_path / "o.pt")
    assert "the pretrained model's names start with 'a.weight', the target's with 'b.weight'" in result.err


def test_architectures_by_name_and_by_yaml(tmp_path):
    """What YOLOv5's train.py does: pretrained weights into a model of a .yaml with other classes."""
    succeeds("init", "yolov5n", "--seed", "3", "-o", tmp_path / "pretrained.pt")
    yaml = (Path(nets.import_yolov5().__file__).parent / "models" / "yolov5n.yaml").read_text()
    (tmp_path / "my.yaml").write_text(yaml.replace("nc: 80", "nc: 3"))
    succeeds("init", tmp_path / "my.yaml", "--seed", "0", "-o", tmp_path / "fresh.pt")
    pretrained, model = (torch.load(tmp_path / f"{name}.pt") for name in ("pretrained", "fresh"))
    common = general.intersect_dicts(pretrained, model, exclude=["anchor"])
    answer = report(
        "intersect", tmp_path / "pretrained.pt", tmp_path / "my.yaml", "--exclude", "anchor", "-o", tmp_path / "out.pt")  # fmt: skip
    assert answer["transferred"] == list(common)
    ours = torch.load(tmp_path / "out.pt", weights_only=True)
    assert list(ours) == list(model)
    assert all(same_bits(ours[name], common.get(name, tensor)) for name, tensor in model.items())
    without = report("intersect", "yolov5n", tmp_path / "my.yaml", cwd=tmp_path)
    assert without["output"] is None and len(without["transferred"]) == len(common) + sum("anchor" in k for k in model)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fresh.pt", "my.yaml", "out.pt", "pretrained.pt"]
    fails("intersect", "yolov5n", "resnet0", "-o", tmp_path / "no.pt", naming="no architecture of this name")


def test_an_architecture_is_what_init_makes(tmp_path):
    """The other subcommands take one as well."""
    succeeds("init", "resnet18", "--seed", "0", "-o", tmp_path / "a.pt")
    succeeds("diff", "resnet18", tmp_path / "a.pt")
    assert mutils("diff", "resnet18", "resnet34").code == 1
    succeeds("convert", "resnet18", "-o", tmp_path / "b.safetensors")
    succeeds("diff", tmp_path / "a.pt", tmp_path / "b.safetensors")
    assert report("check", "resnet18")["verdict"] == "safe"
    fails("convert", "resnet18", "--key", "a", "-o", tmp_path / "c.pt", naming="have keys to choose from")
    succeeds("strip", "resnet18", "--dtype", "float32", "-o", tmp_path / "c.pt")
    succeeds("diff", tmp_path / "a.pt", tmp_path / "c.pt")
