"""A run as one page: figures, curves, pictures, settings; made of what lies in its folder, so at any time."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hoi_core import config, html
from hoi_core.types import U8
from learning import curves, runs

NAME = "report.html"
PICTURES = "pictures"
VALIDATED = "val_"
"""How the figures of validation begin in metrics.jsonl."""
_MOST_FIGURES = 12


def write(folder: Path) -> Path:
    """Write `report.html` of a run.

    Raises:
        ConfigError: not a run.
        StorageError: the disk is full or not writable.
    """
    text = page(folder)
    with runs.writing(folder / NAME):
        html.write(folder / NAME, text)
    return folder / NAME


def keep_picture(folder: Path, step: int, image: U8) -> Path:
    """Keep what validation saw at a step, in place of the picture before it.

    Args:
        folder: of the run.
        step: steps trained.
        image: `(H, W, 3)` RGB.

    Returns:
        The file.
    """
    path = folder / PICTURES / f"step_{step:06d}.jpg"
    ok, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 90])
    if not ok:
        raise ValueError(f"image must be (H, W, 3) uint8, got {image.shape} {image.dtype}")
    with runs.writing(path):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data.tobytes())
        for old in path.parent.glob("step_*.jpg"):
            if old != path:
                old.unlink()
    return path


def page(folder: Path) -> str:
    """The page's text.

    Raises:
        ConfigError: not a run.
    """
    settings = config.read_yaml(folder / "config.yaml")
    lines = runs.read_metrics(folder)
    trained = [line for line in lines if "loss" in line]
    validated = [line for line in lines if any(key.startswith(VALIDATED) for key in line)]
    kind = "int8, simulated" if settings.get("qat") else "float"
    lead = f"{settings['model']} ({kind}) trained on {settings['dataset']}, {settings['steps']} steps wanted."
    sections = [_summary(folder, trained, validated), _curves(trained, validated), _pictures(folder)]
    return html.page(f"Run {folder.name}", lead, [*filter(None, sections), _settings(folder, settings)])


def _summary(folder: Path, trained: Sequence[Mapping[str, float]], validated: Sequence[Mapping[str, float]]) -> str:
    tiles = []
    if trained:
        last = trained[-1]
        tiles.append((f"{last['step']:.0f}", "steps trained", f"{last['steps_per_second']:.2f} a second"))
        tiles.append((_number(last["loss"]), "loss", f"{_number(trained[0]['loss'])} at step {trained[0]['step']:.0f}"))
    best = runs.best_step(folder)
    chosen = next((line for line in validated if line["step"] == best), validated[-1] if validated else None)
    if chosen:
        remark = f"validation, step {chosen['step']:.0f}" + (", the best" if best else "")
        figures = [(key, value) for key, value in chosen.items() if key.startswith(VALIDATED)]
        tiles += [(_number(v), key.removeprefix(VALIDATED), remark) for key, v in figures[:_MOST_FIGURES]]
    return html.section("Where it stands", html.tiles(tiles)) if tiles else html.note("Nothing was logged yet.")


def _curves(trained: Sequence[Mapping[str, float]], validated: Sequence[Mapping[str, float]]) -> str:
    if not trained:
        return ""
    losses = {"training": curves.Curve.of(trained, "loss")}
    if any(f"{VALIDATED}loss" in line for line in validated):
        losses["validation"] = curves.Curve.of(validated, f"{VALIDATED}loss")
    parts = {key: curves.Curve.of(trained, key) for key in _keys(trained, "loss_")}
    rate = {"learning rate": curves.Curve.of(trained, "lr")}
    drawn = [
        html.chart(curves.chart(losses, "loss", logarithmic=True), "Loss of single steps, and their running mean."),
        html.chart(curves.chart(rate, "learning rate"), "Learning rate."),
    ]
    if parts:
        named = {key.removeprefix("loss_"): curve for key, curve in parts.items()}
        drawn.append(html.chart(curves.chart(named, "parts of the loss", logarithmic=True), "Before their weights."))
    for key in _keys(validated, VALIDATED):
        name = key.removeprefix(VALIDATED)
        if name != "loss":
            drawn.append(
                html.chart(curves.chart({name: curves.Curve.of(validated, key)}, name), f"Validation: {name}.")
            )
    return html.section("Curves", html.row(*drawn))


def _keys(lines: Sequence[Mapping[str, float]], prefix: str) -> list[str]:
    """Keys that begin so, in the order of their first appearance."""
    return list(dict.fromkeys(key for line in lines for key in line if key.startswith(prefix)))[:_MOST_FIGURES]


def _pictures(folder: Path) -> str:
    found = sorted((folder / PICTURES).glob("step_*.jpg"))
    if not found:
        return ""
    image: Any = cv2.imread(str(found[-1]))
    step = int(found[-1].stem.removeprefix("step_"))
    return html.section("What validation saw", html.picture(image[..., ::-1], f"At step {step}."))


def _settings(folder: Path, settings: Mapping[str, object]) -> str:
    flat = [(key, json.dumps(value)) for key, value in settings.items() if value is not None]
    about = [(key, json.dumps(value)) for key, value in runs.read_about(folder).items()]
    commands = (folder / "command.txt").read_text(encoding="utf8").splitlines()
    return html.section(
        "How it was made",
        *[html.text(command) for command in commands],
        html.table(("setting", "value"), flat),
        html.table(("environment", "value"), about),
    )


def _number(value: float) -> str:
    """Four digits that count."""
    return f"{value:.4g}" if value is not None and math.isfinite(value) else "none"
