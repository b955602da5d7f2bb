"""How far automatic labels are from the truth, over people, objects, plays and noise: the table of the annotator.

Each take is annotated as `hoi-annotate --auto` does it, from its clicks alone (revision r000), in a copy. Figures are
means over the takes; a goal is met where the mean is. `cpu` is processor time: it counts the work of all threads and
nobody else's.

Example: python benchmarks/annotator.py --lab /data/lab --cases base fast --seeds 0-3
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from annotator_cases import CASES, KINDS, PERSON_TAKES, Case, Kind, Lab, make, rest_error_mm

from annotate import auto
from annotate.compare import compare
from annotate.hand_fit import HandConfig
from hoi_core.errors import HoiError
from hoi_core.sequence import Capture, Truth, open_annotation, open_capture, open_truth, sequence_dir, write_revision
from hoi_core.sequence.layout import CAPTURE, TRUTH
from hoi_core.types import F64

Figures = Mapping[str, float]
RUNS = "runs"
"""Folder of the lab with the copies that are annotated."""


@dataclass(frozen=True)
class Goal:
    """Limits of a row for one kind of truth; NaN where nothing is asked."""

    mean_mm: float = np.nan
    p95_mm: float = np.nan
    vertex_mm: float = np.nan
    offset_ms: float = np.nan


_NONE = Goal()
GOALS: Mapping[str, Mapping[Kind, Goal]] = {
    "base": {"kind": Goal(1.2, 2.5), "default": Goal(3.0, 6.0, 3.5)},
    "missing30": {"kind": Goal(1.4), "default": Goal(3.5)},
    "outliers10": {"kind": Goal(1.4), "default": Goal(3.5)},
    "one_view": {"kind": Goal(2.0), "default": Goal(5.0)},
    "skew": {"kind": Goal(1.4, offset_ms=1.0), "default": Goal(3.3)},
    "fast": {"kind": Goal(1.6), "default": Goal(4.0)},
}
_HELD: Mapping[Kind, tuple[float, float]] = {"kind": (2.0, 1.5), "default": (3.0, 2.0)}
"""Limits of a grasped object: ADD (ADD-S where it is symmetric) in mm, and degrees."""
_COVERAGE = (0.85, 0.95)
_REST_MM = 2.0
_ROUND = ("o02", "o04", "o05", "o07")
"""Objects that look alike from all around, but for what is printed on them: can, bottle, ball and bowl."""


@dataclass
class Row:
    """The takes of one case and kind."""

    case: Case
    kind: Kind
    takes: dict[int, Figures] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)

    def mean(self, name: str) -> float:
        """Over the takes that have the figure."""
        values = [figures[name] for figures in self.takes.values() if np.isfinite(figures.get(name, np.nan))]
        return float(np.mean(values)) if values else float("nan")

    def worst(self, name: str) -> float:
        """The largest of the takes."""
        return max((figures[name] for figures in self.takes.values()), default=float("nan"))

    def misses(self) -> list[str]:
        """What falls short of its goal."""
        goal = GOALS.get(self.case.name, {}).get(self.kind, _NONE)
        limits = {
            "joint_error_mm": goal.mean_mm,
            "joint_error_p95_mm": goal.p95_mm,
            "vertex_error_mm": goal.vertex_mm,
            "offset_error_ms": goal.offset_ms,
        }
        short = [name for name, limit in limits.items() if np.isfinite(limit) and not self.mean(name) <= limit]
        if self.case.name in GOALS and not _COVERAGE[0] <= self.mean("coverage90") <= _COVERAGE[1]:
            short.append("coverage90")
        return [*short, *(["failed takes"] if self.failed else [])]


def annotate_take(lab: Lab, case: Case) -> dict[str, float]:
    """Annotate a copy of a take; its errors, times and offset."""
    make(lab, case)
    root = _fresh(lab, case)
    settings = auto.Config(hand=HandConfig(terms=case.terms))
    began_s, busy_s = time.perf_counter(), time.process_time()
    report = auto.annotate(root, lab.sequence, settings)
    took_s, busy_s = time.perf_counter() - began_s, time.process_time() - busy_s
    figures = dict(compare(root, lab.sequence))
    figures |= {"ms": 1e3 * took_s / report.frames, "cpu_ms": 1e3 * busy_s / report.frames}
    figures |= offset_figures(sequence_dir(root, lab.sequence))
    if case.name.startswith("person"):
        with open_annotation(sequence_dir(root, lab.sequence)) as annotation:
            (hand,) = annotation.load().hands.values()
        figures["rest_error_mm"] = rest_error_mm(lab, hand.betas)
    return figures


def _fresh(lab: Lab, case: Case) -> Path:
    """A dataset with the take as it was recorded: images and truth are linked, of the labels only r000 is there."""
    source, target = lab.root(case.name), lab.folder / RUNS / lab.kind / case.name
    if lab.seed % PERSON_TAKES == 0:
        # What earlier runs found out about people is forgotten with their first take.
        shutil.rmtree(target / "participants", ignore_errors=True)
    folder = sequence_dir(target, lab.sequence)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copytree(source / "objects", target / "objects", dirs_exist_ok=True)
    for path in (*source.glob("*.csv"), source / "dataset.json"):
        shutil.copy2(path, target / path.name)
    for name in (CAPTURE, TRUTH):
        os.link(lab.take(case.name) / name, folder / name)
    with open_annotation(lab.take(case.name)) as annotation:
        clicks, binding = annotation.load("r000"), annotation.binding
    write_revision(folder, clicks, binding=binding)
    return target


def offset_figures(folder: Path) -> dict[str, float]:
    """How wrong the right view's time is against the left one's: as recorded, and with the fit's correction; ms."""
    with open_capture(folder) as capture, open_truth(folder) as truth, open_annotation(folder) as annotation:
        if "right" not in capture.views:
            return {}
        found = annotation.load().corrections.get("right")
        recorded_s = _recorded_lag_s(capture) - _true_lag_s(capture, truth)
    fitted_s = recorded_s + (float(found[0]) if found is not None else np.nan)
    return {"recorded_offset_ms": 1e3 * abs(float(np.median(recorded_s))), "offset_error_ms": 1e3 * _median(fitted_s)}


def _median(values: F64) -> float:
    return abs(float(np.median(values)))


def _recorded_lag_s(capture: Capture) -> F64:
    sync = capture.sync
    both = (sync.index["left/color"] >= 0) & (sync.index["right/color"] >= 0)
    return np.asarray(sync.skew_ns["right/color"][both] * 1e-9, np.float64)


def _true_lag_s(capture: Capture, truth: Truth) -> F64:
    sync = capture.sync
    both = (sync.index["left/color"] >= 0) & (sync.index["right/color"] >= 0)
    times = {}
    for stream in ("left/color", "right/color"):
        numbers, true_ns = truth.clocks[stream]
        shown = capture.streams[stream].frame_number[sync.index[stream][both]]
        times[stream] = true_ns[np.searchsorted(numbers, shown)]
    return np.asarray((times["right/color"] - times["left/color"]) * 1e-9, np.float64)


def held(row: Row) -> str:
    """How well objects are labelled while they are carried."""
    limit_mm, limit_deg = _HELD[row.kind]
    distances, degrees = [], []
    for seed, figures in row.takes.items():
        name = "object_adds_held_mm" if f"o{seed % 8 + 1:02d}" in _ROUND else "object_add_held_mm"
        distances.append(figures.get(name, np.nan))
        degrees.append(figures.get("object_rotation_held_deg", np.nan))
    mm, deg = (float(np.mean(values)) if values else np.nan for values in (distances, degrees))
    met = mm <= limit_mm and deg <= limit_deg
    said = "met" if met else "SHORT"
    return (
        f"object, grasped  {row.kind:<8} ADD(-S) {mm:5.2f} mm (<= {limit_mm}), {deg:5.2f} deg (<= {limit_deg})  {said}"
    )


def line(row: Row) -> str:
    """One row of the table."""
    goal = GOALS.get(row.case.name, {}).get(row.kind, _NONE)
    short = row.misses()
    asked = row.case.name in GOALS
    said = ("SHORT: " + ", ".join(short)) if short else ("met" if asked else "reported")
    return (
        f"{row.case.name:<15} {row.kind:<8}"
        f" {row.mean('joint_error_mm'):5.2f} / {row.mean('joint_error_p95_mm'):5.2f} mm"
        f" (<= {goal.mean_mm:g} / {goal.p95_mm:g}; worst {row.worst('joint_error_mm'):.2f})"
        f"  vertices {row.mean('vertex_error_mm'):5.2f}  90 %: {row.mean('coverage90'):.3f}"
        f"  offset {row.mean('offset_error_ms'):.2f} ms (recorded {row.mean('recorded_offset_ms'):.2f})"
        f"  valid {row.mean('valid_share'):.3f}  {row.mean('ms'):.0f} ms, cpu {row.mean('cpu_ms'):.0f} ms  {said}"
    )


def run(lab_folder: Path, kinds: Sequence[Kind], cases: Sequence[str], seeds: Sequence[int]) -> list[Row]:
    """Annotate all takes, printing each row as it is done."""
    rows = []
    for name in cases:
        for kind in kinds:
            row = Row(CASES[name], kind)
            for seed in seeds:
                try:
                    row.takes[seed] = annotate_take(Lab(lab_folder, kind, seed), row.case)
                except HoiError as error:
                    row.failed[seed] = str(error)
            rows.append(row)
            print(line(row), flush=True)
            for seed, why in row.failed.items():
                print(f"    seed {seed} failed: {why}", flush=True)
            if name == "base":
                print(held(row), flush=True)
            if name == "person":
                last = [figures["rest_error_mm"] for seed, figures in row.takes.items() if seed % PERSON_TAKES == 2]
                print(f"    rest pose after three takes: {np.mean(last):.2f} mm (<= {_REST_MM})", flush=True)
    return rows


def seeds_of(text: str) -> list[int]:
    """`0-3`, `0,2,5` or both together."""
    parts = [part.split("-") for part in text.split(",")]
    return [n for part in parts for n in range(int(part[0]), int(part[-1]) + 1)]


def main() -> None:
    """Make what is missing, annotate, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lab", type=Path, required=True, help="where takes are kept; made where they are missing")
    parser.add_argument("--seeds", type=seeds_of, default=list(range(8)), help="such as 0-3 or 4,6")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=[name for name in CASES if name != "long"])
    parser.add_argument("--json", type=Path, help="also write the figures of every take to this file")
    arguments = parser.parse_args()
    rows = run(arguments.lab, arguments.kinds, arguments.cases, arguments.seeds)
    if arguments.json:
        found = [
            {"case": r.case.name, "kind": r.kind, "misses": r.misses(), "takes": r.takes, "failed": r.failed}
            for r in rows
        ]
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
