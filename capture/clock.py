"""One common clock: an offset and a drift for each device, from when its frames reached the host.

A frame arrives some time after it was taken; the delay varies, but it has a least value. The line that lies below
all (device time, host time) pairs and as close to them as it can is the device's clock, but for that least delay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hoi_core.sequence import Clock
from hoi_core.types import F64, I64, ClockDomain, StreamInfo

MAX_DRIFT_PPM = 150.0
"""Quartz clocks drift by less; what a short recording shows beyond it is jitter."""
_HULL_BINS = 500
MIN_DRIFT_SPAN_S = 2.0
"""Over a shorter time no drift is fitted: jitter would look like one."""


@dataclass(frozen=True)
class Arrivals:
    """When the frames of a stream were taken and when they arrived."""

    t_device_ns: I64
    """(N,) mid-exposure on the device's clock, ns."""
    t_host_ns: I64
    """(N,) arrival on the host's monotonic clock, ns."""
    domain: ClockDomain
    """Clock of `t_device_ns`."""


def fit(t_device_ns: I64, t_host_ns: I64, *, drift: bool = True) -> Clock:
    """The line below all pairs with the least sum of distances.

    Args:
        t_device_ns: (N,) ns, N at least 1.
        t_host_ns: (N,) ns.
        drift: whether the clocks may run at different rates.

    Returns:
        Clock model onto the host's clock.
    """
    reference = int(t_device_ns[0])
    x = np.asarray((t_device_ns - reference) * 1e-9, dtype=np.float64)
    base = int(t_host_ns[0]) - reference
    y = (t_host_ns - t_device_ns - base).astype(np.float64)
    slope = 0.0
    if drift and np.ptp(x) >= MIN_DRIFT_SPAN_S:
        slope = float(np.clip(_support_slope(x, y), -MAX_DRIFT_PPM * 1e3, MAX_DRIFT_PPM * 1e3))
    rest = y - slope * x
    offset = rest.min()
    return Clock.line(
        reference_ns=reference,
        offset_ns=base + round(float(offset)),
        drift_ppm=slope * 1e-3,
        residual_ns=float(np.median(rest - offset)),
    )


class ClockTracker:
    """The clock of one device while it runs, in bounded memory."""

    def __init__(self) -> None:
        self._pairs: list[tuple[int, int]] = []

    def add(self, t_device_ns: int, t_host_ns: int) -> None:
        """Take in a frame: when it was taken on the device's clock, and when it arrived on the host's, ns."""
        self._pairs.append((t_device_ns, t_host_ns))

    def split(self, t_device_ns: int) -> None:
        """Begin a new piece at a device time: the clock, though continued, was reset there."""

    def clock(self) -> Clock | None:
        """The model so far; None before the first frame."""
        if not self._pairs:
            return None
        pairs = np.array(self._pairs, dtype=np.int64)
        return fit(pairs[:, 0], pairs[:, 1])


def _support_slope(x: F64, y: F64) -> float:
    """Slope of the lower convex hull's edge at the mean of x: the solution of the linear programme in closed form."""
    if len(x) > 2 * _HULL_BINS:
        x, y = _lowest(x, y)
    order = np.lexsort((y, x))
    hull: list[int] = []
    for i in order:
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            if (x[b] - x[a]) * (y[i] - y[a]) > (y[b] - y[a]) * (x[i] - x[a]):
                break
            hull.pop()
        if hull and x[hull[-1]] == x[i]:
            continue  # of pairs with one device time the earliest arrival counts
        hull.append(int(i))
    k = int(np.clip(np.searchsorted(x[hull], x.mean()), 1, len(hull) - 1)) if len(hull) > 1 else 0
    if k == 0:
        return 0.0
    a, b = hull[k - 1], hull[k]
    return float((y[b] - y[a]) / (x[b] - x[a]))


def _lowest(x: F64, y: F64) -> tuple[F64, F64]:
    """The lowest pair of each of many short spans of time: the hull of a long recording needs no others."""
    span = np.floor((x - x.min()) * (_HULL_BINS / (np.ptp(x) + 1e-9)))
    order = np.lexsort((y, span))
    first = np.ones(len(order), dtype=bool)
    first[1:] = span[order][1:] != span[order][:-1]
    keep = order[first]
    return x[keep], y[keep]


def joined(earlier: Mapping[str, Arrivals], later: Mapping[str, Arrivals]) -> dict[str, Arrivals]:
    """Both, stream by stream; what counts another clock than the later frames do is left out."""
    out = dict(later)
    for name, before in earlier.items():
        after = later.get(name)
        if after is None or not len(after.t_device_ns) or after.domain != before.domain:
            continue
        out[name] = Arrivals(
            np.concatenate([before.t_device_ns, after.t_device_ns]),
            np.concatenate([before.t_host_ns, after.t_host_ns]),
            after.domain,
        )
    return out


def fit_all(streams: Sequence[StreamInfo], arrivals: Mapping[str, Arrivals]) -> dict[str, Clock]:
    """A clock for every stream that has delivered; streams that count one clock share its fit.

    The imagers of a camera count one hardware clock. Times that the host stamped, or that librealsense translated
    to the host's clock, agree between cameras already: they share one offset and no drift.
    """
    groups: dict[str, list[str]] = {}
    for info in streams:
        known = arrivals.get(info.name)
        if known is not None and len(known.t_device_ns):
            own = known.domain == "hardware_clock"
            device = info.serial or info.name.split("/", 1)[0]
            groups.setdefault(f"{known.domain} {device}" if own else known.domain, []).append(info.name)
    clocks: dict[str, Clock] = {}
    for key, names in groups.items():
        t_device = np.concatenate([arrivals[name].t_device_ns for name in names])
        t_host = np.concatenate([arrivals[name].t_host_ns for name in names])
        clock = fit(t_device, t_host, drift=key.startswith("hardware_clock"))
        clocks.update(dict.fromkeys(names, clock))
    return clocks
