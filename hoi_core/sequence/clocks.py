"""Device time to common time: a line for each span of a device's clock, and what the images' motion adds to it.

Also where a counter or a clock was continued after it had started anew, so that the device's own values can be had
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hoi_core.types import I64

PIECE = np.dtype(
    [
        ("first_device_ns", "i8"),
        ("reference_ns", "i8"),
        ("offset_ns", "i8"),
        ("drift_ppm", "f8"),
        ("residual_ns", "f8"),
        ("motion_offset_ns", "i8"),
        ("motion_sigma_ns", "f8"),
    ]
)
"""A row of `/clock_pieces/<stream>`; the two columns of the motion are the same in all rows of a stream."""
SCALAR = np.dtype([("reference_ns", "i8"), ("offset_ns", "i8"), ("drift_ppm", "f8"), ("residual_ns", "f8")])
"""`/clocks/<stream>`, the only model of a stream in files of format 1.0."""
EPOCH = np.dtype(
    [
        ("stream", "S64"),
        ("first_frame_number", "i8"),
        ("number_added", "i8"),
        ("time_added_ns", "i8"),
        ("reason", "S64"),
    ]
)
"""A row of `/epochs`."""


@dataclass(frozen=True)
class ClockPiece:
    """One line of a clock model: `t + offset + drift * (t - reference)`, from `first_device_ns` on."""

    first_device_ns: int
    """Device time from which on it holds, ns; the first piece also holds before."""
    reference_ns: int
    """Device time at which the offset holds, ns."""
    offset_ns: int
    """Common minus device time at the reference, ns."""
    drift_ppm: float
    """Rate of the common clock relative to the device's, minus one, in 1e-6; NaN where it was never fitted."""
    residual_ns: float
    """Median distance of the host's arrival times from the line, ns."""

    def to_common_ns(self, t_device_ns: I64) -> I64:
        """Common time of device times, on this line. `(...) ns -> (...) ns`."""
        slope = 0.0 if np.isnan(self.drift_ppm) else self.drift_ppm * 1e-6
        return t_device_ns + self.offset_ns + np.rint((t_device_ns - self.reference_ns) * slope).astype(np.int64)


@dataclass(frozen=True)
class Clock:
    """Device time to common time.

    Example:
        >>> clock = Clock.line(reference_ns=0, offset_ns=5_000, drift_ppm=0.0)
        >>> clock.to_common_ns(np.array([10, 20])).tolist()
        [5010, 5020]
    """

    pieces: tuple[ClockPiece, ...]
    """At least one, by increasing `first_device_ns`."""
    motion_offset_ns: int = 0
    """Added to every piece: what the motion in the images says that arrival times cannot, ns; 0 where unknown."""
    motion_sigma_ns: float = float("nan")
    """Standard deviation of `motion_offset_ns`, ns; NaN where it was not measured."""

    @classmethod
    def line(cls, reference_ns: int, offset_ns: int, drift_ppm: float, residual_ns: float = float("nan")) -> Clock:
        """A model of one piece."""
        return cls((ClockPiece(reference_ns, reference_ns, offset_ns, drift_ppm, residual_ns),))

    @property
    def reference_ns(self) -> int:
        """Device time at which the last piece's offset holds, ns."""
        return self.pieces[-1].reference_ns

    @property
    def offset_ns(self) -> int:
        """Common minus device time there, ns; with the motion's part."""
        return self.pieces[-1].offset_ns + self.motion_offset_ns

    @property
    def drift_ppm(self) -> float:
        """Rate of the last piece; NaN where it was never fitted."""
        return self.pieces[-1].drift_ppm

    @property
    def residual_ns(self) -> float:
        """Median distance of the host's arrival times from the last piece, ns."""
        return self.pieces[-1].residual_ns

    def to_common_ns(self, t_device_ns: I64) -> I64:
        """Common time of device times. `(...) ns -> (...) ns`."""
        t = np.asarray(t_device_ns, dtype=np.int64)
        starts = np.array([piece.first_device_ns for piece in self.pieces[1:]], dtype=np.int64)
        which = np.searchsorted(starts, t, side="right")
        out = np.empty_like(t)
        for k, piece in enumerate(self.pieces):
            here = which == k
            out[here] = piece.to_common_ns(t[here])
        return out + self.motion_offset_ns


UNKNOWN = Clock.line(0, 0, float("nan"))
"""The model of a stream that has not delivered: common time is device time."""


def scalar_of(clock: Clock) -> NDArray[np.void]:
    """The last piece as `SCALAR`, for readers of format 1.0; the motion's part is in its offset. `() SCALAR`."""
    return np.array((clock.reference_ns, clock.offset_ns, clock.drift_ppm, clock.residual_ns), dtype=SCALAR)


def rows_of(clock: Clock) -> NDArray[np.void]:
    """All pieces. `(P,) PIECE`."""
    tail = (clock.motion_offset_ns, clock.motion_sigma_ns)
    rows = [(p.first_device_ns, p.reference_ns, p.offset_ns, p.drift_ppm, p.residual_ns, *tail) for p in clock.pieces]
    return np.array(rows, dtype=PIECE)


def clock_of(rows: NDArray[np.void] | None, scalar: NDArray[np.void]) -> Clock:
    """Inverse of `rows_of`; without rows (format 1.0, or a recording that was killed early) of `scalar_of`.

    Args:
        rows: (P,) PIECE, or None.
        scalar: () SCALAR.
    """
    if rows is None or not len(rows):
        return Clock.line(
            int(scalar["reference_ns"]),
            int(scalar["offset_ns"]),
            float(scalar["drift_ppm"]),
            float(scalar["residual_ns"]),
        )
    pieces = tuple(
        ClockPiece(
            int(row["first_device_ns"]),
            int(row["reference_ns"]),
            int(row["offset_ns"]),
            float(row["drift_ppm"]),
            float(row["residual_ns"]),
        )
        for row in rows
    )
    return Clock(pieces, int(rows[0]["motion_offset_ns"]), float(rows[0]["motion_sigma_ns"]))


@dataclass(frozen=True)
class Epoch:
    """From a frame on, the numbers and times of a stream are the device's own plus something."""

    stream: str
    """Name of the stream."""
    first_frame_number: int
    """The first frame that it concerns, as stored; it holds until the stream's next epoch."""
    number_added: int
    """Stored minus the device's own frame number, in all."""
    time_added_ns: int
    """Stored minus the device's own time, in all, ns."""
    reason: str
    """What happened: `unplugged`, `counter reset`, `clock reset`, `wrap`, ..."""


def epoch_rows(epochs: Sequence[Epoch]) -> NDArray[np.void]:
    """`(E,) EPOCH`."""
    return np.array(
        [(e.stream.encode(), e.first_frame_number, e.number_added, e.time_added_ns, e.reason.encode()) for e in epochs],
        dtype=EPOCH,
    )


def epochs_of(rows: NDArray[np.void]) -> list[Epoch]:
    """Inverse of `epoch_rows`."""
    return [
        Epoch(
            row["stream"].decode(),
            int(row["first_frame_number"]),
            int(row["number_added"]),
            int(row["time_added_ns"]),
            row["reason"].decode(),
        )
        for row in rows
    ]


def raw_values(epochs: Sequence[Epoch], stream: str, frame_number: I64, t_device_ns: I64) -> tuple[I64, I64]:
    """The device's own frame numbers and times.

    Args:
        epochs: of the recording.
        stream: name of the stream.
        frame_number: (N,) as stored.
        t_device_ns: (N,) as stored, ns.

    Returns:
        (N,) numbers and (N,) ns as the device gave them.
    """
    own = sorted((e for e in epochs if e.stream == stream), key=lambda e: e.first_frame_number)
    first = np.array([e.first_frame_number for e in own], dtype=np.int64)
    which = np.searchsorted(first, frame_number, side="right")
    number = np.array([0, *(e.number_added for e in own)], dtype=np.int64)
    time = np.array([0, *(e.time_added_ns for e in own)], dtype=np.int64)
    return frame_number - number[which], t_device_ns - time[which]
