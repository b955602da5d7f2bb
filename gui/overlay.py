# SPDX-License-Identifier: GPL-3.0-or-later
"""One view of one frame as it is shown: image or depth, mesh, skeleton, 2D evidence. No Qt."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from hoi_core import draw
from hoi_core.camera import resize
from hoi_core.types import STATUSES, U8

from .sessions import AnnotationSession

# Overlays are drawn on an enlarged image, so that they stay crisp on a large window.
_SCALE = 2
_REJECTED = draw.MeshStyle(colour=(235, 110, 105), opacity=0.45)


@dataclass(frozen=True)
class Layers:
    """What is shown over the image."""

    mesh: bool = True
    wireframe: bool = False
    keypoints: bool = False
    depth: bool = False


def compose(session: AnnotationSession, view: str, frame: int, layers: Layers) -> U8 | None:
    """Draw a view.

    Returns:
        `(2 H, 2 W, 3)` RGB, or None where the view has no image at this moment.
    """
    image = session.image(view, frame)
    if image is None:
        return None
    if layers.depth:
        depth_m = session.depth_m(view, frame)
        if depth_m is not None:
            image = draw.depth_colours(depth_m)
    size = (image.shape[1] * _SCALE, image.shape[0] * _SCALE)
    image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    camera = resize(session.camera(view), *size)
    revision = session.revision
    for side in session.sides:
        vertices_m = session.vertices_m(side, frame)
        if vertices_m is None or side not in revision.hands:
            continue
        hand = revision.hands[side]
        if layers.mesh:
            rejected = STATUSES[hand.status[frame]] == "rejected"
            style = _REJECTED if rejected else draw.MeshStyle(wireframe=layers.wireframe)
            image = draw.mesh(image, camera, vertices_m, session.faces(side), style)
        if layers.keypoints:
            joints_px = draw.world_to_pixels(camera, hand.joints_m[frame])
            image = draw.skeleton(image, joints_px, thickness=3, radius=5)
    if layers.keypoints:
        for points in (found.by_view[view] for found in revision.keypoints.values() if view in found.by_view):
            image = draw.crosses(image, (points[frame, :, :2] + 0.5) * _SCALE - 0.5, size=9, thickness=2)
    return image


def hand_box(session: AnnotationSession, view: str, frame: int) -> tuple[float, float, float] | None:
    """Centre and size of the hands in a view.

    Returns:
        Centre x and y and the larger side, as shares of the image's width and height; None where no hand is seen.
    """
    camera, hands = session.camera(view), session.revision.hands
    joints_m = [hands[side].joints_m[frame] for side in session.sides if side in hands and hands[side].valid[frame]]
    if not joints_m:
        return None
    share = draw.world_to_pixels(camera, np.concatenate(joints_m)) / [camera.width, camera.height]
    share = share[np.isfinite(share).all(-1)]
    if not len(share):
        return None
    low, high = share.min(0), share.max(0)
    centre = (low + high) / 2
    return float(centre[0]), float(centre[1]), float((high - low).max())
