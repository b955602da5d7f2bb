"""The report of a calibration as one HTML page: figures, where the corners were, how far off they are, the rig."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

import numpy as np

from capture.calibrate.result import Calibration, ViewResiduals
from hoi_core import html
from hoi_core.types import F64, Camera

_COLOURS = ("#0b7285", "#c2410c", "#6d28d9", "#15803d", "#b91c1c", "#a16207")
_ARROW = 60.0
_MOST_ARROWS = 1500
_BINS = 30


def report_html(calibration: Calibration, path: Path) -> None:
    """Write the page.

    Args:
        calibration: as `calibrate` returns it; one read from a file has no residuals, and so no pictures of them.
        path: ends in `.html`; its folder is made.
    """
    name = calibration.id or "a calibration that is not stored yet"
    lead = f"{name}, {calibration.created or 'time unknown'}. {_board(calibration)}"
    sections = [html.tiles(_tiles(calibration)), html.section("What the figures mean", *_meaning(calibration))]
    sections.append(html.section("Views", _view_table(calibration), _baseline_table(calibration)))
    if calibration.residuals:
        maps = [_residual_map(v, calibration.cameras[v], r) for v, r in calibration.residuals.items()]
        sections.append(html.section("Residuals", html.row(*maps), _histogram(calibration), _worst(calibration)))
    sections.append(html.section("The rig from above and from the side", html.row(*_rig(calibration))))
    html.write(path, html.page("Calibration of the rig", lead, sections))


def _board(calibration: Calibration) -> str:
    board = calibration.board
    return (
        f"Board of {board.squares_x}x{board.squares_y} squares of {1e3 * board.square_m:g} mm, markers of "
        f"{1e3 * board.marker_m:g} mm, {board.dictionary}."
    )


def _number(value: float, digits: int, unit: str) -> str:
    return f"{value:.{digits}f} {unit}" if np.isfinite(value) else "unknown"


def _tiles(calibration: Calibration) -> list[tuple[str, str, str]]:
    figures, options = calibration.figures, calibration.options
    tiles = [
        (_number(figures.stereo_rms_px, 2, "px"), "joint RMS", f"at most {options.max_rms_px:g}"),
        (_number(figures.holdout_px, 2, "px"), "hold-out error", f"at most {options.max_holdout_px:g}"),
        (_number(figures.loop_mm, 2, "mm"), "loop error", f"at most {options.max_loop_mm:g}"),
        (_number(figures.baseline_mm, 1, "mm"), "baseline", "distance of the first two cameras"),
    ]
    for view, plane in figures.plane_mm.items():
        scale = 100 * (figures.depth_scale.get(view, float("nan")) - 1)
        tiles.append((_number(plane, 1, "mm"), f"board against depth, {view}", f"depth reads {scale:+.1f} %"))
    return tiles


def _meaning(calibration: Calibration) -> list[str]:
    paragraphs = [
        "RMS: how far corners lie from where the solved cameras put them; of each view for itself, and jointly with "
        "one board pose for each shot. It says that the model fits, not that it is right.",
        f"Hold-out: the cameras are solved for without every {calibration.options.holdout_every}th shot, then "
        "compared with the corners of those shots. No corner is left out.",
        "Loop: how far a point amid the boards moves on a closed way, through three pairs of cameras that were each "
        "calibrated alone, or there by one half of the shots and back by the other. It shows what RMS hides.",
    ]
    return [html.text(p) for p in paragraphs] + [html.note(text) for text in calibration.notes]


def _view_table(calibration: Calibration) -> str:
    figures = calibration.figures
    rows = []
    for view, camera in calibration.cameras.items():
        k1, k2, p1, p2, k3 = camera.distortion
        rows.append(
            (
                view,
                f"{figures.rms_px.get(view, float('nan')):.3f}",
                str(figures.shots.get(view, 0)),
                str(figures.corners.get(view, "images")),
                str(figures.left_out.get(view, 0)),
                f"{camera.fx:.1f}, {camera.fy:.1f}",
                f"{camera.cx:.1f}, {camera.cy:.1f}",
                f"{k1:.3f}, {k2:.3f}, {p1:.4f}, {p2:.4f}, {k3:.3f}",
            )
        )
    head = ("view", "RMS px", "shots", "corners", "left out", "focal lengths px", "centre px", "k1, k2, p1, p2, k3")
    return html.table(head, rows, "A view whose pixels are too coarse for corners is aligned by whole images.")


def _baseline_table(calibration: Calibration) -> str:
    rows = [(pair, f"{mm:.1f}") for pair, mm in calibration.figures.baselines_mm.items()]
    return html.table(("cameras", "distance mm"), rows)


def _residual_map(view: str, camera: Camera, residuals: ViewResiduals) -> str:
    step = max(len(residuals.corners_px) // _MOST_ARROWS, 1)
    scale = camera.width / 640
    lines = []
    for (x, y), (dx, dy) in zip(residuals.corners_px[::step], residuals.error_px[::step], strict=True):
        ends = f'x1="{x:.1f}" y1="{y:.1f}" x2="{x + _ARROW * dx:.1f}" y2="{y + _ARROW * dy:.1f}"'
        lines.append(f'<line {ends} stroke="{_COLOURS[0]}" stroke-width="{scale:.1f}" stroke-opacity="0.55"/>')
    grid = f'<rect width="{camera.width}" height="{camera.height}" fill="none" stroke="#9aa6b4"/>'
    svg = _svg(camera.width, camera.height, [grid, *lines])
    return html.chart(
        svg, f"{view}: found minus predicted, {_ARROW:g} times enlarged. Arrows that agree are a pattern."
    )


def _histogram(calibration: Calibration) -> str:
    distances = {view: np.linalg.norm(r.error_px, axis=1) for view, r in calibration.residuals.items()}
    top = max(float(np.quantile(d, 0.995)) for d in distances.values() if len(d))
    bins = np.linspace(0.0, max(top, 1e-3), _BINS + 1)
    parts = ['<line x1="40" y1="190" x2="620" y2="190" stroke="#9aa6b4"/>']
    for k, (view, d) in enumerate(distances.items()):
        share = np.histogram(d, bins)[0] / max(len(d), 1)
        x = 40 + 580 * (bins[:-1] + bins[1:]) / 2 / bins[-1]
        y = 190 - 160 * share / max(share.max(), 1e-9)
        colour = _COLOURS[k % len(_COLOURS)]
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_label(480, 24 + 18 * k, f"{view}: median {np.median(d):.2f} px", colour))
    parts += [_label(40 + 580 * f, 208, f"{f * bins[-1]:.2f}", "#5b6675") for f in (0.0, 0.25, 0.5, 0.75)]
    return html.chart(_svg(640, 220, parts), "Distances of corners from their prediction, px.")


def _worst(calibration: Calibration) -> str:
    sums: dict[str, list[float]] = {}
    for residuals in calibration.residuals.values():
        for name, square in zip(residuals.shot, (residuals.error_px**2).sum(1), strict=True):
            sums.setdefault(name, []).append(float(square))
    rms = sorted(((float(np.sqrt(np.mean(s))), name, len(s)) for name, s in sums.items()), reverse=True)[:8]
    rows = [(name, f"{value:.3f}", str(count)) for value, name, count in rms]
    return html.table(("shot", "RMS px", "corners"), rows, "The shots that fit worst.")


def _rig(calibration: Calibration) -> Iterable[str]:
    cameras = calibration.cameras
    ends = {v: c.T_world_cam[:3, 3] + 0.12 * c.T_world_cam[:3, 2] for v, c in cameras.items()}
    centres = {v: c.T_world_cam[:3, 3] for v, c in cameras.items()}
    for axes, caption in (((0, 2), "x to the right, z up the page"), ((2, 1), "z to the right, y down the page")):
        flip = np.array([1.0, -1.0 if axes == (0, 2) else 1.0])
        points = np.array([p[list(axes)] * flip for p in (*centres.values(), *ends.values())])
        low, size = points.min(0), float(np.ptp(points, axis=0).max()) or 1.0
        yield html.chart(_plan(centres, ends, (list(axes), flip, low, size)), f"{caption}; world axes, metres.")


def _plan(centres: dict[str, F64], ends: dict[str, F64], frame: tuple[list[int], F64, F64, float]) -> str:
    axes, flip, low, size = frame
    parts = []
    for k, view in enumerate(centres):
        a, b = (60 + 320 * (p[axes] * flip - low) / size for p in (centres[view], ends[view]))
        colour = _COLOURS[k % len(_COLOURS)]
        line = f'x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}"'
        parts.append(f'<line {line} stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<circle cx="{a[0]:.1f}" cy="{a[1]:.1f}" r="6" fill="{colour}"/>')
        parts.append(_label(a[0] + 9, a[1] - 9, view, colour))
    return _svg(460, 440, parts)


def _label(x: float, y: float, text: str, colour: str) -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="13" font-family="sans-serif" fill="{colour}">{escape(text)}</text>'
    )


def _svg(width: int, height: int, parts: Iterable[str]) -> str:
    return f'<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
