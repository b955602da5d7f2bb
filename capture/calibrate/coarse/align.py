"""The pose and lens of a coarse sensor from all pixels that see the board, by Gauss-Newton on brightness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from capture.calibrate import lens as optics
from capture.calibrate.board import Board
from capture.calibrate.bundle import pose_matrix
from capture.calibrate.coarse.predict import Lens, Prediction, texture_of
from capture.calibrate.coarse.start import first_pose
from hoi_core import camera as cam
from hoi_core import rotation
from hoi_core.errors import CalibrationError
from hoi_core.types import F32, F64, U8, Bool, Camera

_STEPS = 12
_START_BLUR_PX = 0.6
_BLUR_RANGE_PX = (0.25, 2.5)
# Tukey's biweight at 4.7 spreads keeps 95 % of least squares' efficiency where nothing is covered.
_TUKEY = 4.7
# Six numbers for the light and two for the shift are found in each image by itself.
_LEAST_PIXELS = 150
# Below this correlation it is not, or not wholly, the board that is seen.
_GOOD_MATCH = 0.7
# Radians and metres: 20 micrometres, far below what is asked of a sensor's pose.
_DONE = 2e-5
_DONE_BLUR_PX = 2e-3
# Errors of the prediction are alike in neighbouring pixels: they count as fewer than they are.
_ALIKE = 20.0


@dataclass(frozen=True)
class CoarseResult:
    """A coarse sensor among the cameras."""

    camera: Camera
    """Its lens, and its pose in the reference's frame."""
    rms_px: float
    """RMS distance by which single boards would still have to move in the image, px."""
    shots: tuple[int, ...]
    """Indices of the images that were used."""
    blur_px: float
    """Blur of lens and pixels, sigma, px."""


@dataclass(frozen=True)
class _Normal:
    """One image's share of the normal equations."""

    hessian: F64
    """(16, 16)."""
    gradient: F64
    """(16,)."""
    shift_px: F64
    """(2,) how far this board alone would move."""
    match: float
    """Correlation of image and prediction."""
    noise: float
    """Robust spread of the brightness residual."""


def align(
    board: Board, images: Sequence[U8], T_ref_board: F64, factory: Camera, start: F64 | None = None, *, fixed_lens: bool
) -> CoarseResult:
    """Find a sensor's pose from boards at known places.

    Args:
        board: what is shown.
        images: S images, gray, of `factory`'s size.
        T_ref_board: `(S, 4, 4)` m.
        factory: its lens, nearly right.
        start: (4, 4) T_cam_ref to start from; None: it is searched for.
        fixed_lens: keep the factory's lens.

    Returns:
        The camera and how well it fits.

    Raises:
        CalibrationError: the boards are not found in the images, or too few of them fit.
    """
    size = (factory.width, factory.height)
    prior = optics.to_numbers(factory)
    sigma = optics.factory_sigma(prior, size)
    numbers, blur = prior.copy(), _START_BLUR_PX
    T = first_pose(board, images, T_ref_board, Lens(numbers, size, blur)) if start is None else start
    texture = texture_of(board)
    parts: dict[int, _Normal] = {}
    for _ in range(_STEPS):
        lens = Lens(numbers, size, blur)
        parts = _look(board, images, T_ref_board, (T, lens, texture))
        if len(parts) < 3:
            break
        step = _step(list(parts.values()), numbers - prior, sigma, fixed_lens=fixed_lens)
        T = pose_matrix(np.concatenate([step[:3], np.zeros(3)])) @ T
        T[:3, 3] += step[3:6]
        numbers = numbers + step[6:15]
        blur = float(np.clip(blur + step[15], *_BLUR_RANGE_PX))
        if np.abs(step[:6]).max() < _DONE and abs(step[15]) < _DONE_BLUR_PX:
            break
    if len(parts) < 3:
        raise CalibrationError(
            f"the board fits only {len(parts)} of {len(images)} images of the coarse sensor.",
            "Hold the board nearer to it, still, and wholly in its image.",
        )
    shifts = np.stack([part.shift_px for part in parts.values()])
    rms = float(np.sqrt((shifts**2).sum(-1).mean()))
    return CoarseResult(optics.to_camera(numbers, size, cam.inverse_rigid(T)), rms, tuple(parts), blur)


def _look(board: Board, images: Sequence[U8], T_ref_board: F64, now: tuple[F64, Lens, F32]) -> dict[int, _Normal]:
    """The normal equations of all images that match their prediction."""
    T, lens, texture = now
    out = {}
    for s, image in enumerate(images):
        predicted = lens.predict(board, texture, T @ T_ref_board[s])
        if predicted is None or predicted.inside.sum() < _LEAST_PIXELS:
            continue
        part = _normal(image, predicted, lens)
        if part.match >= _GOOD_MATCH:
            out[s] = part
    return out


def _normal(image: U8, predicted: Prediction, lens: Lens) -> _Normal:
    x0, y0 = predicted.corner
    height, width = predicted.image.shape
    inside = predicted.inside
    seen = image[y0 : y0 + height, x0 : x0 + width][inside].astype(np.float64)
    shade = predicted.image[inside]
    columns = _columns(predicted, lens, inside)
    v, u = np.nonzero(inside)
    u, v = (u - u.mean()) / width, (v - v.mean()) / height
    # Light falls unevenly: brightness and contrast may change linearly over the board.
    light = np.stack([np.ones_like(shade), u, v, shade, shade * u, shade * v], axis=-1)
    weight = np.ones_like(seen)
    c = np.zeros(6)
    residual, noise = seen.copy(), 1.0
    for _ in range(3):
        root = np.sqrt(weight)
        c[:] = np.linalg.lstsq(light * root[:, None], seen * root, rcond=None)[0]
        residual = seen - light @ c
        noise = 1.4826 * float(np.median(np.abs(residual))) + 0.3
        # Fingers and glare cover parts of the board.
        weight = np.maximum(1 - (residual / (_TUKEY * noise)) ** 2, 0.0) ** 2
    root = np.sqrt(weight)[:, None]
    gain = light[:, :3] @ c[3:]
    J = columns * gain[:, None] * root
    basis = np.linalg.qr(light * root)[0]
    J = J - basis @ (basis.T @ J)
    r = (residual * root[:, 0]) - basis @ (basis.T @ (residual * root[:, 0]))
    across = J[:, 16:]
    shift = np.asarray(np.linalg.lstsq(across, r, rcond=None)[0], dtype=np.float64)
    match = float(np.corrcoef(seen, light @ c)[0, 1]) if c[3] > 0 else -1.0
    J = J[:, :16]
    return _Normal(J.T @ J / noise**2, J.T @ r / noise**2, shift, match, noise)


def _columns(predicted: Prediction, lens: Lens, inside: Bool) -> F64:
    """How brightness changes: by turn (3), shift (3), lens (9), blur (1), and movement in the image (2). `(n, 18)`."""
    image = predicted.image
    slope_v, slope_u = (np.asarray(np.gradient(image, axis=axis)) for axis in (0, 1))
    bend = cv2.Laplacian(image, cv2.CV_64F)
    points = predicted.point_m[inside]
    slope = np.stack([slope_u[inside], slope_v[inside]], axis=-1)
    _, by_point, by_lens = optics.project(np.broadcast_to(lens.numbers, (len(points), optics.COUNT)), points)
    turn = by_point @ -rotation.skew(points)
    moves = np.concatenate([turn, by_point, by_lens], axis=-1)
    # What moves to the right takes its brightness with it: the pixel then sees what was to its left.
    by_pose = -np.einsum("nk,nkp->np", slope, moves)
    return np.concatenate([by_pose, lens.blur_px * bend[inside][:, None], -slope], axis=-1)


def _step(parts: Sequence[_Normal], off: F64, sigma: F64, *, fixed_lens: bool) -> F64:
    """A Gauss-Newton step `(16,)`, the lens held near the factory's."""
    H = np.sum([part.hessian for part in parts], axis=0)
    g = np.sum([part.gradient for part in parts], axis=0)
    H, g = H / _ALIKE, g / _ALIKE
    lens = np.arange(6, 15)
    H[lens, lens] += 1.0 / sigma**2
    g[lens] -= off / sigma**2
    free = np.ones(16, dtype=bool)
    free[6:15] = optics.freedom(tangential=False, k3=False) & (not fixed_lens)
    step = np.zeros(16)
    step[free] = np.linalg.solve(H[np.ix_(free, free)], g[free])
    return step
