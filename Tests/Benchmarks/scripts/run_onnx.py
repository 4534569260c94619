"""The same by ONNX Runtime: python run_onnx.py FILE (without -1.onnx)."""

import sys

import numpy
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1] + "-1.onnx", providers=["CPUExecutionProvider"])
print(session.run(None, {"images": numpy.random.rand(1, 3, 640, 640).astype("float32")})[0].shape)
