"""A first pose of a coarse sensor: where the boards lie in its images, then which way patches of them must move."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from capture.calibrate.board import Board
from capture.calibrate.bundle import pose_matrix
from capture.calibrate.coarse.predict import Lens, Prediction, texture_of
from capture.calibrate.detect import detect
from hoi_core import camera as cam
from hoi_core.errors import CalibrationError
from hoi_core.types import F32, F64, U8, Bool

# A square of the board is three to seven pixels wide: the scale of its saddle points, and that of their crowd.
_SADDLE_PX = 1.2
_SPREAD_PX = 6.0
# Inliers of the pose: middles of crowds are rough, corners are exact.
_CENTRE_GATE_PX = 12.0
_CORNER_GATE_PX = 1.5
_FEWEST_CORNERS = 24
_ENLARGE = 4
# A board whose middle is nearer to the image's edge than this is probably cut off.
_EDGE_SHARE = 0.25
_FEWEST = 6
# (patches down, patches across, search range px, least correlation, gate of the pose px) of each round
_ROUNDS = (
    (1, 1, 10, 0.35, 6.0),
    (1, 1, 8, 0.4, 5.0),
    (2, 1, 6, 0.45, 4.0),
    (2, 2, 5, 0.5, 3.0),
    (3, 2, 4, 0.6, 2.0),
    (3, 2, 2, 0.6, 1.5),
)
_LEAST_PATCH_PX = 60


def first_pose(board: Board, images: Sequence[U8], T_ref_board: F64, lens: Lens) -> F64:
    """T_cam_ref of a sensor whose images show the board at known poses.

    Args:
        board: what is shown.
        images: S images, gray.
        T_ref_board: `(S, 4, 4)` m.
        lens: roughly right.

    Returns:
        (4, 4), within about a pixel.

    Raises:
        CalibrationError: the boards are not found.
    """
    points_m, pixels = _enlarged(board, images, T_ref_board)
    if len(points_m) >= _FEWEST_CORNERS:
        T = _pose(points_m, pixels, lens, _CORNER_GATE_PX)
    else:
        T = _pose(*_centres(board, images, T_ref_board), lens, _CENTRE_GATE_PX)
    texture = texture_of(board)
    for down, across, reach, least, gate in _ROUNDS:
        places, found = [], []
        for image, T_board in zip(images, T_ref_board, strict=True):
            predicted = lens.predict(board, texture, T @ T_board)
            if predicted is None:
                continue
            for point, pixel in _match(image, predicted, (down, across), reach, least):
                places.append(cam.transform(cam.inverse_rigid(T), point[None])[0])
                found.append(pixel)
        T = _pose(np.array(places).reshape(-1, 3), np.array(found).reshape(-1, 2), lens, gate)
    return T


def _enlarged(board: Board, images: Sequence[U8], T_ref_board: F64) -> tuple[F64, F64]:
    """Corners that are found after all in enlarged images of near boards: `(N, 3)` m in the reference, `(N, 2)` px."""
    markers = cv2.aruco.DetectorParameters()
    markers.adaptiveThreshWinSizeMin, markers.adaptiveThreshWinSizeMax = 5, 61
    markers.adaptiveThreshWinSizeStep = 8
    markers.minMarkerPerimeterRate = 0.02
    markers.polygonalApproxAccuracyRate = 0.06
    markers.perspectiveRemovePixelPerCell = 8
    markers.perspectiveRemoveIgnoredMarginPerCell = 0.25
    detector = cv2.aruco.CharucoDetector(board.opencv(), cv2.aruco.CharucoParameters(), markers)
    points, pixels = [np.zeros((0, 3))], [np.zeros((0, 2))]
    for image, T in zip(images, T_ref_board, strict=True):
        size = (_ENLARGE * image.shape[1], _ENLARGE * image.shape[0])
        found = detect(board, np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8), detector)
        if found is not None:
            points.append(cam.transform(T, board.corners_m[found.ids]))
            pixels.append((found.corners_px + 0.5) / _ENLARGE - 0.5)
    return np.concatenate(points), np.concatenate(pixels)


def _centres(board: Board, images: Sequence[U8], T_ref_board: F64) -> tuple[F64, F64]:
    """The boards' middles, and where saddle points crowd in the images, away from the images' edges."""
    middle = np.array([*np.array(board.size_m) / 2, 0.0])
    points = np.stack([cam.transform(T, middle[None])[0] for T in T_ref_board])
    pixels = np.stack([_busiest(image) for image in images])
    size = np.array(images[0].shape[::-1])
    inner = ((pixels > _EDGE_SHARE * size) & (pixels < (1 - _EDGE_SHARE) * size)).all(1)
    return points[inner], pixels[inner]


def _busiest(image: U8) -> F64:
    """Where saddle points crowd, as a chessboard's corners do. `(H, W) -> (2,)` px."""
    smooth = cv2.GaussianBlur(image.astype(np.float64), (0, 0), _SADDLE_PX)
    xx, yy, xy = (cv2.Sobel(smooth, cv2.CV_64F, *order) for order in ((2, 0), (0, 2), (1, 1)))
    saddle = np.sqrt(np.maximum(xy * xy - xx * yy, 0.0))
    crowd = cv2.GaussianBlur(saddle, (0, 0), _SPREAD_PX, borderType=cv2.BORDER_CONSTANT)
    # The centroid of all that is nearly as crowded as the most crowded place.
    weight = np.maximum(crowd - 0.5 * crowd.max(), 0.0)
    v, u = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(weight * u).sum(), (weight * v).sum()]) / weight.sum()


def _pose(points_m: F64, pixels: F64, lens: Lens, gate_px: float) -> F64:
    """T_cam_ref that explains most points."""
    if len(points_m) >= _FEWEST:
        found, w, t, inliers = cv2.solvePnPRansac(
            points_m,
            pixels,
            lens.camera.K,
            lens.numbers[4:],
            iterationsCount=3000,
            reprojectionError=gate_px,
            confidence=0.9999,
            flags=cv2.SOLVEPNP_EPNP,
        )
        if found and inliers is not None and len(inliers) >= max(_FEWEST, 0.3 * len(points_m)):
            chosen = inliers.ravel()
            w, t = cv2.solvePnPRefineLM(points_m[chosen], pixels[chosen], lens.camera.K, lens.numbers[4:], w, t)
            return np.asarray(pose_matrix(np.concatenate([w.ravel(), t.ravel()])))
    raise CalibrationError(
        f"the board is not recognised in enough images of the coarse sensor ({len(points_m)} places found).",
        "Hold the board nearer to it, wholly in its image, still, at many different places and distances.",
    )


def _match(
    image: U8, predicted: Prediction, patches: tuple[int, int], reach: int, least: float
) -> list[tuple[F64, F64]]:
    """Shift patches of the prediction over the image. `-> [(point m in the sensor's frame, pixel)]`."""
    x0, y0 = predicted.corner
    height, width = predicted.image.shape
    padded = cv2.copyMakeBorder(image, reach, reach, reach, reach, cv2.BORDER_REPLICATE).astype(np.float32)
    around = padded[y0 : y0 + height + 2 * reach, x0 : x0 + width + 2 * reach]
    if not predicted.inside.any():
        return []
    out = []
    for mask in _split(predicted, patches):
        if mask.sum() < _LEAST_PATCH_PX:
            continue
        shift, score = _best_shift(around, predicted.image, mask, reach)
        if score < least:
            continue
        v, u = np.argwhere(mask).mean(0).round().astype(int)
        if not mask[v, u]:
            continue
        out.append((predicted.point_m[v, u], np.array([x0 + u, y0 + v]) + shift))
    return out


def _split(predicted: Prediction, patches: tuple[int, int]) -> list[Bool]:
    """Cut what is inside into patches of equal numbers of rows and columns of the image."""
    rows, columns = np.nonzero(predicted.inside)
    v, u = np.mgrid[: predicted.image.shape[0], : predicted.image.shape[1]]
    edges_v = np.linspace(rows.min(), rows.max() + 1, patches[0] + 1)
    edges_u = np.linspace(columns.min(), columns.max() + 1, patches[1] + 1)
    return [
        predicted.inside & (v >= edges_v[i]) & (v < edges_v[i + 1]) & (u >= edges_u[j]) & (u < edges_u[j + 1])
        for i in range(patches[0])
        for j in range(patches[1])
    ]


def _best_shift(around: F32, template: F64, mask: Bool, reach: int) -> tuple[F64, float]:
    """Shift px `(2,)` of the best normalised correlation, to a fraction of a pixel, and the correlation."""
    score = cv2.matchTemplate(around, template.astype(np.float32), cv2.TM_CCOEFF_NORMED, mask=mask.astype(np.float32))
    score = np.where(np.isfinite(score), score, -1.0)
    y, x = np.unravel_index(int(np.argmax(score)), score.shape)
    best = float(score[y, x])
    if not (0 < x < score.shape[1] - 1 and 0 < y < score.shape[0] - 1):
        return np.zeros(2), -1.0
    fraction = [
        0.5 * (low - high) / (low - 2 * best + high)
        for low, high in ((score[y, x - 1], score[y, x + 1]), (score[y - 1, x], score[y + 1, x]))
    ]
    return np.array([x, y]) - reach + np.array(fraction), best
