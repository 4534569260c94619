"""The records that torch's SummaryWriter puts into an event file behind the first one."""

import glob
import json
import pathlib
import struct
import tempfile

import numpy
from torch.utils.tensorboard import SummaryWriter

with tempfile.TemporaryDirectory() as folder:
    writer = SummaryWriter(folder)
    writer.add_scalar("train/loss", 0.25, 0, walltime=1700000001.5)
    writer.add_scalar("val/top1 µ", -3.1, 300, walltime=1700000002.25)
    writer.add_scalar("lr", float("inf"), -1, walltime=1700000002.25)
    pixels = numpy.arange(18, dtype=numpy.uint8).reshape(2, 3, 3)
    writer.add_image("batch", pixels, 7, walltime=1700000003.0, dataformats="HWC")
    writer.close()
    data = pathlib.Path(glob.glob(f"{folder}/events*")[0]).read_bytes()

records = []
while data:
    size = struct.unpack("<Q", data[:8])[0] + 16
    records.append(data[:size])
    data = data[size:]
png = records[-1][records[-1].index(b"\x89PNG"):-4]
golden = {"records": [record.hex() for record in records[1:]], "png": png.hex()}
pathlib.Path(__file__).with_name("events.json").write_text(json.dumps(golden, indent=1) + "\n")
