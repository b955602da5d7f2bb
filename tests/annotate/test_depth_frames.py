"""Depth images are decoded ahead, kept, and let go of; a reader in the background stands in nobody's way."""

import time

import numpy as np
import pytest

from annotate.depth_frames import depth_kept
from hoi_core.sequence import open_capture

MOMENTS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory, record):
    folder = tmp_path_factory.mktemp("frames") / "seq_001"
    record(folder, moments=MOMENTS, scale=0.25)
    return folder


def test_images_are_decoded_before_somebody_asks_and_forgotten_afterwards(folder) -> None:
    with open_capture(folder) as capture:
        streams = [view.depth for view in capture.views.values()]
        fresh = [[stream[i] for i in range(MOMENTS)] for stream in streams]
        decoded = []
        for stream in streams:
            for part in stream._parts:
                read = part.read
                part.read = lambda i, out, read=read: decoded.append(i) or read(i, out)
        with depth_kept(capture):
            until = time.monotonic() + 60.0
            while len(decoded) < len(streams) * MOMENTS and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(0.05)
            count = len(decoded)
            for stream, images in zip(streams, fresh, strict=True):
                for i, image in enumerate(images):
                    np.testing.assert_array_equal(stream[i], image)
            assert len(decoded) == count == len(streams) * MOMENTS
        assert streams[0][0] is not streams[0][0]


def test_who_leaves_early_does_not_wait_for_all_images(folder) -> None:
    with open_capture(folder) as capture:
        stream = capture.views["left"].depth
        with pytest.raises(ValueError, match="enough"), depth_kept(capture):
            raise ValueError("enough")
        assert not stream.room
