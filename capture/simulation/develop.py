"""From ideal images to what the devices deliver: noise of colour, depth and sensor, the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from capture.simulation.noise import DepthNoise, NoiseBanks, expose, measure_depth
from hoi_core import edges
from hoi_core.types import F32, U8

Images = tuple[np.ndarray, np.ndarray]
"""Colour and depth, or gray and edge."""

_COLOR_NOISE = (1.3, 2.4)
_SENSOR_NOISE = (1.6, 2.4)


class Lab:
    """Adds noise to images. Thread-safe: the noise follows from seed, device and frame number alone.

    Args:
        seed: of the noise.
        devices: names of all devices, in the rig's order.
        focal_px: device -> focal length of its depth imager.
        noise: errors of the depth cameras.
    """

    def __init__(self, seed: int, devices: tuple[str, ...], focal_px: Mapping[str, float], noise: DepthNoise) -> None:
        self._seed = seed
        self._devices = devices
        self._focal_px = dict(focal_px)
        self._noise = noise
        self._banks = NoiseBanks(np.random.default_rng([seed, 3]))

    def camera(self, name: str, color: U8, depth_m: F32, n: int) -> Images:
        """Colour `(H, W, 3)` and depth `(H, W)` uint16 mm of frame `n`."""
        rng = self._rng(name, n)
        return (
            expose(color, *_COLOR_NOISE, self._banks, rng),
            measure_depth(depth_m, self._focal_px[name], self._noise, self._banks, rng),
        )

    def depth(self, name: str, depth_m: F32, n: int) -> np.ndarray:
        """Depth `(H, W)` uint16 mm of frame `n` alone; its noise is another than beside a colour image."""
        return measure_depth(depth_m, self._focal_px[name], self._noise, self._banks, self._rng(name, n))

    def sensor(self, name: str, gray: U8, n: int) -> Images:
        """Gray and edge `(H, W)` of frame `n`."""
        noisy = expose(gray, *_SENSOR_NOISE, self._banks, self._rng(name, n))
        return noisy, edges.sobel_edges(noisy)

    def _rng(self, name: str, n: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, 4, self._devices.index(name), n])
