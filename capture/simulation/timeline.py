"""One simulated device over time: when it exposes, what it loses, what it calls its frames, when they arrive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from capture.simulation.clocks import DeviceClock
from capture.simulation.faults import Faults
from hoi_core.sequence.drops import UNPLUGGED

DROPPED = "dropped"
STALLED = "stalled"
OVERLOADED = "not made in time"
"""Why a frame never arrives, as the truth says it."""
_BOOT_NS = 800_000_000
"""What a camera's clock shows when it is plugged in again: it runs before anybody can see the camera."""
_DELAYS = 4096


@dataclass(frozen=True)
class Stamp:
    """What a device says about one exposure."""

    frame_number: int
    """Its own counter, which starts anew when it is plugged in again."""
    t_device_ns: int
    """Mid-exposure on its own clock."""


@dataclass
class Timeline:
    """Frames of one device, numbered from 0 as if its counter never started anew."""

    name: str
    """`left`, `right` or `edge128`."""
    clock: DeviceClock
    """When it exposes."""
    faults: Faults
    """Of all devices."""
    dropped: Callable[[int], bool]
    """Whether it loses a frame by chance."""
    own_clock: bool
    """Whether device times count a clock of its own, which can start anew."""
    lost: dict[int, str] = field(default_factory=dict)
    """Frames that did not arrive, and why; grows while playing."""
    _first_number: int = 0
    _restarts: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stalls = [_span_ns(s.at_s, s.seconds) for s in self.faults.stalls if s.device == self.name]
        self.unplugs = [_span_ns(u.at_s, u.seconds) for u in self.faults.unplugs if u.device == self.name]
        """True times `(from, to)` without the device, ns from the start."""
        if self.own_clock:
            self._restarts = [(round(r.at_s * 1e9), 0) for r in self.faults.clock_resets if r.device == self.name]
        rng = np.random.default_rng([self.clock.seed, 1])
        self._delays_ns = np.abs(rng.normal(0.0, self.faults.delay_jitter_ms * 1e6, _DELAYS)).astype(np.int64)
        self._last_due_ns = -(1 << 62)

    def true_ns(self, n: int) -> int:
        """True mid-exposure of frame `n`, ns from the start."""
        return int(self.clock.true_ns(np.array([n], np.int64))[0])

    def missing(self, n: int) -> str:
        """Why frame `n` is not even exposed; empty for one that is."""
        true_ns = self.true_ns(n)
        if any(begin <= true_ns < end for begin, end in self.unplugs):
            return UNPLUGGED
        if any(begin <= true_ns < end for begin, end in self._stalls):
            return STALLED
        return DROPPED if self.dropped(n) else ""

    def due_ns(self, n: int) -> int:
        """When frame `n` reaches the host, ns from the start; asked in the order of the frames, never decreasing."""
        latency_ns = round(self.faults.latency_ms.get(self.name, 0.0) * 1e6)
        due_ns = self.true_ns(n) + latency_ns + int(self._delays_ns[n % _DELAYS])
        self._last_due_ns = max(due_ns, self._last_due_ns)
        return self._last_due_ns

    def restart(self, n: int, plugged_ns: int) -> None:
        """The device was plugged in at a true time, and frame `n` is the first since."""
        self._first_number = n
        # Until somebody had opened it again, nothing came whatever else went wrong.
        self.lost.update((k, UNPLUGGED) for k in self.lost if k < n and self.true_ns(k) >= plugged_ns)
        if self.own_clock:
            self._restarts.append((plugged_ns, _BOOT_NS))

    def stamp(self, n: int) -> Stamp:
        """What the device says about frame `n`; right for frames since its last restart."""
        true_ns = self.true_ns(n)
        number = n - self._first_number
        restarts = [restart for restart in self._restarts if restart[0] <= true_ns]
        if not restarts:
            return Stamp(number, self._shown_ns(true_ns))
        at_ns, shows_ns = max(restarts)
        return Stamp(number, self._shown_ns(true_ns) - self._shown_ns(at_ns) + shows_ns)

    def _shown_ns(self, true_ns: int) -> int:
        return int(self.clock.device_ns(np.array([true_ns], np.int64))[0])


def _span_ns(at_s: float, seconds: float) -> tuple[int, int]:
    return round(at_s * 1e9), round((at_s + seconds) * 1e9)
