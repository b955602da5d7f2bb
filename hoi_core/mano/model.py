"""The arrays of a hand model, checked once, so that everything after may rely on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hoi_core.conventions import MANO_PARENTS, N_BETAS, N_FACES, N_MANO_JOINTS, N_POSE, N_VERTICES, Side
from hoi_core.errors import AssetError
from hoi_core.types import F64, I64

SHAPES: dict[str, tuple[int, ...]] = {
    "v_template": (N_VERTICES, 3),
    "shapedirs": (N_VERTICES, 3, N_BETAS),
    "posedirs": (N_VERTICES, 3, 9 * (N_MANO_JOINTS - 1)),
    "J_regressor": (N_MANO_JOINTS, N_VERTICES),
    "kintree_table": (2, N_MANO_JOINTS),
    "weights": (N_VERTICES, N_MANO_JOINTS),
    "f": (N_FACES, 3),
    "hands_components": (N_POSE, N_POSE),
    "hands_mean": (N_POSE,),
}
"""The arrays of a MANO file and their shapes."""

_ADVICE = "Download the MANO models again from https://mano.is.tue.mpg.de (free registration)."


@dataclass(frozen=True)
class ManoModel:
    """A hand model's arrays, as a MANO file holds them."""

    side: Side
    """Which hand it is."""
    v_template: F64
    """(778, 3) m."""
    shapedirs: F64
    """(778, 3, 10) m per standard deviation."""
    posedirs: F64
    """(778, 3, 135) m."""
    J_regressor: F64
    """(16, 778), rows sum to one."""
    weights: F64
    """(778, 16) skinning weights, rows sum to one."""
    faces: I64
    """(1538, 3), outward, open at the wrist."""
    components: F64
    """(45, 45) principal pose components in rows, most important first."""
    hands_mean: F64
    """(45,) rad, the mean pose as axis-angle."""
    source: str
    """`stand-in`, or the SHA-256 of the file."""
    coefficients: F64 | None = None
    """(P, 45) the poses of MANO's own scans in its components, where the file holds them."""
    shapedirs_fixed: bool = False
    """Whether the sign of the first shape axis was corrected on load (left hands of MANO 1.2)."""


def from_arrays(arrays: Mapping[str, NDArray[np.generic]], side: Side, source: str, where: str) -> ManoModel:
    """Check the arrays of a MANO file and build the model.

    Raises:
        AssetError: a key is missing, has another shape or kind, or holds NaN; or the joint tree is not MANO's.
    """
    missing = [key for key in SHAPES if key not in arrays]
    if missing:
        raise AssetError(f"{where}: expected the arrays of a MANO hand, but {', '.join(missing)} missing.", _ADVICE)
    checked = {key: _checked(arrays[key], key, where) for key in SHAPES}
    parents = np.where(np.arange(N_MANO_JOINTS) == 0, -1, checked["kintree_table"][0]).astype(int)
    if tuple(parents.tolist()) != MANO_PARENTS:
        raise AssetError(f"{where}: expected MANO's tree of 16 joints, found parents {parents.tolist()}.", _ADVICE)
    faces = checked["f"].astype(np.int64)
    if faces.min() < 0 or faces.max() >= N_VERTICES:
        raise AssetError(f"{where}: faces name vertices outside 0..{N_VERTICES - 1}.", _ADVICE)
    return ManoModel(
        side=side,
        v_template=checked["v_template"],
        shapedirs=checked["shapedirs"],
        posedirs=checked["posedirs"],
        J_regressor=checked["J_regressor"],
        weights=checked["weights"],
        faces=faces,
        components=checked["hands_components"],
        hands_mean=checked["hands_mean"],
        source=source,
        coefficients=_scans(arrays),
    )


def _scans(arrays: Mapping[str, NDArray[np.generic]]) -> F64 | None:
    """Coefficients of the scans, which nothing else depends on: without them, or with odd ones, the hand is whole."""
    found = np.asarray(arrays.get("hands_coeffs", np.zeros(0)))
    if found.dtype.kind not in "fiu" or found.ndim != 2 or found.shape[1] != N_POSE or not np.isfinite(found).all():
        return None
    return found.astype(np.float64)


def _checked(array: NDArray[np.generic], key: str, where: str) -> F64:
    value = np.asarray(array)
    if value.dtype.kind not in "fiu":
        raise AssetError(f"{where}: {key} must hold numbers, found {value.dtype}.", _ADVICE)
    if key == "shapedirs" and value.ndim == 3 and value.shape[2] > N_BETAS:
        value = value[..., :N_BETAS]
    if value.shape != SHAPES[key]:
        raise AssetError(f"{where}: {key} must have shape {SHAPES[key]}, found {value.shape}.", _ADVICE)
    if key == "kintree_table":
        value = value.astype(np.int64)  # the wrist's parent is stored as 2**32 - 1
    out = value.astype(np.float64)
    if not np.isfinite(out).all():
        raise AssetError(f"{where}: {key} holds NaN or infinite numbers.", _ADVICE)
    return out


def to_arrays(model: ManoModel) -> dict[str, NDArray[np.generic]]:
    """The model under the keys of a MANO file, plain arrays only."""
    parents = np.array([2**32 - 1, *MANO_PARENTS[1:]], dtype=np.int64)
    return {
        "v_template": model.v_template,
        "shapedirs": model.shapedirs,
        "posedirs": model.posedirs,
        "J_regressor": model.J_regressor,
        "kintree_table": np.stack([parents, np.arange(N_MANO_JOINTS)]),
        "weights": model.weights,
        "f": model.faces.astype(np.uint32),
        "hands_components": model.components,
        "hands_mean": model.hands_mean,
    }
