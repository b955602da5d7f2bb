"""The hand layer: pose, shape and translation in, vertices and joints out, for numpy and torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Generic

import numpy as np

from hoi_core.biomechanics import axes_of_skeleton
from hoi_core.conventions import DEFAULT_TIPS, MANO_PARENTS, N_BETAS, SIDES, Side, fingertips, permutation
from hoi_core.errors import ConfigError
from hoi_core.mano import equations, files
from hoi_core.mano.equations import Array, Coefficients
from hoi_core.mano.model import ManoModel
from hoi_core.mano.topology import close_wrist
from hoi_core.types import F64, I64

if TYPE_CHECKING:
    import torch

ENVIRONMENT = "HOI_MANO"
"""Names the folder that holds the user's MANO_RIGHT.pkl and MANO_LEFT.pkl."""

_TO_OPENPOSE = permutation("mano21", "openpose21")


@dataclass(frozen=True)
class ManoOutput(Generic[Array]):
    """A posed hand."""

    vertices_m: Array
    """(B, 778, 3) m."""
    joints_m: Array
    """(B, 21, 3) m, openpose21."""


class ManoLayer:
    """A differentiable hand.

    Example:
        >>> import numpy as np
        >>> hand = ManoLayer.stand_in("right")
        >>> flat = hand(np.zeros((1, 3)), np.zeros((1, 45)))
        >>> flat.vertices_m.shape, flat.joints_m.shape
        ((1, 778, 3), (1, 21, 3))
    """

    def __init__(self, model: ManoModel) -> None:
        self.model = model
        self.faces: I64 = model.faces
        self.closed_faces: I64 = close_wrist(model.faces)
        """The faces with the wrist's hole capped, outward."""
        self._numpy = Coefficients(
            model.v_template,
            model.shapedirs.reshape(-1, N_BETAS),
            np.ascontiguousarray(model.posedirs.reshape(len(model.posedirs) * 3, -1).T),
            model.J_regressor,
            model.weights,
            MANO_PARENTS,
        )
        self._torch: dict[tuple[torch.dtype, torch.device], Coefficients[torch.Tensor]] = {}

    @classmethod
    def stand_in(cls, side: Side = "right") -> ManoLayer:
        """The project's own hand, which needs no licence."""
        return _stand_in_layer(side)

    @classmethod
    def from_file(cls, path: Path, side: Side) -> ManoLayer:
        """Read a MANO file (`MANO_RIGHT.pkl`, `MANO_LEFT.pkl`) without running any code from it.

        Raises:
            AssetError: the file is missing, malformed, or not safe to read.
        """
        return cls(files.load_model(Path(path), side))

    @classmethod
    def from_env(cls, side: Side) -> ManoLayer:
        """The user's MANO file in the folder `$HOI_MANO`, or the stand-in hand if that is not set.

        Raises:
            AssetError: the variable is set, but the file is missing, malformed, or not safe to read.
        """
        folder = os.environ.get(ENVIRONMENT, "")
        return _layer_in(Path(folder), side, _state_of(Path(folder))) if folder else cls.stand_in(side)

    @property
    def side(self) -> Side:
        """Which hand it is."""
        return self.model.side

    @cached_property
    def joint_frames(self) -> F64:
        """(15, 3, 3) anatomical frames of the template's finger joints: columns flexion, abduction, twist."""
        template = self.model.v_template
        return axes_of_skeleton(self.model.J_regressor @ template, template[list(fingertips())], self.side)

    def save_pickle(self, path: Path) -> Path:
        """Write a MANO-format pickle that smplx loads; a folder gets `MANO_RIGHT.pkl` or `MANO_LEFT.pkl`.

        Raises:
            StorageError: the file cannot be written.
        """
        return files.save_model(self.model, Path(path))

    def __call__(
        self,
        orient: Array,
        pose: Array,
        betas: Array | None = None,
        trans_m: Array | None = None,
        *,
        flat_hand_mean: bool = True,
        tips: str = DEFAULT_TIPS,
    ) -> ManoOutput[Array]:
        """Pose the hand (SMPL eq. 2 to 10, Romero et al. 2017 eq. 1).

        Args:
            orient: `(B, 3)` rad, axis-angle about the shaped wrist joint.
            pose: `(B, 45)` rad, axis-angle of the fifteen finger joints in MANO's order.
            betas: `(B, 10)` or `(10,)`; None for the mean shape.
            trans_m: `(B, 3)` m, moves the template's origin; None for none.
            flat_hand_mean: True if `pose` is absolute (zero is the flat hand), False if relative to the mean pose.
            tips: fingertip set of `conventions.FINGERTIP_VERTICES`.

        Returns:
            The posed hand, float64 numpy, or torch tensors like `pose`.

        Raises:
            ValueError: a shape is wrong.
        """
        xp, _, orient, pose = self._prepare(orient, pose, flat_hand_mean)
        return self.posed(_rotations(xp, orient, pose), betas, trans_m, tips=tips)

    def posed(
        self,
        rotations: Array,
        betas: Array | None = None,
        trans_m: Array | None = None,
        *,
        tips: str = DEFAULT_TIPS,
    ) -> ManoOutput[Array]:
        """Pose the hand by matrices in place of axis-angles, which have no gradient at half a turn.

        Args:
            rotations: `(B, 16, 3, 3)` in MANO's order: of the wrist, then of each finger joint to its parent (absolute:
                the identity is the flat hand).
            betas: as for a call.
            trans_m: as for a call.
            tips: as for a call.

        Raises:
            ValueError: a shape is wrong.
        """
        if tuple(rotations.shape[1:]) != (len(MANO_PARENTS), 3, 3):
            raise ValueError(f"rotations must be (B, 16, 3, 3), got {tuple(rotations.shape)}")
        xp = _namespace(rotations)
        c = self._numpy if isinstance(rotations, np.ndarray) else self._torch_coefficients(rotations)
        rest, joints = equations.shaped(xp, c, self._betas(xp, betas, rotations.reshape(len(rotations), -1)))
        frames = equations.chain(xp, c, rotations, joints)
        posed = rest + equations.pose_offsets(xp, c, rotations)
        vertices = equations.skin(xp, c, posed, frames, joints)
        tip_ids = list(fingertips(tips))
        all_joints = xp.concatenate([frames[1], vertices[:, tip_ids]], 1)[:, _TO_OPENPOSE.tolist()]
        if trans_m is not None:
            shift = _like(xp, trans_m, rotations).reshape(-1, 1, 3)
            vertices, all_joints = vertices + shift, all_joints + shift
        return ManoOutput(vertices, all_joints)

    def joint_transforms(
        self,
        orient: Array,
        pose: Array,
        betas: Array | None = None,
        trans_m: Array | None = None,
        *,
        flat_hand_mean: bool = True,
    ) -> Array:
        """World transforms of the joint frames, whose axes are the template's. `-> (B, 16, 4, 4)` m."""
        xp, c, orient, pose = self._prepare(orient, pose, flat_hand_mean)
        _, joints = equations.shaped(xp, c, self._betas(xp, betas, pose))
        R, t = equations.chain(xp, c, _rotations(xp, orient, pose), joints)
        if trans_m is not None:
            t = t + _like(xp, trans_m, pose).reshape(-1, 1, 3)
        top = xp.concatenate([R, t[..., None]], -1)
        bottom = xp.zeros_like(top[..., :1, :])
        bottom[..., 3] = 1.0
        return xp.concatenate([top, bottom], -2)

    def pca_to_pose(self, coefficients: Array, *, flat_hand_mean: bool = False) -> Array:
        """Absolute pose of principal components. `(B, n) -> (B, 45) rad`; `flat_hand_mean` leaves out the mean."""
        xp = _namespace(coefficients)
        x = coefficients.astype(np.float64) if isinstance(coefficients, np.ndarray) else coefficients
        pose = x @ _like(xp, self.model.components[: x.shape[-1]], x)
        return pose if flat_hand_mean else pose + _like(xp, self.model.hands_mean, x)

    def pose_to_pca(self, pose: Array, n: int = 45, *, flat_hand_mean: bool = False) -> Array:
        """First `n` principal components nearest to an absolute pose. `(B, 45) rad -> (B, n)`."""
        xp = _namespace(pose)
        x = pose.astype(np.float64) if isinstance(pose, np.ndarray) else pose
        if not flat_hand_mean:
            x = x - _like(xp, self.model.hands_mean, x)
        return x @ _like(xp, np.asarray(np.linalg.pinv(self.model.components[:n])), x)

    def _prepare(
        self, orient: Array, pose: Array, flat_hand_mean: bool
    ) -> tuple[ModuleType, Coefficients[Array], Array, Array]:
        xp = _namespace(pose)
        if pose.ndim != 2 or pose.shape[-1] != 45 or tuple(orient.shape) != (len(pose), 3):
            found = f"{tuple(orient.shape)} and {tuple(pose.shape)}"
            raise ValueError(f"orient must be (B, 3) and pose (B, 45), got {found}")
        if isinstance(pose, np.ndarray):
            pose = pose.astype(np.float64)
            c = self._numpy
        else:
            c = self._torch_coefficients(pose)
        if not flat_hand_mean:
            pose = pose + _like(xp, self.model.hands_mean, pose)
        return xp, c, _like(xp, orient, pose), pose

    def _torch_coefficients(self, like: torch.Tensor) -> Coefficients[torch.Tensor]:
        import torch

        key = (like.dtype, like.device)
        if key not in self._torch:
            c = self._numpy

            def here(array: F64) -> torch.Tensor:
                return torch.as_tensor(array, dtype=like.dtype, device=like.device)

            # Tensors made in inference mode could not be used for training afterwards.
            with torch.inference_mode(False):
                parts = (here(c.shapedirs), here(c.posedirs), here(c.J_regressor), here(c.weights))
                self._torch[key] = Coefficients(here(c.v_template), *parts, MANO_PARENTS)
        return self._torch[key]

    def _betas(self, xp: ModuleType, betas: Array | None, pose: Array) -> Array:
        if betas is None:
            return xp.zeros_like(pose[:, :N_BETAS])
        out = _like(xp, betas, pose)
        if out.ndim == 1:
            out = out[None]
        if out.ndim != 2 or out.shape[1] != N_BETAS or out.shape[0] not in (1, len(pose)):
            raise ValueError(f"betas must be (10,) or (B, 10) with B = {len(pose)}, got {tuple(betas.shape)}")
        return xp.broadcast_to(out, (len(pose), N_BETAS))


def _rotations(xp: ModuleType, orient: Array, pose: Array) -> Array:
    full = xp.concatenate([orient, pose], 1)
    return equations.rodrigues(xp, full.reshape(len(full), -1, 3))


def _namespace(x: Array) -> ModuleType:
    if isinstance(x, np.ndarray):
        return np
    import torch

    if not isinstance(x, torch.Tensor):
        raise TypeError(f"expected a numpy array or a torch tensor, got {type(x).__name__}")
    return torch


def _like(xp: ModuleType, value: Array | F64, like: Array) -> Array:
    """`value` in the namespace, type and place of `like`."""
    if isinstance(like, np.ndarray):
        return np.asarray(value, dtype=np.float64)
    return xp.as_tensor(value, dtype=like.dtype, device=like.device)


# Each sample of a dataset asks for the layer, and reading the file takes a tenth of a second.
@lru_cache(maxsize=4)
def _layer_in(folder: Path, side: Side, state: tuple[tuple[int, int], ...]) -> ManoLayer:
    return ManoLayer.from_file(folder / files.file_name(side), side)


def _state_of(folder: Path) -> tuple[tuple[int, int], ...]:
    """Changes with the files of a folder; both count, as the left hand is corrected by the right one."""
    state = []
    for side in SIDES:
        try:
            facts = (folder / files.file_name(side)).stat()
        except OSError:
            facts = None
        state.append((facts.st_size, facts.st_mtime_ns) if facts else (-1, -1))
    return tuple(state)


@lru_cache(maxsize=2)
def _stand_in_layer(side: Side) -> ManoLayer:
    if side not in ("right", "left"):
        raise ConfigError(f"no hand named {side!r}.", "Choose right or left.")
    from hoi_core.mano.stand_in import build

    return ManoLayer(build(side))
