"""FLOPs and shapes of the classes that YOLOv7 adds, re-created from the published architecture."""

import pytest
import yolov7_blocks as v7
from yolo_judges import check_flops


def layers():
    return [
        v7.ReOrg(),
        v7.RepConv(12, 12),
        v7.DownC(12, 16),
        v7.SPPCSPC(16, 8),
        v7.RepConv(8, 8, 2, deploy=True),
        v7.SP(3),
        v7.MP(),
    ]


@pytest.mark.parametrize("fused", [False, True])
def test_model(fused, tmp_path):
    head = v7.IDetect((8, 8))
    if fused:
        head.forward = head.fuseforward
        del head.ia, head.im
    check_flops(v7.model(head, *layers()), (128, 64), tmp_path / "in.pt")
