"""Images a second with every label written, at 128 and 256 pixels, and the shares of rendering, labels and packing.

python benchmarks/synth.py [--presets grasps] [--images 400] [--workers 2] [--sizes 128 256] [--json-file FILE]
`hoi-bench synth` measures one preset.
"""

from __future__ import annotations

import json
from pathlib import Path

import tyro

from dataset_tools.synth import PRESETS, Preset, Recipe
from dataset_tools.synth.bench import measure


def main(
    presets: tuple[Preset, ...] = PRESETS,
    sizes: tuple[int, ...] = (128, 256),
    images: int = 400,
    workers: int = 2,
    json_file: Path | None = None,
) -> None:
    """Measure and print."""
    rows = []
    for preset in presets:
        for size in sizes:
            row = measure(Recipe(preset, images, size), workers)
            print(f"{preset:12s} {row}", flush=True)
            rows.append(row.to_dict())
    if json_file is not None:
        json_file.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
