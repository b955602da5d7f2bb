"""How much later one view's clock runs than another's, from the motion that both see.

Arrival times cannot tell a constant delay of delivery from an offset. But a hand moves at the same time in all views:
the right offset is the one at which what changes in one view can best be told from what changes in the other.

What is compared are principal components of coarse images and of how much each cell of them changes, as Fourier
coefficients, each frame at its own modelled time: so that a shift by a part of a frame is exact. Two views see
different projections of one motion; canonical correlation finds the parts that they share. Its log-likelihood
(Bach and Jordan 2005) as a function of the offset has its maximum at the offset, and its curvature tells how sure
that is.

Two calibrated depth cameras tell better, where they see the same surfaces: see `capture.depth_motion`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from capture.depth_motion import shift_between
from capture.motion_track import LEAST_FRAMES, STILL, Block, MotionTrack, coarse
from hoi_core.sequence import Clock
from hoi_core.types import F32, F64

__all__ = ["MotionTrack", "ViewOffset", "applied", "coarse", "estimate", "settled"]

_LONGEST_GAP_S = 0.3
_TAPER = 0.1
_SHORTEST_S = 3.0
_RANGE_S = 0.12
_COARSE_S, _FINE_S = 0.006, 0.0005
_RIDGE = 1e-3
_ALIKE = np.log(1e-9)
"""Logarithm for two views that are the same."""
_PCA_FRAMES = 400
"""So many images show in which directions cells vary; the time to work that out grows with their cube."""
_APART_S = 0.02
_LEAST_RISE = 4.0
"""The highest peak must rise so many deviations above the rest of the curve."""
_SURE_NS = 0.9e6
"""So that two milliseconds are more than two deviations."""
_SIGNIFICANT = 1.5
_SIGMA_SCALE = 3.2
"""Two views see different sides of what moves: the likelihood, which knows noise only, is that much too sure."""
_SHARED = 0.6
_FLOOR_NS = 0.4e6
_DISAGREE = 3.0
_FULL_BLOCKS = 2


@dataclass(frozen=True)
class _Band:
    """Which components and frequencies are compared; several bands are tried, as none is best for all motion."""

    still: int
    """Components of the coarse images."""
    change: int
    """Components of their changes."""
    low_hz: float
    high_hz: float
    order: float
    """Amplitudes count times frequency to this power: fast changes tell time best."""

    def reduced(self, share: float) -> _Band:
        """With fewer components, where there is little to tell them from."""
        return replace(self, still=round(share * self.still), change=round(share * self.change))


_BANDS = (_Band(28, 20, 1.0, 12.0, 1.5), _Band(40, 30, 1.0, 12.0, 1.5), _Band(60, 60, 1.0, 13.0, 1.0))


@dataclass(frozen=True)
class ViewOffset:
    """How a stream's modelled time relates to the reference's."""

    offset_ns: int
    """To be added to the stream's modelled time, ns."""
    sigma_ns: float
    """Standard deviation of that, ns; infinite where the motion does not tell."""
    sure: bool
    """Whether the motion tells the offset to two milliseconds; otherwise it is not to be used."""


def estimate(track: MotionTrack, clocks: Mapping[str, Clock], reference: str) -> dict[str, ViewOffset]:
    """The offset of every stream in the track relative to the reference.

    Args:
        track: what moved.
        clocks: each stream's clock, without any offset from motion.
        reference: the stream whose time is kept.

    Returns:
        Offsets of the other streams; empty where the reference is not in the track.
    """
    names = [name for name in track.streams if name in clocks]
    if reference not in names or len(names) < 2:
        return {}
    blocks = [block for block in track.blocks() if reference in block.times]
    spans_ns = [block.times[reference][-1] - block.times[reference][0] for block in blocks]
    if max(spans_ns) < _SHORTEST_S * 1e9:
        return {}
    plain = {name: replace(clock, motion_offset_ns=0) for name, clock in clocks.items()}
    pairs = _pairs(blocks, names, plain)
    if len(blocks) > 1:
        middle = (len(blocks) + 1) // 2
        halves = [_pairs(half, names, plain) for half in (blocks[:middle], blocks[middle:])]
        pairs = {pair: _agreed(told, [half.get(pair) for half in halves]) for pair, told in pairs.items()}
    return _network(_with_depth(pairs, track, plain), names, reference)


def _agreed(told: tuple[float, float], halves: Sequence[tuple[float, float] | None]) -> tuple[float, float]:
    """An estimate no surer than the two halves of the recording agree on it."""
    known = [half[0] for half in halves if half is not None and np.isfinite(half[1])]
    return (told[0], max(told[1], 0.5 * float(np.ptp(known)))) if len(known) > 1 else told


def _with_depth(
    pairs: Mapping[tuple[str, str], tuple[float, float]], track: MotionTrack, clocks: Mapping[str, Clock]
) -> dict[tuple[str, str], tuple[float, float]]:
    """The pairs, those of calibrated depth cameras told by their depth too."""
    out = dict(pairs)
    for (a, b), (shift_s, sigma_s) in pairs.items():
        first, second = (name.replace("/color", "/depth") for name in (a, b))
        if not {first, second} <= track.depth_streams & clocks.keys() or not np.isfinite(sigma_s):
            continue
        films = track.films(first, second, clocks)
        if not films[0]:
            continue
        found_s, depth_sigma_s = shift_between(*films, shift_s)
        if np.isfinite(depth_sigma_s):
            weight = 1.0 / (1.0 + (depth_sigma_s / sigma_s) ** 2)
            both = (shift_s + weight * (found_s - shift_s), depth_sigma_s * float(np.sqrt(weight)))
            agree = abs(found_s - shift_s) < _DISAGREE * float(np.hypot(sigma_s, depth_sigma_s))
            out[a, b] = both if agree else (shift_s, float("inf"))
    return out


def _pairs(
    blocks: Sequence[Block], names: Sequence[str], plain: Mapping[str, Clock]
) -> dict[tuple[str, str], tuple[float, float]]:
    """How much later each second stream's clock runs than the first's, and the deviation, s."""
    times = next(iter(blocks[0].times.items()))
    origin_ns = int(plain[times[0]].to_common_ns(np.array(times[1][:1], dtype=np.int64))[0])
    parts = {name: _parts(blocks, name, plain[name], origin_ns) for name in names}
    windows = [_common_window([parts[name][k] for name in names]) for k in range(len(blocks))]
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    share = min(sum(window is not None for window in windows) / _FULL_BLOCKS, 1.0)
    for band in (band.reduced(share) for band in _BANDS):
        spectra = {name: _spectra(parts[name], windows, band) for name in names}
        for a, b in combinations(names, 2):
            found.setdefault((a, b), []).append(_offset(spectra[a], spectra[b], band))
    return {pair: _combined(results) for pair, results in found.items()}


def _common_window(parts: Sequence[_Part | None]) -> _Window | None:
    """What all streams of a block span; None where that is too short to tell anything."""
    spans = [(float(part.t_s[0]), float(part.t_s[-1])) for part in parts if part is not None]
    if len(spans) < 2:
        return None
    start, end = max(first for first, _ in spans), min(last for _, last in spans)
    return _Window(start, end - start) if end - start > _SHORTEST_S else None


def _combined(results: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """Offset and deviation from those of several bands: they see the same motion, so that they err together."""
    shifts, sigmas = np.array([r[0] for r in results]), np.array([r[1] for r in results])
    if not np.isfinite(sigmas).all() or min(r[2] for r in results) < _LEAST_RISE:
        return float(np.median(shifts)), np.inf
    sigma = _SIGMA_SCALE * float(np.median(sigmas))
    return float(shifts.mean()), float(np.sqrt(sigma**2 + shifts.var() + 1e-8))


def _network(
    pairs: Mapping[tuple[str, str], tuple[float, float]], names: Sequence[str], reference: str
) -> dict[str, ViewOffset]:
    """Offsets that agree best with those of all pairs, by weighted least squares."""
    others = [name for name in names if name != reference]
    told = [(pair, shift, sigma) for pair, (shift, sigma) in pairs.items() if np.isfinite(sigma)]
    design = np.zeros((len(told), len(others)))
    for row, ((a, b), _, sigma) in zip(design, told, strict=True):
        for name, sign in ((a, -1.0), (b, 1.0)):
            if name != reference:
                row[others.index(name)] = sign / sigma
    aim = np.array([shift / sigma for _, shift, sigma in told])
    out = {}
    normal = design.T @ design
    inverse = np.linalg.pinv(normal, rcond=1e-9)
    solution = inverse @ design.T @ aim
    for k, name in enumerate(others):
        # Streams that no chain of pairs connects with the reference are not determined.
        tied = bool(abs((inverse @ normal)[k, k] - 1.0) < 1e-6)
        # The pairs share their views: their errors are not independent, and none is better than its best pair.
        direct = min((sigma for (a, b), _, sigma in told if name in (a, b)), default=np.inf)
        noise_ns = max(float(np.sqrt(inverse[k, k])), _SHARED * direct) * 1e9
        sigma_ns = float(np.hypot(noise_ns, _FLOOR_NS)) if tied else np.inf
        # What runs late is moved back.
        out[name] = ViewOffset(-round(float(solution[k]) * 1e9), sigma_ns, sigma_ns < _SURE_NS)
    return out


def settled(clocks: Mapping[str, Clock], track: MotionTrack, reference: str) -> dict[str, Clock]:
    """The clocks at the end of a recording, with what its images tell of them; takes up to a second or two."""
    return applied(clocks, estimate(track, clocks, reference), reference)


def applied(clocks: Mapping[str, Clock], offsets: Mapping[str, ViewOffset], reference: str) -> dict[str, Clock]:
    """The clocks with the offsets that are sure; all streams of a device get the same.

    The common clock is then that of the device that delivers fastest: no image arrives before it was taken.

    Args:
        clocks: each stream's clock.
        offsets: of one stream of each device.
        reference: the stream to which the offsets relate.
    """
    device = {name: name.split("/", 1)[0] for name in clocks}
    shift = {device[reference]: (0, float("nan"))} if reference in device else {}
    for name, found in offsets.items():
        if not found.sure:
            continue
        # Most rigs deliver alike: what may be chance is not applied.
        significant = abs(found.offset_ns) > _SIGNIFICANT * found.sigma_ns
        shift[name.split("/", 1)[0]] = (found.offset_ns if significant else 0, found.sigma_ns)
    latest = max((offset for offset, _ in shift.values()), default=0)
    return {
        name: replace(
            clock,
            motion_offset_ns=shift.get(device[name], (0, 0.0))[0] - latest,
            motion_sigma_ns=shift.get(device[name], (0, float("nan")))[1],
        )
        for name, clock in clocks.items()
    }


@dataclass(frozen=True)
class _Window:
    """The time of a block that all its streams span, in seconds from the first."""

    start_s: float
    length_s: float

    def frequencies(self, band: _Band) -> F64:
        """Those of the band that fit into the window a whole number of times, Hz. `(F,)`."""
        first, last = np.ceil(band.low_hz * self.length_s), np.floor(band.high_hz * self.length_s)
        return np.asarray(np.arange(first, last + 1) / self.length_s, dtype=np.float64)

    def coefficients(self, t_s: F64, values: F64, hz: F64) -> NDArray[np.complex128]:
        """Fourier coefficients of a series within the window, each value at its own time. `(N, K) -> (F, K)`."""
        share = (t_s - self.start_s) / self.length_s
        edge = np.clip(np.minimum(share, 1.0 - share) / _TAPER, 0.0, 1.0)
        weight = np.sin(0.5 * np.pi * edge) ** 2 * np.gradient(t_s)
        centred = values - (weight @ values) / max(float(weight.sum()), 1e-9)
        waves = np.exp(-2j * np.pi * np.outer(hz, t_s - self.start_s)) * weight
        return np.asarray(waves @ centred, dtype=np.complex128)


@dataclass(frozen=True)
class _Part:
    """Components of one stream in one block."""

    t_s: F64
    """(N,) common time of the images, s."""
    still: F64
    """(N, K) components of the images."""
    change: F64
    """(N - 1, L) components of their changes, each half-way between two images."""


def _parts(blocks: Sequence[Block], name: str, clock: Clock, origin_ns: int) -> list[_Part | None]:
    """One stream in each block; None where it has hardly any frames or a gap."""
    taken: list[tuple[F64, F32] | None] = []
    for block in blocks:
        times = block.times.get(name, [])
        t_s = np.asarray((clock.to_common_ns(np.array(times, dtype=np.int64)) - origin_ns) * 1e-9, dtype=np.float64)
        steps = np.diff(t_s)
        good = len(times) >= LEAST_FRAMES and bool((steps > 0).all()) and float(steps.max()) < _LONGEST_GAP_S
        taken.append((t_s, np.stack(block.cells[name]).astype(np.float32)) if good else None)
    present = [cells for item in taken if item is not None for cells in [item[1]]]
    if not present:
        return [None] * len(blocks)
    still = _basis([cells - cells.mean(0) for cells in present], max(band.still for band in _BANDS))
    change = _basis([_change(cells) for cells in present], max(band.change for band in _BANDS))
    return [
        None if item is None else _Part(item[0], _on(item[1] - item[1].mean(0), still), _on(_change(item[1]), change))
        for item in taken
    ]


def _change(cells: F32) -> F32:
    """How much each cell changes from image to image, about its mean; the root keeps the fastest from ruling."""
    size = np.sqrt(np.maximum(np.abs(np.diff(cells, axis=0)) - STILL, 0.0))
    return np.asarray(size - size.mean(0), dtype=np.float32)


def _basis(series: Sequence[F32], count: int) -> F64:
    """Directions in which cells vary most, zero beyond those in which they vary at all. `-> (C, count)`."""
    stacked = np.concatenate(series)
    few = stacked[:: -(-len(stacked) // _PCA_FRAMES)].astype(np.float64)
    # There are fewer images than cells: the images' products tell the same as the cells', in a small part of the time.
    found = min(count, len(few))
    values, vectors = linalg.eigh(few @ few.T, subset_by_index=(len(few) - found, len(few) - 1), check_finite=False)
    basis = np.zeros((few.shape[1], count))
    varies = values[::-1] > 1e-9 * float(values[-1])
    basis[:, :found][:, varies] = (few.T @ vectors[:, ::-1] / np.sqrt(np.maximum(values[::-1], 1e-300)))[:, varies]
    return basis


def _on(values: F32, basis: F64) -> F64:
    return np.asarray(values.astype(np.float64) @ basis, dtype=np.float64)


_Spectra = list[tuple[F64, NDArray[np.complex128]] | None]


def _spectra(parts: Sequence[_Part | None], windows: Sequence[_Window | None], band: _Band) -> _Spectra:
    """Frequencies and coefficients of a stream's components in each block, images and changes weighted alike."""
    out: _Spectra = []
    for part, window in zip(parts, windows, strict=True):
        if part is None or window is None:
            out.append(None)
            continue
        hz = window.frequencies(band)
        between_s = 0.5 * (part.t_s[1:] + part.t_s[:-1])
        still = window.coefficients(part.t_s, part.still[:, : band.still], hz)
        change = window.coefficients(between_s, part.change[:, : band.change], hz)
        out.append((hz, np.concatenate([still, change], axis=1)))
    known = [item for item in out if item is not None]
    if not known:
        return out
    hz = np.concatenate([item[0] for item in known])
    rows = np.concatenate([item[1] for item in known])
    power = (np.abs(rows) ** 2 * hz[:, None] ** (2.0 * band.order)).sum(0)
    scale = np.ones(power.shape)
    scale[: band.still] = 1.0 / np.sqrt(max(float(power[: band.still].max()), 1e-12))
    scale[band.still :] = 1.0 / np.sqrt(max(float(power[band.still :].max()), 1e-12))
    return [None if item is None else (item[0], item[1] * scale) for item in out]


def _offset(a: _Spectra, b: _Spectra, band: _Band) -> tuple[float, float, float]:
    """How much later the second stream's clock runs than the first's, its deviation, and the rise of the peak."""
    both = [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    if not both:
        return 0.0, np.inf, 0.0
    hz = np.concatenate([x[0] for x, _ in both])
    weight = hz ** (2.0 * band.order)
    first = _white(np.concatenate([x[1] for x, _ in both]), weight)
    second = _white(np.concatenate([y[1] for _, y in both]), weight)
    # Real numbers that vary independently; the weights leave fewer of them.
    count = 2.0 * weight.sum() ** 2 / (weight**2).sum() * (1.0 - _TAPER)

    def likelihood(shifts_s: F64, kind: type[np.floating]) -> F64:
        """Real parts of the products alone, as those of twice as many rows of real numbers."""
        ours, theirs = first.astype(np.result_type(kind, np.complex64)), _in_parts(second).astype(kind)
        identity, out = np.eye(min(ours.shape[1], theirs.shape[1])), []
        for shift_s in shifts_s:
            turn = (weight * np.exp(-2j * np.pi * hz * shift_s)).astype(ours.dtype)
            product = np.asarray(_in_parts(ours * turn[:, None]).T @ theirs, dtype=np.float64)
            squares = product @ product.T if len(product) <= product.shape[1] else product.T @ product
            # The sum of log(1 - r^2) over the canonical correlations r, without working them out.
            sign, value = np.linalg.slogdet(identity - squares)
            out.append(-0.5 * count * (value if sign > 0 else _ALIKE * len(identity)))
        return np.array(out)

    grid = np.arange(-_RANGE_S, _RANGE_S + 0.5 * _COARSE_S, _COARSE_S)
    coarse_curve = likelihood(grid, np.float32)
    best = float(grid[int(np.argmax(coarse_curve))])
    far = coarse_curve[np.abs(grid - best) > _APART_S]
    spread = 1.4826 * float(np.median(np.abs(far - np.median(far)))) + 1e-9
    rise = float(coarse_curve.max() - np.median(far)) / spread
    near = np.asarray(best + np.arange(-4, 5) * _FINE_S, dtype=np.float64)
    bend, slope, _ = np.polyfit(near - best, likelihood(near, np.float64), 2)
    if bend >= 0 or abs(best) > _RANGE_S - _APART_S:
        return best, np.inf, rise
    peak = best + float(np.clip(-0.5 * slope / bend, -_COARSE_S, _COARSE_S))
    return peak, float(1.0 / np.sqrt(-2.0 * bend)), rise


def _in_parts(rows: NDArray[np.complexfloating]) -> NDArray[np.floating]:
    """Real parts above imaginary parts. `(R, K) -> (2 R, K)`."""
    return np.concatenate([rows.real, rows.imag])


def _white(rows: NDArray[np.complex128], weight: F64) -> NDArray[np.complex128]:
    """Components turned and scaled so that they are uncorrelated and of unit power. `(R, K) -> (R, K)`."""
    power = ((rows.conj() * weight[:, None]).T @ rows).real
    values, vectors = np.linalg.eigh(power)
    values = np.maximum(values, 0.0) + _RIDGE * float(values.max())
    return np.asarray(rows @ (vectors / np.sqrt(values)) @ vectors.T, dtype=np.complex128)
