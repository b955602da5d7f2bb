"""How images are packed: a reversible prediction that leaves small numbers, then blosc.

Whatever the prediction, `undo` gives back the image bit by bit. It is named in an attribute of the dataset of images:

- `filter = "none"`, `filter = "left_delta"`: all there was in format 1.0.
- `prediction = "left"`: `(H, W)` unsigned; each pixel minus its left neighbour (the first of a row minus 0), modulo
  the type's range, then folded so that small differences of either sign are small numbers: `d >= 0` becomes `2 d`,
  `d < 0` becomes `-2 d - 1`.
- `prediction = "green_left"`: `(H, W, 3)` 8-bit RGB; the planes G, R - G, B - G modulo 256, each minus its left
  neighbour modulo 256. They lie plane after plane, so the `H x W x 3` bytes of a chunk are `3` planes of `H x W`.

A dataset has one of the two attributes. A program that knows format 1.0 alone looks for `filter` and so refuses the
newer kind, rather than read it as pixels.
"""

from __future__ import annotations

import os
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hoi_core.types import StreamInfo

# One thread per compressor: the recorder shares its cores with the cameras. Read when blosc first starts.
os.environ.setdefault("BLOSC_NTHREADS", "1")
# Blocks of its own choice fit a level-1 cache; larger ones cost a quarter less time and no bytes on images.
os.environ.setdefault("BLOSC_BLOCKSIZE", str(128 << 10))

import h5py
import hdf5plugin

Prediction = Literal["none", "left_delta", "left", "green_left"]
Image = NDArray[np.unsignedinteger]

CODEC: dict[str, Any] = dict(hdf5plugin.Blosc(cname="zstd", clevel=1, shuffle=hdf5plugin.Blosc.BITSHUFFLE))
"""For numbers whose high bits are alike."""
# The differences of noisy 8-bit pixels have no order that a shuffle could find: entropy coding alone packs them
# tighter and in half the time.
_ENTROPY: dict[str, Any] = dict(hdf5plugin.Blosc(cname="zstd", clevel=1, shuffle=hdf5plugin.Blosc.NOSHUFFLE))

_BLOSC = 32001  # its number among HDF5's filters

_OLD = ("none", "left_delta")  # of format 1.0; the second is only read any more


def choose(info: StreamInfo) -> tuple[Prediction, dict[str, Any]]:
    """The prediction and the dataset options for a stream's images."""
    if len(info.shape) == 3 and info.shape[2] == 3 and info.dtype == "uint8":
        return "green_left", _ENTROPY
    if info.content == "depth":
        return "left", CODEC
    if info.content == "infrared":
        return "left", _ENTROPY
    return "none", CODEC


def attributes(prediction: Prediction) -> dict[str, str]:
    """The attribute that names a prediction."""
    return {"filter": prediction} if prediction in _OLD else {"prediction": prediction}


def named(attrs: Any) -> Prediction:
    """The prediction that a dataset's attributes name.

    Raises:
        KeyError: none is named.
        ValueError: one that this program does not know.
    """
    name = str(attrs["prediction"] if "prediction" in attrs else attrs["filter"])
    if name not in ("none", "left_delta", "left", "green_left"):
        raise ValueError(f"its images are packed by {name!r}, which this program does not know")
    return name  # type: ignore[return-value]


class Packer:
    """Applies one prediction to image after image; the result is overwritten by the next.

    Args:
        prediction: what to apply; not `left_delta`, which no new file uses.
        shape: of the images.
        dtype: of the images.
    """

    def __init__(self, prediction: Prediction, shape: tuple[int, ...], dtype: str) -> None:
        self.prediction = prediction
        self._out = np.empty(shape, dtype)
        if prediction in ("left", "green_left"):
            # Compiled now, on the first use ever, and not while frames wait.
            self(np.zeros(shape, dtype))

    def __call__(self, image: Image) -> Image:
        """Pack a contiguous image of the given shape and type."""
        if self.prediction == "none":
            return image
        from hoi_core.sequence import _prediction

        if self.prediction == "left":
            _prediction.left(image, self._out)
        else:
            height, width, _ = image.shape
            _prediction.green_left(image, self._out.reshape(3, height, width))
        return self._out


def is_blosc(frames: h5py.Dataset) -> bool:
    """Whether each image of a dataset is one chunk, which blosc packed and nothing else did."""
    made = frames.id.get_create_plist()
    one_each: bool = frames.chunks == (1, *frames.shape[1:])
    return one_each and made.get_nfilters() == 1 and made.get_filter(0)[0] == _BLOSC


def unpack(chunk: bytes, out: Image) -> None:
    """What blosc packed, in `out`; others may run meanwhile.

    Raises:
        ValueError: it is not as large as `out`.
        RuntimeError: it is damaged.
    """
    from numcodecs import blosc

    blosc.use_threads = False  # else calls of the main thread would start blosc's own
    # The decoder believes its header.
    unpacked, packed = (int.from_bytes(chunk[at : at + 4], "little") for at in (4, 12))
    if (unpacked, packed) != (out.nbytes, len(chunk)):
        raise ValueError(f"{out.nbytes} bytes in {len(chunk)} were expected, its header says {unpacked} in {packed}")
    blosc.decompress(chunk, out)


def undo(prediction: Prediction, packed: Image, out: Image | None = None) -> Image:
    """The image again, bit by bit. `(H, W)` or `(H, W, 3)`.

    Args:
        prediction: as `named` has it.
        packed: what was stored.
        out: takes the image where a prediction was applied; None for a new array.
    """
    if prediction == "none":
        return packed
    if prediction == "left_delta":
        return undo_left_delta(packed)
    from hoi_core.sequence import _prediction

    out = np.empty_like(packed) if out is None else out
    if prediction == "left":
        _prediction.undo_left(packed, out)
    else:
        height, width, _ = packed.shape
        _prediction.undo_green_left(packed.reshape(3, height, width), out)
    return out


def undo_left_delta(image: Image) -> Image:
    """Of files of format 1.0: each pixel but the first of a row was stored minus its left neighbour. `(H, W)`."""
    return np.add.accumulate(image, axis=1, dtype=image.dtype)
