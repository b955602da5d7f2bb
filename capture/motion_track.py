"""What is kept of the images of a recording to find out when things moved: little of each, and not of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from capture.depth_motion import DepthFilm
from hoi_core.sequence import Clock
from hoi_core.types import StreamInfo

_BLOCK_NS = 6_000_000_000
_BLOCKS = 10
"""So many seconds times six of a long recording are kept: those that have most motion."""
_GRID = {True: (32, 24), False: (32, 32)}
STILL = 1.0
"""Changes of a cell by so many grey levels are noise."""
LEAST_FRAMES = 60
"""Of which a block must have so many to count."""
_DEPTH_BLOCKS = 3
"""Of so many blocks depth images are kept too, some 14 MB each."""
_DEPTH_STEP = 4
_DEPTH_INTERVAL_NS = 25_000_000


@dataclass
class Block:
    """Six seconds of all streams."""

    times: dict[str, list[int]] = field(default_factory=dict)
    """Stream -> device times, ns."""
    cells: dict[str, list[NDArray[np.float16]]] = field(default_factory=dict)
    """Stream -> `coarse` images."""
    depth_times: dict[str, list[int]] = field(default_factory=dict)
    """Depth stream -> device times, ns."""
    depth: dict[str, list[NDArray[np.uint16]]] = field(default_factory=dict)
    """Depth stream -> thinned images, depth units."""

    def energy(self) -> float:
        """How much moves in the view in which least moves, grey levels."""
        changes = []
        for cells in self.cells.values():
            stack = np.stack(cells).astype(np.float32)
            change = np.abs(np.diff(stack, axis=0)) - STILL
            changes.append(float(np.maximum(change, 0.0).mean()) if len(stack) > 1 else 0.0)
        return min(changes, default=0.0)


class MotionTrack:
    """What moves in the colour and gray streams, small enough to keep: at most two minutes, those with most motion.

    Not thread-safe.

    Args:
        streams: of the rig. Depth streams with different poses are calibrated: their images are then kept thinned, of
            the 24 s or less with most motion.
    """

    def __init__(self, streams: Sequence[StreamInfo] = ()) -> None:
        depth = {info.name: info for info in streams if info.name.endswith("/depth")}
        poses = [info.camera.T_world_cam for info in depth.values()]
        apart = any(not np.allclose(a, b, atol=1e-6) for a, b in combinations(poses, 2))
        self._depth = depth if apart else {}
        self._blocks: list[Block] = []
        self._energies: list[float] = []
        self._current = Block()
        self._leader = ""

    def add(self, stream: str, t_device_ns: int, image: NDArray[np.generic]) -> None:
        """Take in an image; a few may be left out. Takes a tenth of a millisecond.

        Args:
            stream: its name; only `<view>/color`, `<sensor>/gray` and calibrated `<view>/depth` count.
            t_device_ns: mid-exposure on the device's (continued) clock, ns.
            image: (H, W) or (H, W, 3) uint8, or (H, W) uint16 depth.
        """
        if stream in self._depth:
            times = self._current.depth_times.setdefault(stream, [])
            if not times or t_device_ns - times[-1] >= _DEPTH_INTERVAL_NS:
                times.append(t_device_ns)
                self._current.depth.setdefault(stream, []).append(image[::_DEPTH_STEP, ::_DEPTH_STEP].astype(np.uint16))
        if not stream.endswith(("/color", "/gray")):
            return
        self._leader = self._leader or stream
        own = self._current.times.get(self._leader)
        if stream == self._leader and own and t_device_ns - own[0] >= _BLOCK_NS:
            self._keep()
        self._current.times.setdefault(stream, []).append(t_device_ns)
        self._current.cells.setdefault(stream, []).append(coarse(image))

    @property
    def streams(self) -> list[str]:
        """Streams of which there are images."""
        return sorted({name for block in self.blocks() for name in block.times})

    @property
    def depth_streams(self) -> set[str]:
        """Calibrated depth streams."""
        return set(self._depth)

    def blocks(self) -> list[Block]:
        """All blocks, the unfinished one too."""
        return [*self._blocks, self._current] if self._current.times else list(self._blocks)

    def _keep(self) -> None:
        self._blocks.append(self._current)
        self._energies.append(self._current.energy())
        self._current = Block()
        if len(self._blocks) > _BLOCKS:
            least = int(np.argmin(self._energies))
            del self._blocks[least], self._energies[least]
        for k in np.argsort(self._energies)[:-_DEPTH_BLOCKS]:
            self._blocks[k].depth_times, self._blocks[k].depth = {}, {}

    def films(self, first: str, second: str, clocks: Mapping[str, Clock]) -> tuple[list[DepthFilm], list[DepthFilm]]:
        """Depth images of two streams in the blocks that have both, common times relative to the first of all."""
        found: tuple[list[DepthFilm], list[DepthFilm]] = ([], [])
        origin_ns = 0
        for block in self.blocks():
            if min(len(block.depth.get(name, [])) for name in (first, second)) < LEAST_FRAMES:
                continue
            for name, films in zip((first, second), found, strict=True):
                t_ns = clocks[name].to_common_ns(np.array(block.depth_times[name], dtype=np.int64))
                origin_ns = origin_ns or int(t_ns[0])
                if (np.diff(t_ns) > 0).all():
                    depth = np.stack(block.depth[name])
                    t_s = np.asarray((t_ns - origin_ns) * 1e-9, dtype=np.float64)
                    films.append(DepthFilm(self._depth[name], t_s, depth, _DEPTH_STEP))
        return found if len(found[0]) == len(found[1]) else ([], [])


def coarse(image: NDArray[np.generic]) -> NDArray[np.float16]:
    """Mean grey levels of some 800 cells of an image, `(H, W) or (H, W, 3) -> (C,)`."""
    step = max(image.shape[0] // 120, 1)
    few = image[::step, ::step, 1] if image.ndim == 3 else image[::step, ::step]
    size = _GRID[few.shape[1] > few.shape[0]]
    cells = cv2.resize(np.ascontiguousarray(few).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(cells, dtype=np.float16).ravel()
