"""How quickly synthetic images are made and written, and where the time goes."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType

from dataset_tools.synth import sets
from dataset_tools.synth.generator import Generator
from dataset_tools.synth.recipe import Recipe
from dataset_tools.synth.run import make_set
from dataset_tools.synth.shard_pack import Packer

PARTS = {
    "encode": ("shard_pack.py", "shard_layout.py", "codec.py", "_prediction.py"),
    "background": ("backdrops.py", "background.py"),
    "render": ("render.py", "_raster.py", "studio.py", "_kernels.py", "_shading.py", "light.py"),
}
"""Which files do what; all others make poses, meshes and labels."""
_PROBE = 64
_HALF = 0.5
_TICK_S = 0.001


@dataclass(frozen=True)
class Speed:
    """What making a set cost."""

    preset: str
    """Which images."""
    size_px: int
    """Their edge."""
    images: int
    """How many were made."""
    workers: int
    """Processes."""
    per_second: float
    """Images a second on this machine as it was, over the second half of the set."""
    cpu_ms: float
    """CPU time of one core for one image and its labels, made and packed, once all backgrounds are painted."""
    start_s: float
    """CPU time that each worker spent beyond that, most of it on painting backgrounds once."""
    shares: dict[str, float]
    """Of that time: `render`, `background`, `label`, `encode`."""

    def to_dict(self) -> dict[str, object]:
        """A row for machines."""
        return {"case": "synth", "engine": "cpu", **asdict(self)}

    def __str__(self) -> str:
        shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in self.shares.items())
        idle = 1e3 * self.workers / self.cpu_ms
        return (
            f"{self.size_px}x{self.size_px}: {self.per_second:.0f} images/s; {self.cpu_ms:.1f} ms CPU each, so "
            f"{idle:.0f} images/s where nothing else runs, after {self.start_s:.0f} s at the start; {shares}"
        )


def measure(recipe: Recipe, workers: int) -> Speed:
    """Make a set in a temporary folder and time it."""
    generator = Generator(recipe)
    marks: list[tuple[float, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        made = make_set(
            generator, Path(folder) / "set", workers, lambda done, _: marks.append((time.perf_counter(), done))
        )
    first = next(mark for mark in marks if mark[1] >= _HALF * recipe.count)
    last = marks[-1]
    rate = (last[1] - first[1]) / (last[0] - first[0]) if last[1] > first[1] else made.made / made.seconds
    spent = profile(generator)
    each_s = sum(spent.values())
    costs = made.costs
    start_s = (costs.make_s + costs.pack_s + costs.write_s - each_s * made.made) / workers
    shares = {name: seconds / each_s for name, seconds in spent.items()}
    return Speed(recipe.preset, recipe.size_px, made.made, workers, rate, 1e3 * each_s, max(start_s, 0.0), shares)


def profile(generator: Generator) -> dict[str, float]:
    """CPU time for one image, s: `render`, `background`, `label`, `encode`."""
    recipe = replace(generator.recipe, count=min(_PROBE, generator.recipe.count))
    head = replace(sets.SynthSet(recipe, {}, "").heads[0], images=recipe.count)
    for index in range(head.images):  # compiles, and paints the backgrounds of these images
        generator.make(index)
    spent = dict.fromkeys(("render", "background", "label", "encode"), 0.0)
    with _watched(spent):
        packer = Packer(head, "")
        for index in range(head.images):
            packer.add(generator.make(index))
        packer.close()
    return {name: seconds / head.images for name, seconds in spent.items()}


@contextmanager
def _watched(spent: dict[str, float]) -> Iterator[None]:
    """Add CPU time to the part of the program that is at work, looked at every millisecond."""
    last_s = time.process_time()

    def look(number: int, frame: FrameType | None) -> None:
        # A call into compiled code delays the look: all the time since the last one is its caller's.
        nonlocal last_s
        now_s = time.process_time()
        spent[_part_of(frame)] += now_s - last_s
        last_s = now_s

    before = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, _TICK_S, _TICK_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def _part_of(frame: FrameType | None) -> str:
    """The part that the innermost frame of a known file belongs to."""
    while frame is not None:
        name = Path(frame.f_code.co_filename).name
        for part, files in PARTS.items():
            if name in files:
                return part
        frame = frame.f_back
    return "label"
