"""How much of a hand a picture shows: cut off at the border, behind itself, behind other things, measured in depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core.conventions import BONES, MANO_PARENTS, N_JOINTS, N_MANO_JOINTS, permutation
from hoi_core.mano import ManoLayer
from hoi_core.render import Mesh, render_depth
from hoi_core.types import F32, F64, I64, U8, Bool, Camera, Sample

_SIZE = 128  # px, of the crop in which the mesh is drawn
_POINTS = 600  # of the hand's surface, looked up in depth and segmentation
_LONGEST_EDGE_M = 0.035  # of a hand's triangle; faces of another topology join far vertices
_FRONT_M = 0.015  # depth cameras err by less than this at arm's length
_SKIN_M = 0.012  # from a bone to the skin above it
_ALONG = (0.25, 0.5, 0.75)  # of a bone
_END_PARTS = (15, 3, 6, 12, 9)  # of the fingers, thumb to little
_HAND_LABEL = 1
_OBJECT_LABEL = 2


@dataclass(frozen=True)
class Visibility:
    """Shares from 0 to 1; NaN where the dataset does not tell."""

    outside: float
    """Of the known joints, those outside of the picture."""
    self_hidden: float
    """Of the joints, those behind another part of the hand; needs a mesh."""
    hidden: float
    """Of the hand's surface that depth was measured at, what lies behind something else."""
    segmented_object: float
    """Of the hand's surface, what the segmentation calls an object."""
    segmented_hand: float
    """Of the hand's surface, what the segmentation calls hand."""
    depth_valid: float
    """Of the hand's surface, where depth was measured."""
    depth_offset_mm: float
    """Median of measured less labelled depth where nothing hides the hand."""


@dataclass(frozen=True)
class Surface:
    """The hand model's triangles, part by part; a part moves with one of MANO's joints."""

    faces: I64
    """(F, 3)."""
    parts: tuple[tuple[I64, NDArray[np.int32]], ...]
    """Vertices (K,) of each of the sixteen parts, and its triangles (T, 3), which count them from zero."""

    @classmethod
    def of(cls, layer: ManoLayer) -> Surface:
        """Triangles of a hand model, dealt to the joints that move them most."""
        faces = layer.faces
        owner = layer.model.weights[faces].sum(1).argmax(-1)
        parts = []
        for part in range(N_MANO_JOINTS):
            vertices, numbers = np.unique(faces[owner == part], return_inverse=True)
            parts.append((vertices, numbers.reshape(-1, 3).astype(np.int32)))
        return cls(faces, tuple(parts))


def visibility(
    sample: Sample, surface: Surface, depth_m: F32 | None = None, segmentation: U8 | None = None
) -> Visibility:
    """How much of the labelled hand is seen.

    Args:
        sample: whose joints are known in space, or in the image.
        surface: of the hand model; a mesh of another topology is left aside.
        depth_m: `(H, W)` m registered to the image; NaN where unknown.
        segmentation: `(H, W)`: 0 background, 1 hand, 2 object.
    """
    nan = float("nan")
    outside = _outside(sample)
    if not sample.joints_valid.any():
        return Visibility(outside, nan, nan, nan, nan, nan, nan)
    mesh_m = sample.vertices_m
    self_hidden, slack_m = nan, _FRONT_M
    if mesh_m is not None and _fits(mesh_m, surface.faces):
        self_hidden, surface_m = _drawn(sample, mesh_m, surface)
    else:
        surface_m, slack_m = _along_bones(sample.joints_m), _FRONT_M + _SKIN_M
    rows, columns, surface_m = _pixels(sample.camera, surface_m)
    measured = np.full(len(rows), np.nan) if depth_m is None else depth_m[rows, columns].astype(np.float64)
    labels = None if segmentation is None or not len(rows) else segmentation[rows, columns]
    known = np.isfinite(measured)
    off_m = measured[known] - surface_m[known, 2]
    near = off_m[np.abs(off_m) <= slack_m]
    return Visibility(
        outside=outside,
        self_hidden=self_hidden,
        hidden=float((off_m < -slack_m).mean()) if known.any() else nan,
        segmented_object=nan if labels is None else float((labels == _OBJECT_LABEL).mean()),
        segmented_hand=nan if labels is None else float((labels == _HAND_LABEL).mean()),
        depth_valid=nan if depth_m is None or not len(rows) else float(known.mean()),
        depth_offset_mm=1e3 * float(np.median(near)) if len(near) else nan,
    )


def _outside(sample: Sample) -> float:
    """Share of the known joints that lie outside of the picture."""
    pixels = sample.joints_px
    if pixels is None or sample.joints_valid.any():
        pixels = cameras.project(sample.camera, sample.joints_m)
    known = np.isfinite(pixels).all(-1) | sample.joints_valid
    return 1.0 - float(cameras.inside(sample.camera, pixels)[known].mean()) if known.any() else float("nan")


def _fits(vertices_m: F64, faces: I64) -> bool:
    """Whether a mesh has these faces: MANO's vertices are not those of the stand-in hand."""
    corners = vertices_m[faces]
    return bool((np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1) < _LONGEST_EDGE_M).all())


def _drawn(sample: Sample, vertices_m: F64, surface: Surface) -> tuple[float, F64]:
    """Share of the joints behind another part of the hand, and points of what faces the camera. `(K, 3)` m."""
    crop = crops.around(sample.camera, crops.box_of(cameras.project(sample.camera, vertices_m)), _SIZE)
    local_m = crops.to_crop(crop, vertices_m)
    meshes = [
        Mesh(local_m[vertices], triangles, np.zeros((len(vertices), 3), np.uint8), 1 + part)
        for part, (vertices, triangles) in enumerate(surface.parts)
        if len(triangles)
    ]
    depth_m, part_at = render_depth(meshes, crop.camera)
    pixels = cameras.project(crop.camera, crops.to_crop(crop, sample.joints_m))
    shown = np.flatnonzero(sample.joints_valid & cameras.inside(crop.camera, pixels))
    columns, rows = np.rint(pixels[shown]).astype(np.int64).clip(0, _SIZE - 1).T
    hidden = ~_OWN[shown, part_at[rows, columns]]
    v, u = np.nonzero(depth_m)
    step = max(len(v) // _POINTS, 1)
    chosen = np.stack([u, v], axis=-1)[::step].astype(np.float64)
    surface_m = cameras.unproject(crop.camera, chosen, depth_m[v, u][::step].astype(np.float64))
    return float(hidden.mean()) if len(hidden) else float("nan"), crops.from_crop(crop, surface_m)


def _own_parts() -> Bool:
    """`(21, 17)` whether a joint is seen through a label: nothing, the part that it moves, or the one before it."""
    own = np.zeros((N_JOINTS, 1 + N_MANO_JOINTS), np.bool_)
    own[:, 0] = True
    for joint, mano in enumerate(permutation("mano21", "openpose21").tolist()):
        # The tips come after the sixteen joints; a tip lies on the part of its finger's end.
        part = mano if mano < N_MANO_JOINTS else int(_END_PARTS[mano - N_MANO_JOINTS])
        own[joint, 1 + part] = True
        own[joint, 1 + max(MANO_PARENTS[part], 0)] |= mano < N_MANO_JOINTS
    return own


def _along_bones(joints_m: F64) -> F64:
    """Points along the bones, brought to the skin that faces the camera. `(21, 3) -> (K, 3)` m, known ones only."""
    parents, children = np.array(BONES).T
    shares = np.array(_ALONG)[:, None, None]
    points_m = ((1 - shares) * joints_m[parents] + shares * joints_m[children]).reshape(-1, 3)
    points_m = points_m[np.isfinite(points_m).all(-1)]
    return points_m * (1.0 - _SKIN_M / np.linalg.norm(points_m, axis=-1, keepdims=True))


def _pixels(camera: Camera, points_m: F64) -> tuple[I64, I64, F64]:
    """Rows and columns of points that lie on the image, and these points."""
    pixels = cameras.project(camera, points_m)
    on = cameras.inside(camera, pixels)
    nearest = np.rint(pixels[on]).astype(np.int64)
    rows, columns = np.minimum(nearest[:, 1], camera.height - 1), np.minimum(nearest[:, 0], camera.width - 1)
    return np.maximum(rows, 0), np.maximum(columns, 0), points_m[on]


_OWN = _own_parts()
