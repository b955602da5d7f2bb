"""The page that `learning_proof.py` writes: figures of every case, what the comparisons say, curves and commands."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from hoi_core.bootstrap import difference
from learning.curves import Curve, chart

MORE_IS_BETTER = ("object_add01d",)
"""Shares of what is right; all other figures are errors."""
SHOWN = ("xyz_pa_mm", "mesh_pa_mm", "mpjpe_mm", "xyz_mm", "depth_rr_mm", "depth_mm", "f15_pa")


@dataclass(frozen=True)
class Comparison:
    """Two cases on the same samples."""

    name: str
    """What it tells."""
    case: tuple[str, str]
    """Name of a case, and what it was shown."""
    against: tuple[str, str]
    """The other."""
    figure: str
    """Name of an error, or of a share of what is right."""
    most: float | None = None
    """By how much the first may be worse, as asked; None where nothing is asked."""


@dataclass(frozen=True)
class Outcome:
    """What a comparison says."""

    name: str
    """Of the comparison."""
    figure: str
    """Name of the error."""
    mean: float
    """Of the differences, sample by sample."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end."""
    most: float | None
    """What is allowed."""

    @property
    def verdict(self) -> str:
        """In words; where nothing was asked, whether the first is better at all."""
        worse, low, high = self.mean, self.low, self.high
        if self.figure in MORE_IS_BETTER:
            worse, low, high = -worse, -high, -low
        if self.most is None:
            return "better" if high < 0 else "worse" if low > 0 else "no difference to be seen"
        if worse <= self.most:
            return "met" if high <= self.most else "met, but not for certain"
        return "not met" if low > self.most else "not met, but not for certain"


def compared(folder: Path, comparison: Comparison) -> Outcome | None:
    """The outcome; None where one of both cases was not measured.

    Raises:
        ValueError: they were measured on different samples.
    """
    tables = [folder / case / f"{shown}.csv" for case, shown in (comparison.case, comparison.against)]
    if not all(table.exists() for table in tables):
        return None
    (keys, groups, mine), (others, _, theirs) = (_column(table, comparison.figure) for table in tables)
    if keys != others:
        raise ValueError(f"{tables[0]} and {tables[1]} are of different samples")
    mean, (low, high) = difference(mine, theirs, groups)
    return Outcome(comparison.name, comparison.figure, mean, low, high, comparison.most)


def _column(table: Path, figure: str) -> tuple[list[str], list[str], np.ndarray]:
    """Keys, groups and one error of each sample."""
    with table.open(encoding="utf8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["key"] for row in rows], [row["group"] for row in rows], np.array([float(row[figure]) for row in rows])


def write_results(
    results: Path,
    folder: Path,
    cases: Sequence[str],
    comparisons: Sequence[Comparison],
    facts: Mapping[str, Any],
    figures: Sequence[str] = SHOWN,
) -> Path:
    """Write page (.md), figures (.json) and curves (.svg); returns the page."""
    name = f"learning_{folder.name}"
    outcomes = [found for found in (compared(folder, each) for each in comparisons) if found]
    measured = {case: _measured(folder / case) for case in cases}
    env = _json(folder / cases[0] / "run" / "env.json") if cases else {}
    about = {**facts, "date": datetime.now(UTC).date().isoformat(), "commit": env.get("commit", "")}
    results.mkdir(parents=True, exist_ok=True)
    values = {
        "about": about,
        "cases": measured,
        "comparisons": [{**vars(each), "verdict": each.verdict} for each in outcomes],
    }
    (results / f"{name}.json").write_text(json.dumps(values, indent=2, default=str) + "\n", encoding="utf8")
    (results / f"{name}.svg").write_text(_curves(folder, cases), encoding="utf8")
    page = results / f"{name}.md"
    parts = _page(name, about, measured, outcomes, figures)
    lines = "\n".join(_commands(folder, cases))
    page.write_text("\n\n".join([*parts, "## Commands", f"```bash\n{lines}\n```"]) + "\n", encoding="utf8")
    return page


def _measured(folder: Path) -> dict[str, Any]:
    """Figures of a case by what it was shown, its size and its speed."""
    shown = {kind: found for kind in ("rgb", "edge") if (found := _json(folder / f"{kind}.json"))}
    model = folder / "model.onnx"
    return {"shown": shown, "onnx_mb": model.stat().st_size / 1e6 if model.exists() else None}


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf8")) if path.exists() else {}
    return found


def _curves(folder: Path, cases: Sequence[str]) -> str:
    """Loss of each training over its steps."""
    curves = {}
    for case in cases:
        path = folder / case / "run" / "metrics.jsonl"
        if path.exists():
            lines = [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]
            curves[case] = Curve.of(lines, "loss")
    return chart(curves, "loss", logarithmic=True)


def _commands(folder: Path, cases: Sequence[str]) -> list[str]:
    """Every line that was typed, once."""
    logs = [folder / case / "log.txt" for case in cases]
    lines = [line[2:] for log in logs if log.exists() for line in log.read_text(encoding="utf8").splitlines()
             if line.startswith("$ hoi-")]  # fmt: skip
    return list(dict.fromkeys(lines))


def _page(
    name: str,
    about: Mapping[str, Any],
    measured: Mapping[str, Any],
    outcomes: Sequence[Outcome],
    figures: Sequence[str],
) -> list[str]:
    budget = about["budget"]
    first = next((shown for case in measured.values() for shown in case["shown"].values()), {})
    version = "; ".join(first.get("datasets", {}).values())
    return [
        f"# Learning on the synthetic benchmark: {name.removeprefix('learning_')}",
        f"{about['date']}, commit {about['commit']}, {about['cpu'] or about['machine']}, {about['cores']} cores, "
        f"{about['device']}. Every case: {budget['steps']} steps of {budget['batch_size']} samples of "
        f"{budget['dataset']}{version and f' ({version})'}, seed {budget['seed']}{_also(budget)}. Measured on "
        f"{first.get('n', 0)} test images in {first.get('groups', 0)} groups; in brackets 95 % intervals over the "
        "groups. Written by `benchmarks/learning_proof.py`.",
        "## What was asked",
        _table(("comparison", "error", "difference", "at most", "outcome"), [_outcome_row(each) for each in outcomes]),
        "Differences are of the same images, sample by sample. In mm more than 0 means that the first is worse, in "
        "points (hundredths of all objects whose pose is right) that it is better.",
        "## Every case",
        _table(("case", "shown", *figures, "int8 MB"), _case_rows(measured, figures)),
        f"![loss over the steps]({name}.svg)",
    ]


def _also(budget: dict[str, Any]) -> str:
    flags = [" ".join(budget["flags"])] if budget["flags"] else []
    own = [f"{model} with {' '.join(its)}" for model, its in budget["own"].items()]
    return "".join(f", {words}" for words in [*flags, *own])


def _outcome_row(each: Outcome) -> tuple[str, ...]:
    times, unit = (100.0, "points") if each.figure in MORE_IS_BETTER else (1.0, "mm")
    most = "" if each.most is None else f"{times * each.most:g} {unit} worse"
    change = f"{times * each.mean:+.2f} {unit} ({times * each.low:+.2f} to {times * each.high:+.2f})"
    return each.name, each.figure, change, most, each.verdict


def _case_rows(measured: Mapping[str, Any], shown: Sequence[str]) -> list[tuple[str, ...]]:
    rows = []
    for case, found in measured.items():
        size = "" if found["onnx_mb"] is None else f"{found['onnx_mb']:.1f}"
        for kind, figures in found["shown"].items():
            cells = [_with_interval(figures.get(key), figures["ci95"].get(key, (None, None))) for key in shown]
            rows.append((case, kind, *cells, size))
    return rows


def _with_interval(mean: float | None, interval: Sequence[float | None]) -> str:
    low, high = interval
    if mean is None or low is None or high is None:
        return "" if mean is None else f"{mean:.2f}"
    return f"{mean:.2f} ({low:.2f} to {high:.2f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
