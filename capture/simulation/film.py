"""The drawn part of a simulated scene: rendered once, then shown forwards and backwards for as long as it takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capture.simulation.clocks import DeviceClock
from hoi_core.types import I64

# Backwards, a drawing of the way forwards serves again if it is this close to the right time.
_SAME_NS = 100_000


@dataclass(frozen=True)
class Reel:
    """Which slot of the film a frame shows, and what time of the scene each device sees in a slot.

    A film that is long enough has one slot for each frame. A shorter one is a loop, forwards and backwards: the
    scene's time then runs to the last drawing and back, and every device sees it at its own true times.
    """

    frames: int
    """Slots on the way forwards."""
    loop: bool
    """Whether the film is shown forwards and backwards."""
    fps: float
    """Frames per second."""

    @property
    def slots(self) -> int:
        """Number of slots."""
        return max(2 * (self.frames - 1), 1) if self.loop else self.frames

    def slot(self, n: int) -> int:
        """The slot that frame `n` shows when the film began with frame 0."""
        return n % self.slots if self.loop else min(n, self.frames - 1)

    def scene_ns(self, clock: DeviceClock) -> I64:
        """Time of the scene that a device sees in each slot, ns. `-> (slots,)`."""
        true_ns = clock.true_ns(np.arange(self.slots, dtype=np.int64))
        return self.fold_ns(true_ns) if self.loop else true_ns

    def fold_ns(self, true_ns: I64) -> I64:
        """Time of the scene at true times, when it runs forwards and backwards. `(N,) -> (N,)` ns."""
        turn_ns = round((self.frames - 1) * 1e9 / self.fps)
        return turn_ns - np.abs(turn_ns - np.mod(true_ns, 2 * turn_ns))

    def drawing(self, clock: DeviceClock) -> I64:
        """Slot whose drawing each slot shows: its own, or that of the way forwards. `-> (slots,)`."""
        own = np.arange(self.slots, dtype=np.int64)
        if not self.loop:
            return own
        scene_ns, mirrored = self.scene_ns(clock), (self.slots - own) % self.slots
        return np.where((own >= self.frames) & (np.abs(scene_ns - scene_ns[mirrored]) < _SAME_NS), mirrored, own)
