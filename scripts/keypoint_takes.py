"""Simulated takes to train the shipped keypoint network on: `python scripts/keypoint_takes.py DATA`.

Plays of seeds 100 to 122, a few images a second, with a click on every joint; `hoi-annotate` fits their labels.
"""

from __future__ import annotations

import sys
from pathlib import Path

from capture.devices import simulated
from capture.simulation.offline import write_take
from capture.simulation.truth import ClickNoise
from hoi_core.sequence import CaptureHeader

_SEEDS = range(100, 123)
_FPS, _FIRST_FPS = 6, 10


def main(root: Path) -> None:
    """Write the takes into a dataset."""
    for seed in _SEEDS:
        config = simulated.Config(
            seed=seed,
            object=f"o{seed % 8 + 1:02d}",
            participant=f"p{seed}",
            fps=_FIRST_FPS if seed == _SEEDS[0] else _FPS,
            noise="cached",
            clicks=ClickNoise(every=1),
        )
        with simulated.open(config) as rig:
            write_take(rig, root, CaptureHeader(f"seq_{seed:03d}", config.participant))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
