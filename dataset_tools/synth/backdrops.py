"""What lies behind the hands: painted pictures with the statistics of photographs, or the user's own photographs."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from hoi_core.errors import AssetError
from hoi_core.scene.background import paint_table
from hoi_core.types import U8

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_PAINTINGS = 40
_EDGE_PX = 352
_TABLES_EVERY = 5


class Backdrops:
    """Pictures to put behind hands; painted ones are made when they are first needed."""

    def __init__(self, seed: int, folder: Path | None) -> None:
        self._seed, self._folder = seed, folder
        self._painted: dict[int, U8] = {}
        if folder is not None and not self._files:
            raise AssetError(
                f"expected photographs ({', '.join(_SUFFIXES)}) in {folder}, found none.",
                "Name a folder that holds some, or leave --backgrounds out.",
            )

    @cached_property
    def _files(self) -> list[Path]:
        folder = self._folder
        if folder is None:
            return []
        return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())

    def source(self) -> str:
        """Hash of the names and sizes of the user's photographs; empty without."""
        folder = self._folder
        if folder is None:
            return ""
        listing = "\n".join(f"{path.relative_to(folder)} {path.stat().st_size}" for path in self._files)
        return hashlib.sha256(listing.encode()).hexdigest()

    def draw(self, size_px: int, rng: np.random.Generator) -> U8:
        """A random piece of a random picture. `-> (S, S, 3)` RGB."""
        picture = self._photograph(rng) if self._files else self._painting(int(rng.integers(_PAINTINGS)))
        out = _piece(picture, size_px, rng, turned=not self._files)
        if rng.random() < 0.5:
            # Cameras focus on the hand.
            out = np.asarray(cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.4, 2.2)) * size_px / 128.0), np.uint8)
        gain, lift = rng.uniform(0.6, 1.25), rng.uniform(-12.0, 12.0)
        return np.asarray(cv2.convertScaleAbs(out, alpha=float(gain), beta=float(max(lift, 0.0))), np.uint8)

    def _photograph(self, rng: np.random.Generator) -> U8:
        path = self._files[int(rng.integers(len(self._files)))]
        # Half the resolution is read several times as fast, and photographs are larger than our images.
        image = cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_2)
        if image is None:
            raise AssetError(f"{path} is not a photograph that can be read.", "Remove it from the folder.")
        return np.asarray(image[..., ::-1], np.uint8)

    def _painting(self, k: int) -> U8:
        if k not in self._painted:
            rng = np.random.default_rng([self._seed, 77, k])
            self._painted[k] = _table(rng) if k % _TABLES_EVERY == 0 else _dead_leaves(rng)
        return self._painted[k]


def _piece(picture: U8, size_px: int, rng: np.random.Generator, *, turned: bool) -> U8:
    """A square of the picture, scaled to the image's size; painted ones may be turned by any angle."""
    height, width = picture.shape[:2]
    edge = min(height, width) * rng.uniform(0.3, 0.68 if turned else 1.0)
    angle = rng.uniform(-np.pi, np.pi) if turned else 0.0
    reach = 0.5 * edge * (abs(np.cos(angle)) + abs(np.sin(angle)))
    x = rng.uniform(reach, max(width - reach, reach + 1e-6))
    y = rng.uniform(reach, max(height - reach, reach + 1e-6))
    scale = edge / size_px
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    flip = -1.0 if rng.random() < 0.5 else 1.0
    half = 0.5 * (size_px - 1)
    matrix = np.array([[flip * c, -s, x - flip * c * half + s * half], [flip * s, c, y - flip * s * half - c * half]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(picture, matrix, (size_px, size_px), flags=flags, borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )


def _table(rng: np.random.Generator) -> U8:
    """A part of a table's top, as the simulated rig has them."""
    half = np.asarray(cv2.resize(paint_table(rng), None, fx=0.55, fy=0.55, interpolation=cv2.INTER_AREA), np.uint8)
    x = int(rng.integers(max(half.shape[1] - 700, 1)))
    return np.ascontiguousarray(half[:, x : x + 700])


def _dead_leaves(rng: np.random.Generator) -> U8:
    """Opaque shapes of all sizes that cover each other: edges and contrasts as in photographs (Lee et al. 2001)."""
    # Most of the world is a dull colour.
    hue = rng.uniform(40.0, 215.0) + rng.normal(0.0, 16.0, 3)
    image = np.empty((_EDGE_PX, _EDGE_PX, 3), np.uint8)
    image[:] = hue.clip(0, 255).astype(np.uint8)
    variety = rng.uniform(6.0, 26.0)
    count = int(rng.integers(150, 400))
    # Areas follow a power law, as those of things in pictures do.
    radius = (5.0 * (1.0 - rng.random(count)) ** -0.62).clip(5.0, 150.0)
    for r in radius:
        bright = 3.0 if rng.random() < 0.1 else 1.0
        color = np.clip(hue + bright * variety * rng.normal(0.0, 1.0, 3) + rng.normal(0.0, 45.0), 0, 255)
        _leaf(image, float(r), color.tolist(), rng)
    light = rng.normal(0.0, 22.0, (4, 4)).astype(np.float32)
    light = np.asarray(cv2.resize(light, (_EDGE_PX, _EDGE_PX), interpolation=cv2.INTER_CUBIC), np.float32)
    grain = cv2.GaussianBlur(14.0 * rng.standard_normal(image.shape[:2], np.float32), (0, 0), 1.2)
    return np.asarray(cv2.add(image, cv2.merge([light + grain] * 3), dtype=cv2.CV_8U), np.uint8)


def _leaf(image: U8, radius_px: float, color: list[float], rng: np.random.Generator) -> None:
    """Draw an ellipse, a triangle or a quadrangle anywhere."""
    centre = rng.uniform(0, _EDGE_PX, 2)
    kind = int(rng.integers(3))
    if kind == 0:
        axes = (int(radius_px), max(int(radius_px * rng.uniform(0.3, 1.0)), 1))
        middle = (int(centre[0]), int(centre[1]))
        cv2.ellipse(image, middle, axes, float(rng.uniform(0, 180)), 0, 360, color, -1, cv2.LINE_AA)
        return
    corners = rng.uniform(-radius_px, radius_px, (2 + kind, 2)) + centre
    hull = cv2.convexHull(corners.astype(np.float32).reshape(-1, 1, 2)).astype(np.int32)
    cv2.fillConvexPoly(image, hull, color, cv2.LINE_AA)
