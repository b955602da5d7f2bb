"""What real imagers do to an ideal image: stereo depth with its holes, bias and flying pixels; colour noise.

Everything is drawn from banks of noise at positions that the seed and the frame number give: same seed, same image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtri

from hoi_core.types import F32, U8

U16 = NDArray[np.uint16]
_BANK = 1024
"""Edge of the periodic noise banks, px; a power of two."""


@dataclass(frozen=True)
class DepthNoise:
    """How a stereo camera measures depth."""

    baseline_m: float = 0.050
    """Distance between the two infrared imagers."""
    disparity_sigma_px: float = 0.07
    """Spread of the matching error, px; the depth error grows with the square of the distance."""
    disparity_step_px: float = 1.0 / 32.0
    """Step of the sub-pixel interpolation."""
    bias_m: float = 0.0015
    """Constant error of the calibration, m; positive is too far."""
    bias_wave_m: float = 0.0005
    """Slow variation of that error over the image, m."""
    flying: float = 0.35
    """Share of pixels at a depth edge that lie between the two surfaces."""
    edge_hole: float = 0.35
    """Share of pixels at a depth edge that are lost."""
    hole_share: float = 0.004
    """Share of the image lost in small patches for want of texture."""
    grazing: float = 0.22
    """Cosine between surface and ray below which matching fails more and more."""


class NoiseBanks:
    """The noise that all frames of a rig share."""

    def __init__(self, rng: np.random.Generator) -> None:
        import cv2

        white = rng.standard_normal((_BANK, _BANK)).astype(np.float32)
        patch = rng.standard_normal((_BANK, _BANK)).astype(np.float32)
        # Matching windows of several pixels make neighbouring errors alike.
        smooth = np.asarray(cv2.GaussianBlur(white, (0, 0), 1.2), np.float32)
        patch = np.asarray(cv2.GaussianBlur(patch, (0, 0), 2.5), np.float32)
        self.matching: F32 = np.ascontiguousarray(smooth / smooth.std(), np.float32)
        self.patches: F32 = np.ascontiguousarray(patch / patch.std(), np.float32)
        self.uniform: F32 = rng.random((_BANK, _BANK), np.float32)
        self.color: NDArray[np.int8] = np.clip(rng.standard_normal(_BANK * _BANK) * 32.0, -127, 127).astype(np.int8)


def measure_depth(ideal_m: F32, fx_px: float, noise: DepthNoise, banks: NoiseBanks, rng: np.random.Generator) -> U16:
    """What the stereo camera reports for an ideal depth image.

    Args:
        ideal_m: `(H, W)` m, 0 where nothing lies.
        fx_px: focal length of the depth imager.
        noise: the camera's errors.
        banks: noise to draw from.
        rng: decides where in the banks this frame reads.

    Returns:
        `(H, W)` uint16 in millimetres, 0 where there is no measurement.
    """
    out = np.zeros(ideal_m.shape, np.uint16)
    offsets = rng.integers(0, _BANK, 6)
    limit = float(ndtri(1.0 - noise.hole_share)) if noise.hole_share > 0 else 1e9
    parameters = np.array(
        [
            fx_px * noise.baseline_m, noise.disparity_sigma_px, noise.disparity_step_px, noise.bias_m,
            noise.bias_wave_m, noise.flying, noise.edge_hole, limit, noise.grazing, fx_px,
        ],
        np.float32,
    )  # fmt: skip
    _stereo(ideal_m, parameters, banks.matching, banks.patches, banks.uniform, offsets, out)
    return out


def expose(image: U8, read_sigma: float, shot_sigma: float, banks: NoiseBanks, rng: np.random.Generator) -> U8:
    """Add sensor noise to a colour or gray image.

    Args:
        image: any shape.
        read_sigma: noise in the dark, gray levels.
        shot_sigma: noise added at full brightness, gray levels.
        banks: noise to draw from.
        rng: decides where in the bank this frame reads.

    Returns:
        The noisy image, same shape.
    """
    level = np.arange(256.0)
    amplitude = np.rint(np.hypot(read_sigma, shot_sigma * np.sqrt(level / 255.0)) * 8.0).astype(np.int32)
    out = np.empty_like(image)
    _add_noise(image.reshape(-1), amplitude, banks.color, int(rng.integers(banks.color.size)), out.reshape(-1))
    return out


@njit(cache=True, nogil=True)
def _add_noise(image: U8, amplitude: np.ndarray, bank: np.ndarray, start: int, out: U8) -> None:
    size = bank.shape[0]
    k = start
    for i in range(image.shape[0]):
        value = image[i]
        # The bank has a spread of 32 and the amplitude is in eighths.
        noisy = value + ((bank[k] * amplitude[value] + 128) >> 8)
        out[i] = min(max(noisy, 0), 255)
        k += 1
        if k == size:
            k = 0


@njit(cache=True, nogil=True, fastmath=True)
def _stereo(ideal: F32, p: F32, matching: F32, patches: F32, uniform: F32, offsets: np.ndarray, out: U16) -> None:
    """One pass over the image, each row from right to left as the right imager's view is swept."""
    height, width = ideal.shape
    scale, sigma, step, bias, wave, flying, edge_hole, patch_limit, grazing, fx = p
    steps = scale / step
    steepest2 = (1.0 / (grazing * grazing) - 1.0) / (fx * fx)
    wave_x = (wave * np.sin(np.arange(width) * 0.021)).astype(np.float32)
    mask = _BANK - 1
    for y in range(height):
        row_match, row_patch = matching[(y + offsets[0]) & mask], patches[(y + offsets[2]) & mask]
        row_uniform = uniform[(y + offsets[4]) & mask]
        up, down = ideal[max(y - 1, 0)], ideal[min(y + 1, height - 1)]
        row = ideal[y]
        wave_y = np.float32(np.cos(y * 0.017))
        leftmost = np.float32(1e9)
        for x in range(width - 1, -1, -1):
            z = row[x]
            if z <= 0.0:
                continue
            # Seen by the left imager only: hidden from the right one behind something nearer, or off its image.
            right_x = x - scale / z
            if right_x > leftmost + 0.5 or right_x < 0.0:
                continue
            leftmost = min(leftmost, right_x)
            if row_patch[(x + offsets[3]) & mask] > patch_limit:
                continue
            u = row_uniform[(x + offsets[5]) & mask]
            other, slope = _neighbourhood(z, row[max(x - 1, 0)], row[min(x + 1, width - 1)], up[x], down[x])
            if other > 0.0:
                if u < edge_hole:
                    continue
                if u < edge_hole + flying:
                    z += (other - z) * (u - edge_hole) / flying
            elif slope * slope > steepest2 * z * z:
                # The slope per pixel gives the angle between the surface and the image plane.
                cosine2 = 1.0 / (1.0 + (slope * fx / z) ** 2)
                if u > cosine2 / (grazing * grazing):
                    continue
            error = sigma / step * row_match[(x + offsets[1]) & mask]
            # Disparity in whole sub-pixel steps.
            measured = np.floor(steps / z + error + 0.5)
            if measured <= 0.0:
                continue
            z = steps / measured + bias + wave_x[x] * wave_y
            if z < 65.0:
                out[y, x] = np.uint16(z * 1000.0 + 0.5)


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _neighbourhood(z: float, left: float, right: float, up: float, down: float) -> tuple[float, float]:
    """Depth of the other surface if there is a depth edge within one pixel, else 0; and the depth slope per pixel."""
    # A jump of more than 2 % of the distance between neighbours is an edge, not a slope.
    jump = 0.02 * z
    a, b, c, d = abs(left - z), abs(right - z), abs(up - z), abs(down - z)
    slope = max(a, b, c, d)
    other = 0.0 * z
    if slope > jump:
        other = left if a > jump else (right if b > jump else (up if c > jump else down))
    return other, slope
