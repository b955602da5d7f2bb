"""The predictions before compression: what they store, and that nothing is lost."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hoi_core.sequence.codec import CODEC, Packer, attributes, choose, is_blosc, named, undo, unpack
from hoi_core.types import Camera, StreamInfo

SIDES = npst.array_shapes(min_dims=2, max_dims=2, max_side=12)


def folded(values: np.ndarray) -> np.ndarray:
    """0, -1, 1, -2, 2, ... become 0, 1, 2, 3, 4, ..."""
    return np.where(values >= 0, 2 * values, -2 * values - 1)


@given(st.sampled_from([np.uint8, np.uint16]).flatmap(lambda kind: npst.arrays(kind, SIDES)))
def test_left_stores_folded_differences_and_loses_nothing(image):
    packed = Packer("left", image.shape, image.dtype.name)(image)
    span = 1 << (8 * image.itemsize)
    steps = np.diff(image.astype(np.int64), axis=1, prepend=0)
    nearest = (steps + span // 2) % span - span // 2
    np.testing.assert_array_equal(packed, folded(nearest))
    again = undo("left", packed)
    np.testing.assert_array_equal(again, image)
    assert again.dtype == image.dtype


@given(SIDES.flatmap(lambda shape: npst.arrays(np.uint8, (*shape, 3))))
def test_green_left_stores_planes_of_differences_and_loses_nothing(image):
    height, width, _ = image.shape
    packed = Packer("green_left", image.shape, "uint8")(image)
    red, green, blue = np.moveaxis(image.astype(np.int64), 2, 0)
    planes = [np.diff(plane, axis=1, prepend=0) % 256 for plane in (green, red - green, blue - green)]
    np.testing.assert_array_equal(packed.reshape(3, height, width), planes)
    np.testing.assert_array_equal(undo("green_left", packed), image)


def test_an_old_delta_is_undone_by_a_running_sum():
    packed = np.array([[7, 65535, 3], [0, 1, 65535]], np.uint16)
    np.testing.assert_array_equal(undo("left_delta", packed), [[7, 6, 9], [0, 1, 0]])


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "prediction"),
    [
        ("left/color", (48, 64, 3), "uint8", "green_left"),
        ("left/depth", (48, 64), "uint16", "left"),
        ("left/infrared", (48, 64), "uint8", "left"),
        ("edge128/edge", (16, 16), "uint8", "none"),
    ],
)
def test_each_kind_of_stream_has_its_prediction(name, shape, dtype, prediction):
    info = StreamInfo(name, "camera", shape, dtype, 30.0, Camera(64, 48, 60.0, 60.0, 32.0, 24.0))
    assert choose(info)[0] == prediction
    assert named(attributes(prediction)) == prediction


def test_a_program_of_format_1_0_refuses_the_newer_predictions():
    # It read attrs["filter"], and a missing key was a damaged file to it; pixels packed otherwise must not look sound.
    assert "filter" not in attributes("green_left")
    assert "filter" not in attributes("left")
    assert attributes("none") == {"filter": "none"}


def test_an_unknown_prediction_is_named():
    with pytest.raises(ValueError, match="jpeg"):
        named({"prediction": "jpeg"})


@pytest.fixture
def stored(tmp_path):
    """Three images as HDF5 packs them."""
    images = np.random.default_rng(0).integers(0, 900, (3, 480, 64)).astype(np.uint16)
    with h5py.File(tmp_path / "images.h5", "w") as file:
        yield images, file.create_dataset("frames", data=images, chunks=(1, 480, 64), **CODEC)


def test_a_chunk_is_unpacked_as_hdf5_does_it(stored):
    images, frames = stored
    assert is_blosc(frames)
    out = np.empty((480, 64), np.uint16)
    for i, image in enumerate(images):
        unpack(frames.id.read_direct_chunk((i, 0, 0))[1], out)
        np.testing.assert_array_equal(out, image)


@pytest.mark.parametrize("harm", ["cut off", "of another size", "claims to be larger", "scrambled"])
def test_a_chunk_that_is_not_what_it_should_be_is_refused(stored, harm):
    _, frames = stored
    chunk, out = bytearray(frames.id.read_direct_chunk((0, 0, 0))[1]), np.zeros((480, 64), np.uint16)
    if harm == "cut off":
        chunk = chunk[: len(chunk) // 2]
    elif harm == "of another size":
        out = out[:100]
    elif harm == "claims to be larger":
        chunk[4:8] = (1 << 30).to_bytes(4, "little")
    else:
        chunk[16:] = bytes(reversed(chunk[16:]))
    with pytest.raises((ValueError, RuntimeError)):
        unpack(bytes(chunk), out)


def test_other_layouts_are_left_to_hdf5(tmp_path):
    images = np.zeros((4, 8, 8), np.uint16)
    with h5py.File(tmp_path / "images.h5", "w") as file:
        assert not is_blosc(file.create_dataset("two", data=images, chunks=(2, 8, 8), **CODEC))
        assert not is_blosc(file.create_dataset("gzip", data=images, chunks=(1, 8, 8), compression="gzip"))
        assert not is_blosc(file.create_dataset("plain", data=images))
