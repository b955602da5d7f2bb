# SPDX-License-Identifier: GPL-3.0-or-later
"""What a view shows of a frame: its image or depth, meshes drawn over it, and where joints lie. No Qt."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from gui.sessions import AnnotationSession
from hoi_core import draw, render
from hoi_core.camera import resize
from hoi_core.conventions import SIDES, Side
from hoi_core.errors import HoiError
from hoi_core.types import F64, I64, MARKS, STATUSES, U8, Bool, Camera

log = logging.getLogger(__name__)
HAND_RGB = {"right": (96, 165, 250), "left": (192, 132, 252)}
REJECTED_RGB = (235, 110, 105)
OBJECT_RGB = (250, 190, 90)
LIGHT = render.Light(direction=(0.25, -0.35, 0.9), ambient=(0.34,) * 3, diffuse=(0.7,) * 3)
_GLOSS = 0.12
# Meshes are drawn finer than the image, so that their edge stays crisp when zoomed.
_SCALE = 2
# Edge of the 90 % ellipse of a two-dimensional normal distribution, in standard deviations.
_ELLIPSE_SIGMAS = 2.146


@dataclass(frozen=True)
class Layers:
    """What is shown over the image."""

    mesh: bool = True
    wireframe: bool = False
    keypoints: bool = True
    depth: bool = False
    objects: bool = True


@dataclass(frozen=True)
class Body:
    """A mesh in the world, and its colour."""

    vertices_m: F64
    """(N, 3) m."""
    faces: I64
    """(F, 3)."""
    rgb: tuple[int, int, int]


@dataclass(frozen=True)
class Overlay:
    """A transparent picture of meshes and where it lies."""

    rgba: U8
    """(h, w, 4), colours multiplied by the opacity."""
    box_px: tuple[float, float, float, float]
    """Left, top, width and height in pixels of the image."""


@dataclass(frozen=True)
class HandMarks:
    """One hand as a view shows it."""

    side: Side
    joints_px: F64
    """(21, 2) px of the labelled joints; NaN where there is no label."""
    evidence_px: F64
    """(21, 3) u px, v px, confidence; NaN where absent."""
    clicked: Bool
    """(21,) placed by a person."""
    occluded: Bool
    """(21,) hidden from this view."""
    locked: Bool
    """(21,) fixed by a person."""


@dataclass(frozen=True)
class Picture:
    """Everything that a canvas paints."""

    image: U8 | None = None
    overlay: Overlay | None = None
    behind: Overlay | None = None
    """Meshes that stay while a hand is dragged, under it."""
    hands: tuple[HandMarks, ...] = ()
    ellipse: tuple[float, float, float, float, float] | None = None
    """90 % ellipse of the chosen joint: centre x, y, semi-axes a, b in px, angle in degrees."""
    object_px: F64 = field(default_factory=lambda: np.zeros((0, 2)))
    """(K, 2) clicked points of objects."""


def bodies(session: AnnotationSession, frame: int, layers: Layers, without: Side | None = None) -> list[Body]:
    """The meshes that are labelled at a frame, all or without one hand."""
    out = []
    for side in [side for side in session.sides if layers.mesh and side != without]:
        vertices_m = session.vertices_m(side, frame)
        if vertices_m is not None:
            out.append(Body(vertices_m, session.faces(side), hand_rgb(session, side, frame)))
    for name in session.object_names if layers.objects else ():
        body = object_body(session, name, frame)
        out += [] if body is None else [body]
    return out


def hand_rgb(session: AnnotationSession, side: Side, frame: int) -> tuple[int, int, int]:
    """The colour of a hand's mesh: red where its label is rejected."""
    track = session.revision.hands.get(side)
    rejected = track is not None and STATUSES[track.status[frame]] == "rejected"
    return REJECTED_RGB if rejected else HAND_RGB[side]


def object_body(session: AnnotationSession, name: str, frame: int) -> Body | None:
    """An object's mesh where it is labelled; None where it is not, or has no mesh."""
    pose = session.object_pose(name, frame)
    if pose is None:
        return None
    try:
        vertices_m, faces = session.object_mesh(name)
    except HoiError:
        # The panel of objects says why; a frame is shown without the mesh.
        return None
    return Body(vertices_m @ pose[:3, :3].T + pose[:3, 3], faces, OBJECT_RGB)


def read_meshes(session: AnnotationSession) -> None:
    """Let the session build hands and read the meshes of objects, which takes seconds the first time; for a thread."""
    for side in session.sides or SIDES[:1]:
        session.faces(side)
    for name in session.object_names:
        try:
            session.object_mesh(name)
        except HoiError as error:
            # The panel of objects says it when a person looks there.
            log.info("no mesh of %s: %s", name, error)


def overlay(
    shown: Sequence[Body], camera: Camera, *, wireframe: bool = False, opacity: float = 0.62, scale: int = _SCALE
) -> Overlay | None:
    """Draw meshes as a camera sees them, on nothing.

    Args:
        shown: in the world.
        camera: of the image.
        wireframe: edges alone.
        opacity: of the shaded meshes.
        scale: how many times finer than the image it is drawn.

    Returns:
        The picture, no larger than needed; None where nothing is seen.
    """
    if not shown:
        return None
    fine = resize(camera, camera.width * scale, camera.height * scale)
    if wireframe:
        window = render.window_of(np.concatenate([b.vertices_m for b in shown]), fine)
        drawn = None if window is None else (_wires(shown, fine, window), window)
    else:
        drawn = render.render_overlay(meshes(shown), fine, LIGHT, opacity)
    if drawn is None:
        return None
    rgba, (x0, y0, x1, y1) = drawn
    return Overlay(rgba, (x0 / scale, y0 / scale, (x1 - x0) / scale, (y1 - y0) / scale))


def meshes(shown: Sequence[Body]) -> list[render.Mesh]:
    """Bodies as the rasteriser takes them."""
    return [
        render.Mesh(
            b.vertices_m, b.faces.astype(np.int32), np.full((len(b.vertices_m), 3), b.rgb, np.uint8), n + 1, _GLOSS
        )
        for n, b in enumerate(shown)
    ]


def _wires(shown: Sequence[Body], camera: Camera, window: render.Window) -> U8:
    rgba = np.zeros((window[3] - window[1], window[2] - window[0], 4), np.uint8)
    for body in shown:
        pixels = draw.world_to_pixels(camera, body.vertices_m) - window[:2]
        triangles = pixels[body.faces]
        drawable = np.isfinite(triangles).all((1, 2)) & (np.abs(np.nan_to_num(triangles)) < 1e4).all((1, 2))
        fixed = np.round(triangles[drawable] * 16).astype(np.int32)
        cv2.polylines(rgba, list(fixed), True, (*body.rgb, 255), 1, cv2.LINE_8, 4)
    return rgba


def base_image(session: AnnotationSession, view: str, frame: int, layers: Layers) -> U8 | None:
    """`(H, W, 3)` RGB of the view, or its depth in colours; None where it has neither."""
    if layers.depth:
        depth_m = session.depth_m(view, frame)
        if depth_m is not None:
            return draw.depth_colours(depth_m)
    return session.image(view, frame)


def hand_marks(session: AnnotationSession, view: str, frame: int, camera: Camera) -> tuple[HandMarks, ...]:
    """Joints and 2D evidence of every hand in a view."""
    revision, out = session.revision, []
    for side in SIDES:
        track, held = revision.hands.get(side), revision.keypoints.get(side)
        labelled = track is not None and bool(track.valid[frame])
        joints_px = np.full((21, 2), np.nan)
        if track is not None and labelled:
            joints_px = draw.world_to_pixels(camera, track.joints_m[frame])
        evidence = np.full((21, 3), np.nan)
        marks = np.zeros(21, np.uint8)
        if held is not None and view in held.by_view:
            evidence = np.asarray(held.by_view[view][frame], np.float64)
        if held is not None and view in held.marks:
            marks = held.marks[view][frame]
        if not labelled and not np.isfinite(evidence[:, 0]).any() and not marks.any():
            continue
        locked = revision.locked[side][frame] if side in revision.locked else np.zeros(21, bool)
        clicked, occluded = (marks & MARKS["clicked"]) > 0, (marks & MARKS["occluded"]) > 0
        out.append(HandMarks(side, joints_px, evidence, clicked, occluded, locked))
    return tuple(out)


def ellipse_px(camera: Camera, joint_m: F64, covariance_m2: F64) -> tuple[float, float, float, float, float] | None:
    """The 90 % ellipse of a joint in an image; None where its uncertainty is not known."""
    if not (np.isfinite(joint_m).all() and np.isfinite(covariance_m2).all()):
        return None
    step = 1e-4
    around = joint_m + np.concatenate([np.zeros((1, 3)), step * np.eye(3)])
    pixels = draw.world_to_pixels(camera, around)
    if not np.isfinite(pixels).all():
        return None
    slope = (pixels[1:] - pixels[0]).T / step
    values, vectors = np.linalg.eigh(slope @ covariance_m2 @ slope.T)
    a, b = _ELLIPSE_SIGMAS * np.sqrt(np.maximum(values[::-1], 0.0))
    angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
    return float(pixels[0, 0]), float(pixels[0, 1]), float(a), float(b), float(angle)


def object_clicks(session: AnnotationSession, view: str, frame: int) -> F64:
    """`(K, 2)` px of the points of objects that were clicked in a view at a frame."""
    found = [
        points.point_px[k]
        for points in session.revision.object_points.values()
        for k in range(len(points.moment))
        if points.moment[k] == frame and points.view[k] == view
    ]
    return np.array(found).reshape(-1, 2)


def hand_box(session: AnnotationSession, view: str, frame: int) -> tuple[float, float, float] | None:
    """Centre and size of the hands in a view.

    Returns:
        Centre x and y and the larger side, as shares of the image's width and height; None where no hand is seen.
    """
    camera, hands = session.camera(view), session.revision.hands
    joints_m = [hands[side].joints_m[frame] for side in session.sides if side in hands and hands[side].valid[frame]]
    if joints_m:
        pixels = draw.world_to_pixels(camera, np.concatenate(joints_m))
    else:
        held = [k.by_view[view][frame, :, :2] for k in session.revision.keypoints.values() if view in k.by_view]
        pixels = np.concatenate(held) if held else np.zeros((0, 2))
    share = pixels / [camera.width, camera.height]
    share = share[np.isfinite(share).all(-1)]
    # From one or two clicks nothing can be said of the size.
    if len(share) < 3:
        return None
    low, high = share.min(0), share.max(0)
    centre = (low + high) / 2
    return float(centre[0]), float(centre[1]), float((high - low).max())


def spread_points(vertices_m: F64, count: int = 24) -> F64:
    """`(count, 3)` m: vertices of a mesh `(N, 3)` that lie far from each other, the highest first."""
    chosen = [int(np.argmax(vertices_m[:, 2]))]
    distance = np.linalg.norm(vertices_m - vertices_m[chosen[0]], axis=1)
    for _ in range(min(count, len(vertices_m)) - 1):
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(vertices_m - vertices_m[chosen[-1]], axis=1))
    return np.asarray(vertices_m[chosen])
