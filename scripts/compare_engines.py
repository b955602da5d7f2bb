"""Run an exported SPLite of 64 px in both engines and compare them. Usage: compare_engines.py MODEL.onnx."""

import logging
import platform
import sys
from pathlib import Path

import numpy as np

from hoi_core import native
from hoi_core.native.session import NativeSession
from hoi_core.onnx_session import onnx_session

SIZE = 64
TOLERANCE = 1e-4

logging.basicConfig(level=logging.INFO, format="%(message)s")
path = Path(sys.argv[1])
rng = np.random.default_rng(0)
on = rng.random((4, 1, SIZE, SIZE)) < np.array([0.0, 0.1, 0.5, 1.0]).reshape(4, 1, 1, 1)
images = (rng.uniform(0.01, 1.0, (4, 3, SIZE, SIZE)) * on).astype(np.float32)
ours, theirs = NativeSession(path, SIZE, 1), onnx_session(path, 1)
worst = 0.0
for image in images:
    feed = {"image": image[None]}
    for got, expected in zip(ours.run(None, feed), theirs.run(None, feed), strict=True):
        worst = max(worst, float(abs(got - expected).max() / max(abs(expected).max(), 1.0)))
logging.info("%s: native engine %s", platform.machine(), native.description())
logging.info("largest difference from ONNX Runtime over 4 images: %.1e", worst)
sys.exit(worst > TOLERANCE)
