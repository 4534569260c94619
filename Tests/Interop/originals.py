"""Packages of the originals, under the module names of their own repositories, which others use too."""

import logging
import sys
import sysconfig
from importlib import import_module
from pathlib import Path

import torch
from flops_judges import UltralyticsThop, serve

PACKAGES = Path(sysconfig.get_path("purelib"))


class Original:
    """While it is entered, `roots` are the original's modules, for what is built, saved and loaded meanwhile."""

    def __init__(self, folder, roots, modules, complete=lambda modules: None):
        self.folder, self.roots, self.modules, self.complete = str(folder), roots, modules, complete
        self.own, self.others = {}, {}

    def taken(self):
        return {name: m for name, m in sys.modules.items() if name.split(".")[0] in self.roots}

    def __enter__(self):
        self.others = self.taken()
        for name in self.others:
            del sys.modules[name]
        sys.modules.update(self.own)
        sys.path.insert(0, self.folder)
        level = logging.root.manager.disable
        logging.disable(logging.WARNING)  # they report each layer that they build
        self.level = level
        modules = [import_module(name) for name in self.modules]
        self.complete(modules)
        return modules

    def __exit__(self, *_):
        logging.disable(self.level)
        sys.path.remove(self.folder)
        self.own = self.taken()
        for name in self.own:
            del sys.modules[name]
        sys.modules.update(self.others)


def add_uconv(modules):
    """Of YOLOv9's head for panoptic segmentation, which the package calls but has not."""
    yolo, common = modules

    class UConv(torch.nn.Module):
        def __init__(self, c1, c, c2):
            super().__init__()
            self.cv1, self.cv2 = common.Conv(c1, c, k=3), torch.nn.Conv2d(c, c2, 1, 1)
            self.up = torch.nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)

        def forward(self, x):
            return self.up(self.cv2(self.cv1(x)))

    UConv.__module__, UConv.__qualname__ = "models.common", "UConv"
    yolo.UConv = common.UConv = UConv


YOLOV6 = Original(PACKAGES, {"yolov6"}, ("yolov6.models.yolo", "yolov6.layers.common"))
YOLOV9 = Original(PACKAGES / "yolov9", {"models", "utils"}, ("models.yolo", "models.common"), add_uconv)

# Counts in a process of its own that knows all of them.
ultralytics_thop = UltralyticsThop(__file__)


if __name__ == "__main__":
    from yolo_judges import count

    with YOLOV6, YOLOV9:
        serve(count)
