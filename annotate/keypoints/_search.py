"""Where a hand may be before anything is known of it: where depth is nearer than it mostly is."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from hoi_core.crop import Box
from hoi_core.sequence import Capture, View
from hoi_core.types import F32, Bool

_LOOKS = 7
_NEARER_M = 0.02
_FEWEST_PX = 300


class MovingThings:
    """What moves before one camera."""

    def __init__(self, view: View, capture: Capture) -> None:
        name = f"{view.name}/depth"
        self.view = view
        self.frames = capture.sync.index[name] if name in capture.streams else np.full(len(capture.sync), -1)

    def box(self, moment: int) -> Box | None:
        """The box around the largest thing that is nearer than what is mostly seen there.

        Args:
            moment: index of the moment.

        Returns:
            x0, y0, x1, y1 px of the colour image; None without depth, or where nothing moved.
        """
        frame = int(self.frames[moment])
        if frame < 0:
            return None
        now = self.view.depth_in_color_m(frame)
        return largest((now > 0) & (self._usual_m - now > _NEARER_M))

    @cached_property
    def _usual_m(self) -> F32:
        """(H, W) m what is mostly seen."""
        frames = self.frames[self.frames >= 0]
        some = frames[np.linspace(0, len(frames) - 1, _LOOKS).astype(int)]
        return _usual_m([self.view.depth_in_color_m(int(frame)) for frame in some])


def _usual_m(images: list[F32]) -> F32:
    """(H, W) m median of what was measured; 0 where nothing was."""
    stack = np.stack(images)
    stack[stack <= 0] = np.nan
    known = np.isfinite(stack).any(0)
    out = np.zeros(known.shape, dtype=np.float32)
    out[known] = np.nanmedian(stack[:, known], axis=0)
    return out


def largest(mask: Bool) -> Box | None:
    """The box around the largest connected part of a mask, if it is large enough for a hand."""
    import cv2

    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return None
    x, y, width, height, area = stats[1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())]
    return (float(x), float(y), float(x + width - 1), float(y + height - 1)) if area >= _FEWEST_PX else None
