"""Small real recordings: two views and a sensor, with a lost frame, a camera that was away, and a mark."""

import numpy as np

from hoi_core.sequence import CaptureHeader, CaptureWriter, Clock, Epoch
from hoi_core.types import Camera, Frame, StreamInfo

CAMERA = Camera(64, 48, 60.0, 60.0, 31.5, 23.5)
PERIOD_NS = 33_333_333
SKEW_NS = 4_000_000
MOMENTS = 60
LOST, AWAY, RECORDER = 7, range(20, 30), 40
"""Moments without a frame of the right view: one not delivered, ten unplugged, one that the recorder lost."""
HEADER = CaptureHeader("seq_001", "p01", ("o01",), "s1", rig="simulated")


def streams():
    def camera(name, shape, dtype="uint8", scale=None):
        kind = "sensor" if name.startswith("edge128") else "camera"
        return StreamInfo(name, kind, shape, dtype, 30.0, CAMERA, "900001", scale, np.eye(4) if scale else None)

    return [
        camera("left/color", (48, 64, 3)),
        camera("left/depth", (48, 64), "uint16", 0.001),
        camera("right/color", (48, 64, 3)),
        camera("right/depth", (48, 64), "uint16", 0.001),
        camera("edge128/gray", (128, 128)),
        camera("edge128/edge", (128, 128)),
    ]


def missing(name, n):
    """Whether the recordings lack a frame."""
    return name.startswith("right/") and (n in (LOST, RECORDER) or n in AWAY)


def image(info, n):
    """An image that tells its number: every pixel of it is `n`, depth is half a metre and `n` mm."""
    return np.full(info.shape, 500 + n if info.depth_scale_m else n, info.dtype)


def record(folder, *, moments=MOMENTS, close=True, last_left=MOMENTS):
    """Write `<folder>/capture.h5`.

    Args:
        folder: of the sequence.
        moments: number of moments.
        close: False leaves the file as a recorder that was killed.
        last_left: from this moment on, the left view has no frames.
    """
    folder.mkdir(parents=True, exist_ok=True)
    infos = streams()
    writer = CaptureWriter.create(folder / "capture.h5", HEADER, infos)
    counts = {info.name: 0 for info in infos}
    for info in infos:
        writer.set_clock(info.name, Clock.line(0, 0, 0.0))
    for n in range(moments):
        index = {}
        for info in infos:
            if missing(info.name, n) or (info.name.startswith("left") and n >= last_left):
                continue
            t_ns = n * PERIOD_NS + (SKEW_NS if info.name.startswith("right") else 0)
            writer.append(Frame(info.name, n, t_ns, t_ns, "host", image(info, n), 8500.0, 16.0))
            index[info.name] = counts[info.name]
            counts[info.name] += 1
        if n < last_left:
            skew = {name: SKEW_NS if name.startswith("right") else 0 for name in index}
            writer.sync(n * PERIOD_NS, index, skew)
    reasons = {LOST: "not delivered", RECORDER: "queue full"} | dict.fromkeys(AWAY, "unplugged")
    for n, reason in sorted(reasons.items()):
        for name in ("right/color", "right/depth"):
            if n < moments:
                writer.drop(name, n, n * PERIOD_NS + SKEW_NS, reason)
    writer.mark(round(1.5e9), "grasp")
    writer.extend_epochs([Epoch("right/color", AWAY.stop, AWAY.stop, 0, "unplugged")])
    if close:
        writer.close()
    else:
        writer.flush()
    return writer
