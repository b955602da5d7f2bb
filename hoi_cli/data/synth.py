"""Make synthetic images of hands with every label."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from hoi_cli._run import Common, with_data, write_json

if TYPE_CHECKING:
    from dataset_tools.synth import Generator, Recipe
    from dataset_tools.synth.run import Made


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Make synthetic images of hands: colour, depth, segmentation and all labels. Stopped, it goes on where it was."""

    preset: Literal["mano_render", "ang_render", "grid", "grasps"] = "mano_render"
    """`mano_render`: 895 poses with swapped fingers; `ang_render`: cameras all around; `grid`: 1520 poses x 216 views;
    `grasps`: hands that hold objects."""
    count: int = 0
    """How many images; 0 for the preset's full number."""
    size: int = 128
    """Edge of the images, px."""
    seed: int = 0
    """Other images with another seed."""
    second_view: bool = False
    """Show each moment from a second side too."""
    sides: tuple[Literal["right", "left"], ...] = ("right", "left")
    """Which hands."""
    backgrounds: Path | None = None
    """Folder of photographs to put behind the hands; else backgrounds are painted."""
    objects: Path | None = None
    """Folder of meshes in metres for `grasps`; else built-in objects are held."""
    occluders: float = 0.2
    """Share of the images in which something hides a part of the hand."""
    view_cone: float = 180.0
    """Largest angle from the back of the hand to a camera, degrees, of `mano_render` and `grasps`; 180 for any side."""
    out: Path | None = None
    """Folder of this set; default synth/<preset>_<size> in the dataset root."""
    workers: int = 0
    """Processes; 0 for one on each core. The images do not depend on it."""
    contact_sheet: Path | None = None
    """Only put forty of the images into this picture (.png), to look at."""
    dry_run: bool = False
    """Only say how many images it would be, and about how many bytes and minutes."""
    makes_root: ClassVar[bool] = True


def job(command: Config, root: Path) -> None:
    """Run `hoi-data synth`."""
    from dataset_tools.synth import Generator
    from dataset_tools.synth.run import make_set
    from hoi_core import log
    from hoi_core.errors import ConfigError

    if command.workers < 0:
        raise ConfigError(f"expected --workers of 0 or more, got {command.workers}.", "Correct the flag.")
    recipe = _recipe(command)
    out = command.out or root / "synth" / _name(recipe)
    generator = Generator(recipe)
    if command.contact_sheet is not None:
        _show(command, generator, command.contact_sheet)
    elif command.dry_run:
        _foretell(command, generator, out)
    else:
        workers = command.workers or _cores()
        with log.progress() as bar:
            task = bar.add_task("synthetic images", total=recipe.count)

            def tell(done: int, total: int) -> None:
                speed = bar.tasks[task].speed
                rate = f" ({speed:.0f} a second)" if speed else ""
                bar.update(task, completed=done, total=total, description=f"synthetic images{rate}")

            made = make_set(generator, out, workers, tell)
        _report(command, recipe, out, made, workers)


def _recipe(command: Config) -> Recipe:
    from dataset_tools.synth import Recipe

    folders = [folder and folder.resolve() for folder in (command.backgrounds, command.objects)]
    return Recipe(
        preset=command.preset,
        count=command.count,
        size_px=command.size,
        seed=command.seed,
        second_view=command.second_view,
        sides=command.sides,
        backgrounds=folders[0],
        objects=folders[1],
        occluders=command.occluders,
        view_cone_deg=command.view_cone,
    )


def _name(recipe: Recipe) -> str:
    """Of the set's folder, where the user names none."""
    parts = [recipe.preset, str(recipe.size_px), *(["pairs"] if recipe.second_view else [])]
    return "_".join([*parts, *([f"seed{recipe.seed}"] if recipe.seed else [])])


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


def _show(command: Config, generator: Generator, path: Path) -> None:
    import cv2

    from dataset_tools.synth import contact_sheet
    from hoi_core import log
    from hoi_core.errors import ConfigError, StorageError
    from hoi_core.whole_file import write_whole

    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ConfigError(f"expected a picture as --contact-sheet, got {path}.", "End its name with .png.")
    _, coded = cv2.imencode(path.suffix, contact_sheet(generator)[..., ::-1])
    try:
        write_whole(path, coded.tobytes())
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}.", "Name another --contact-sheet.") from error
    write_json(command.json, {"contact_sheet": path})
    lines = ["images of the set, evenly chosen; nothing else was written"]
    log.panel(f"contact sheet {path}", lines, "the same command without --contact-sheet")


def _foretell(command: Config, generator: Generator, out: Path) -> None:
    from dataset_tools.synth.run import estimate
    from hoi_core import log

    count, workers = generator.recipe.count, command.workers or _cores()
    found = estimate(generator)
    write_json(
        command.json,
        {"images": count, "bytes": found.bytes, "cpu_seconds": found.cpu_s, "workers": workers, "out": out},
    )
    lines = [
        f"{count:,} images of {generator.recipe.size_px}x{generator.recipe.size_px} px, about {_size(found.bytes)}",
        f"about {_span(found.cpu_s / workers)} with {workers} workers; nothing was written (--dry-run)",
    ]
    log.panel(f"hoi-data synth to {out}", lines, "the same command without --dry-run")


def _report(command: Config, recipe: Recipe, out: Path, made: Made, workers: int) -> None:
    from hoi_core import log

    costs = made.costs
    figures = {
        "out": out,
        "images": made.images,
        "made": made.made,
        "damaged_shards": made.damaged,
        "bytes": made.bytes,
        "seconds": made.seconds,
        "images_per_second": made.made / made.seconds,
        "workers": workers,
        "cpu_seconds": {"make": costs.make_s, "pack": costs.pack_s, "write": costs.write_s},
    }
    write_json(command.json, figures)
    views = " seen from two sides" if recipe.second_view else ""
    lines = [f"{made.images:,} images{views}, {_size(made.bytes)}: {out}"]
    if made.made:
        lines.append(f"{made.made:,} made now, {made.made / made.seconds:.0f} a second")
    else:
        lines.append("all of them were there already")
    if made.damaged:
        lines.append(f"{made.damaged} damaged files were made again")
    data = out.resolve().parent.parent
    if out.resolve().parent.name != "synth":
        lines.append("Readers look for sets in the folder `synth` of a dataset: link or move it there.")
        log.panel("hoi-data synth", lines, f"ln -s {shlex.quote(str(out.resolve()))} data/synth/")
        return
    same_root = command.out is None or data == Path("data").resolve()
    log.panel("hoi-data synth", lines, with_data("hoi-train --dataset synth", command.data if same_root else data))


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
