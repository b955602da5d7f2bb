"""MANO files: read them safely, correct the left hand's first shape axis, write the stand-in in their format."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np

from hoi_core.conventions import Side, fingertips
from hoi_core.errors import AssetError, StorageError
from hoi_core.mano.model import ManoModel, from_arrays, to_arrays
from hoi_core.mano.restricted import read_arrays, read_bytes
from hoi_core.types import F64
from hoi_core.whole_file import write_whole

# Sum of |left - right| over the x row of the first shape axis, in m: the axes of MANO 1.2's two files are equal there,
# where a mirrored pair would have opposite signs (smplx issue 48; HOT3D applies the same test).
_SAME_SIGN_BELOW = 1.0


def file_name(side: Side) -> str:
    """The name that MANO and smplx give to the file of one hand."""
    return f"MANO_{side.upper()}.pkl"


def load_model(path: Path, side: Side) -> ManoModel:
    """Read a MANO file safely; a left hand's shape axes are corrected if they need it.

    Raises:
        AssetError: the file is missing, malformed, not safe to read, or of the other hand.
    """
    arrays = read_arrays(path)
    source = hashlib.sha256(read_bytes(path)).hexdigest()
    model = from_arrays(arrays, side, source, str(path))
    if _looks_like(model.v_template) != side:
        raise AssetError(
            f"{path}: expected a {side} hand, found the other one.",
            f"Name the file of the {side} hand ({file_name(side)}), or the other side.",
        )
    return _correct_left(model, path) if side == "left" else model


def save_model(model: ManoModel, path: Path) -> Path:
    """Write a model as a MANO pickle of plain arrays; returns the file's path.

    Raises:
        StorageError: the file cannot be written.
    """
    if path.suffix != ".pkl":
        path = path / file_name(model.side)
    try:
        write_whole(path, pickle.dumps(to_arrays(model), protocol=2))
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}.", "Choose another folder or free space.") from error
    return path


def _looks_like(v_template: F64) -> Side:
    """Which hand a flat template is: in MANO's frame the fingers of a right hand point along -x."""
    tips = list(fingertips())[1:4]
    return "right" if v_template[tips, 0].mean() < np.median(v_template[:, 0]) else "left"


def _correct_left(model: ManoModel, path: Path) -> ManoModel:
    """Flip the x rows of the shape axes if they are those of the right hand, and record it."""
    if not _needs_flip(model, path.with_name(path.name.replace("LEFT", "RIGHT"))):
        return model
    shapedirs = model.shapedirs.copy()
    shapedirs[:, 0] *= -1.0
    return replace(model, shapedirs=shapedirs, shapedirs_fixed=True)


def _needs_flip(left: ManoModel, right_path: Path) -> bool:
    if "RIGHT" not in right_path.name or not right_path.is_file():
        # Without the right hand: the first axis is size, so length (x) and width (z) must grow together.
        centred = left.v_template - left.v_template.mean(0)
        growth = (centred * left.shapedirs[..., 0]).sum(0)
        return bool(growth[0] * growth[2] < 0)
    right = read_arrays(right_path).get("shapedirs")
    if right is None or right.shape[:2] != left.shapedirs.shape[:2]:
        return False
    apart = np.abs(left.shapedirs[:, 0] - right[:, 0, : left.shapedirs.shape[2]].astype(np.float64)).sum()
    return bool(apart < _SAME_SIGN_BELOW)
