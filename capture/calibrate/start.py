"""Where the bundle adjustment starts: lenses, board poses and a spanning tree of cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from capture.calibrate import lens as optics
from capture.calibrate.board import Board
from capture.calibrate.bundle import Scene, pose_matrix, pose_numbers
from capture.calibrate.detect import Detection
from hoi_core import camera as cam
from hoi_core import rotation
from hoi_core.errors import CalibrationError
from hoi_core.types import F64, Camera

# How much a radian of disagreement weighs beside a metre, when the most typical of several poses is chosen.
_METRES_PER_RADIAN = 0.5


def first_lens(board: Board, detections: Sequence[Detection], factory: Camera | None) -> F64:
    """A lens of one view: the factory's, else Zhang's method without tangential and third radial terms. `-> (9,)`."""
    if factory is not None:
        return optics.to_numbers(factory)
    objects = [board.corners_m[d.ids].astype(np.float32) for d in detections]
    images = [d.corners_px.astype(np.float32) for d in detections]
    flags = cv2.CALIB_FIX_K3 | cv2.CALIB_ZERO_TANGENT_DIST
    try:
        _, K, distortion, _, _ = cv2.calibrateCamera(
            objects, images, detections[0].size, np.eye(3), np.zeros(5), flags=flags
        )
    except cv2.error as error:
        raise CalibrationError(
            f"the lens cannot be solved for: {str(error).strip().splitlines()[-1]}.",
            "Take more images with the board tilted in different directions.",
        ) from error
    return np.array([K[0, 0], K[1, 1], K[0, 2], K[1, 2], *distortion.ravel()[:5]])


def board_pose(board: Board, detection: Detection, lens: F64) -> F64 | None:
    """T_cam_board `(4, 4)` from one image; None where no pose explains it."""
    K = np.array([[lens[0], 0, lens[2]], [0, lens[1], lens[3]], [0, 0, 1]])
    points, pixels = board.corners_m[detection.ids], detection.corners_px
    found, turns, shifts, errors = cv2.solvePnPGeneric(points, pixels, K, lens[4:], flags=cv2.SOLVEPNP_IPPE)
    if not found:
        return None
    best = int(np.argmin(np.ravel(errors)))
    w, t = cv2.solvePnPRefineLM(points, pixels, K, lens[4:], turns[best], shifts[best])
    T: F64 = pose_matrix(np.concatenate([np.ravel(w), np.ravel(t)]).astype(np.float64))
    return T if T[2, 3] > 0 else None


def typical_pose(poses: F64) -> F64:
    """The pose of which most others are near: robust against flipped ones. `(N, 4, 4) -> (4, 4)`."""
    angle = rotation.geodesic_angle(poses[:, None, :3, :3], poses[None, :, :3, :3])
    shift = np.linalg.norm(poses[:, None, :3, 3] - poses[None, :, :3, 3], axis=-1)
    return poses[int(np.argmin(np.median(shift + _METRES_PER_RADIAN * angle, axis=1)))]


def place(poses: Sequence[Mapping[int, F64]], lenses: F64, count: int, fewest: int) -> Scene:
    """Chain the cameras over their shared shots, and the boards over the cameras.

    Args:
        poses: for each view, shot -> T_cam_board; the first view is the reference.
        lenses: `(V, 9)`.
        count: number of shots S.
        fewest: shots that two views must share to be linked.

    Returns:
        The scene to start from.

    Raises:
        CalibrationError: a view is linked to no other.
    """
    shared = np.array([[len(set(a) & set(b)) for b in poses] for a in poses])
    np.fill_diagonal(shared, 0)
    rows, columns = np.nonzero(shared >= fewest)
    graph = coo_matrix((1.0 / shared[rows, columns], (rows, columns)), shape=shared.shape)
    order, before = breadth_first_order(minimum_spanning_tree(graph), 0, directed=False)
    if len(order) < len(poses):
        best = int(shared.max(initial=0))
        raise CalibrationError(
            f"expected at least {fewest} images of the board in two views at once, got {best} at best.",
            "Hold the board where two cameras see it together, more often.",
        )
    T_cam_ref = {0: np.eye(4)}
    for view in order[1:]:
        parent = int(before[view])
        both = sorted(set(poses[view]) & set(poses[parent]))
        links = np.stack([poses[view][s] @ cam.inverse_rigid(poses[parent][s]) for s in both])
        T_cam_ref[int(view)] = typical_pose(links) @ T_cam_ref[parent]
    boards = np.zeros((count, 6))
    for shot in range(count):
        seen = [cam.inverse_rigid(T_cam_ref[v]) @ poses[v][shot] for v in range(len(poses)) if shot in poses[v]]
        if seen:
            boards[shot] = pose_numbers(typical_pose(np.stack(seen)))
    return Scene(lenses, pose_numbers(np.stack([T_cam_ref[v] for v in range(len(poses))])), boards)
