"""Overlays on RGB images: skeleton, translucent mesh, depth colours, captions, montages. Never changes its input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from hoi_core.camera import project, transform
from hoi_core.conventions import BONES, BOX_EDGES, FINGER_COLOURS, FINGERS, N_CORNERS
from hoi_core.types import F32, F64, I64, U8, Camera

Colour = tuple[int, int, int]
Corner = Literal["top-left", "top-right", "bottom-left", "bottom-right"]

WRIST_COLOUR: Colour = (240, 240, 240)
HOLE_COLOUR: Colour = (34, 36, 40)
# Fixed-point bits of OpenCV's sub-pixel coordinates.
_SHIFT = 4
_LIGHT = np.array([-0.35, -0.45, -0.82])


@dataclass(frozen=True)
class MeshStyle:
    """How a mesh overlay looks."""

    colour: Colour = (96, 165, 250)
    """RGB of a face that looks at the light."""
    opacity: float = 0.6
    """0 is invisible, 1 hides the image."""
    wireframe: bool = False
    """Draw edges only."""


DEFAULT_STYLE = MeshStyle()


def joint_colour(joint: int) -> Colour:
    """Colour of a joint in `openpose21`: that of its finger, the wrist near white."""
    return WRIST_COLOUR if joint == 0 else FINGER_COLOURS[FINGERS[(joint - 1) // 4]]


def _fixed(pixel: NDArray[np.floating]) -> tuple[int, int]:
    """A pixel in OpenCV's fixed-point coordinates."""
    u, v = np.round(pixel[:2] * (1 << _SHIFT)).astype(int)
    return int(u), int(v)


def skeleton(image: U8, joints_px: F64, *, thickness: int = 2, radius: int = 4) -> U8:
    """Draw a hand's bones and joints in the finger colours.

    Args:
        image: `(H, W, 3)` RGB.
        joints_px: `(21, 2)` or `(21, 3)` px in `openpose21`; NaN joints and their bones are left out.
        thickness: of the bones, px.
        radius: of the joints, px.

    Returns:
        `(H, W, 3)` RGB, a copy.
    """
    out = np.ascontiguousarray(image).copy()
    reach = 4.0 * max(image.shape)
    shown = np.isfinite(joints_px[:, :2]).all(-1) & (np.abs(np.nan_to_num(joints_px[:, :2])) < reach).all(-1)
    for parent, child in BONES:
        if shown[parent] and shown[child]:
            ends = _fixed(joints_px[parent]), _fixed(joints_px[child])
            cv2.line(out, *ends, (20, 20, 20), thickness + 2, cv2.LINE_AA, _SHIFT)
            cv2.line(out, *ends, joint_colour(child), thickness, cv2.LINE_AA, _SHIFT)
    for joint in np.flatnonzero(shown):
        centre = _fixed(joints_px[joint])
        cv2.circle(out, centre, (radius + 1) << _SHIFT, (20, 20, 20), -1, cv2.LINE_AA, _SHIFT)
        cv2.circle(out, centre, radius << _SHIFT, joint_colour(int(joint)), -1, cv2.LINE_AA, _SHIFT)
    return out


def box_edges(image: U8, control_px: F64, colour: Colour, *, thickness: int = 1) -> U8:
    """Draw the twelve edges of an object's box, each through the point in its middle.

    Args:
        image: `(H, W, 3)` RGB.
        control_px: `(21, 2)` px of `known_object.control_points`; edges with a NaN end are left out.
        colour: RGB.
        thickness: of the edges, px.

    Returns:
        `(H, W, 3)` RGB, a copy.
    """
    out = np.ascontiguousarray(image).copy()
    reach = 4.0 * max(image.shape)
    shown = np.isfinite(control_px).all(-1) & (np.abs(np.nan_to_num(control_px)) < reach).all(-1)
    for edge, (a, b) in enumerate(BOX_EDGES):
        for end in (a, b):
            if shown[end] and shown[N_CORNERS + edge]:
                ends = _fixed(control_px[end]), _fixed(control_px[N_CORNERS + edge])
                cv2.line(out, *ends, colour, thickness, cv2.LINE_AA, _SHIFT)
    return out


def crosses(image: U8, points_px: F64, *, size: int = 5, thickness: int = 1) -> U8:
    """Mark 2D evidence (clicked or detected joints) by diagonal crosses in the finger colours.

    Args:
        image: `(H, W, 3)` RGB.
        points_px: `(21, 2)` or `(21, 3)` px; NaN points are left out.
        size: half length of a stroke, px.
        thickness: of a stroke, px.

    Returns:
        `(H, W, 3)` RGB, a copy.
    """
    out = np.ascontiguousarray(image).copy()
    for joint in np.flatnonzero(np.isfinite(points_px[:, :2]).all(-1)):
        u, v = points_px[joint, :2]
        for du, dv in ((size, size), (size, -size)):
            ends = _fixed(np.array([u - du, v - dv])), _fixed(np.array([u + du, v + dv]))
            cv2.line(out, *ends, (20, 20, 20), thickness + 2, cv2.LINE_AA, _SHIFT)
            cv2.line(out, *ends, joint_colour(int(joint)), thickness, cv2.LINE_AA, _SHIFT)
    return out


def world_to_pixels(camera: Camera, points_m: F64) -> F64:
    """Where world points appear in a camera. `(N, 3) m -> (N, 2) px`; NaN behind it."""
    return project(camera, transform(camera.T_cam_world, points_m))


def mesh(image: U8, camera: Camera, vertices_m: F64, faces: I64, style: MeshStyle = DEFAULT_STYLE) -> U8:
    """Draw a mesh over the image that a camera took: shaded and translucent, or as a wireframe.

    Faces are painted from far to near, those turned away are left out.

    Args:
        image: `(H, W, 3)` RGB.
        camera: of this image, with its pose.
        vertices_m: `(N, 3)` m in the world.
        faces: `(F, 3)` vertex indices, counter-clockwise seen from outside.
        style: colour, opacity, wireframe.

    Returns:
        `(H, W, 3)` RGB, a copy.
    """
    points_m = transform(camera.T_cam_world, vertices_m)
    pixels = project(camera, points_m)
    corners_m, corners_px = points_m[faces], pixels[faces]
    normals = np.cross(corners_m[:, 1] - corners_m[:, 0], corners_m[:, 2] - corners_m[:, 0])
    towards = (normals * corners_m.mean(1)).sum(1) < 0
    reach = 4.0 * max(image.shape)
    drawable = np.isfinite(corners_px).all((1, 2)) & (np.abs(np.nan_to_num(corners_px)) < reach).all((1, 2))
    visible = np.flatnonzero(towards & drawable)
    order = visible[np.argsort(-corners_m[visible, :, 2].mean(1))]
    paint = np.ascontiguousarray(image).copy()
    fixed = np.round(corners_px[order] * (1 << _SHIFT)).astype(np.int32)
    if style.wireframe:
        cv2.polylines(paint, list(fixed), True, style.colour, 1, cv2.LINE_AA, _SHIFT)
    else:
        shade = _shade(len(vertices_m), faces, normals)[order]
        for triangle, colour in zip(fixed, shade[:, None] * np.array(style.colour), strict=True):
            cv2.fillConvexPoly(paint, triangle, colour.tolist(), cv2.LINE_8, _SHIFT)
    return cv2.addWeighted(paint, style.opacity, image, 1.0 - style.opacity, 0.0).astype(np.uint8)


def _shade(n_vertices: int, faces: I64, normals: F64) -> F64:
    """Brightness of each face, from normals averaged at its corners so that the facets do not show. `(F,)`."""
    smooth = np.zeros((n_vertices, 3))
    for corner in range(3):
        np.add.at(smooth, faces[:, corner], normals)
    smooth /= np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-12)
    lit = np.clip(smooth @ (_LIGHT / np.linalg.norm(_LIGHT)), 0.0, 1.0)
    return 0.35 + 0.65 * lit[faces].mean(1)


def depth_colours(depth_m: F32, near_m: float = 0.3, far_m: float = 1.0) -> U8:
    """Colour a depth image: near is warm, far is cool, holes are dark grey.

    Args:
        depth_m: `(H, W)` m; 0 or NaN where nothing was measured.
        near_m: depth of the warmest colour, m.
        far_m: depth of the coolest colour, m.

    Returns:
        `(H, W, 3)` RGB.
    """
    known = np.isfinite(depth_m) & (depth_m > 0)
    nearness = np.clip((far_m - np.where(known, depth_m, far_m)) / (far_m - near_m), 0.0, 1.0)
    # Turbo's two ends are nearly black; the inner part reads better on a dark window.
    levels = np.where(known, np.round(25.0 + 205.0 * nearness), 0.0).astype(np.uint8)
    return np.take(_depth_table(), levels, axis=0, mode="clip")


@cache
def _depth_table() -> U8:
    """RGB of each level, `(256, 3)`; level 0 is a hole."""
    bgr = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_TURBO)
    table = np.ascontiguousarray(bgr[:, 0, ::-1]).astype(np.uint8)
    table[0] = HOLE_COLOUR
    return table


def to_rgb(image: U8) -> U8:
    """Gray `(H, W)` as RGB `(H, W, 3)`; RGB is returned unchanged."""
    return np.repeat(image[..., None], 3, axis=-1) if image.ndim == 2 else image


def label(image: U8, text: str, *, corner: Corner = "top-left", scale: float = 0.5) -> U8:
    """Write a caption on a dark, translucent plate in a corner of the image. Returns a copy."""
    out = np.ascontiguousarray(image).copy()
    (width, height), baseline = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    pad, rows, columns = 6, image.shape[0], image.shape[1]
    box_w, box_h = width + 2 * pad, height + baseline + 2 * pad
    left = 0 if corner.endswith("left") else max(columns - box_w, 0)
    top = 0 if corner.startswith("top") else max(rows - box_h, 0)
    plate = out[top : top + box_h, left : left + box_w]
    plate[:] = (plate * 0.35).astype(np.uint8)
    origin = (left + pad, top + pad + height)
    cv2.putText(out, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, (245, 245, 245), 1, cv2.LINE_AA)
    return out


def montage(images: Sequence[U8], *, columns: int = 0, gap: int = 6, background: Colour = (24, 26, 30)) -> U8:
    """Lay images out in a grid, each centred in a cell as large as the largest image.

    Args:
        images: `(H, W, 3)` RGB or `(H, W)` gray, of any sizes.
        columns: cells in a row; 0 puts all side by side.
        gap: between cells and around the grid, px.
        background: RGB between the images.

    Returns:
        `(H', W', 3)` RGB.

    Raises:
        ValueError: there is no image.
    """
    if not images:
        raise ValueError("a montage needs at least one image, got none")
    columns = columns or len(images)
    rows = -(-len(images) // columns)
    cell_h, cell_w = max(i.shape[0] for i in images), max(i.shape[1] for i in images)
    out = np.empty((rows * (cell_h + gap) + gap, columns * (cell_w + gap) + gap, 3), dtype=np.uint8)
    out[:] = background
    for n, image in enumerate(images):
        top = gap + (n // columns) * (cell_h + gap) + (cell_h - image.shape[0]) // 2
        left = gap + (n % columns) * (cell_w + gap) + (cell_w - image.shape[1]) // 2
        out[top : top + image.shape[0], left : left + image.shape[1]] = to_rgb(image)
    return out
