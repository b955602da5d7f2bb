"""Find, follow and read hands in a camera's images, a video or a recording, and show or write what was read.

Examples:
  hoi-run model.onnx --sequence seq_012 --out hands.mp4 --jsonl hands.jsonl
  hoi-run model.onnx --camera 0 --detector mediapipe
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from hoi_cli._run import Common, run, write_json

if TYPE_CHECKING:
    from hoi_cli._show import Show
    from hoi_core.live import Finder, Follower
    from hoi_core.shots import Film
    from hoi_core.types import F64, Revision

_SHIPPED, _MEDIAPIPE = "shipped", "mediapipe"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Options of hoi-run."""

    model: tyro.conf.Positional[Path]
    """Exported model of joints (.onnx, its sidecar beside it)."""
    camera: int | None = None
    """Number of a camera."""
    video: Path | None = None
    """Video file."""
    sequence: str = ""
    """Recording of the dataset."""
    view: str = ""
    """View of the recording; default the first."""
    detector: str = ""
    """What finds hands: `shipped`, `mediapipe`, or an exported detector. Default `shipped` for recordings of the
    simulated rig; elsewhere `mediapipe` where it is installed, as the shipped one has seen rendered hands only."""
    hands: int = 2
    """Most hands at once."""
    side: Literal["auto", "right", "left"] = "auto"
    """Which hand there is, where you know it: then there is one, and it is read as that. `auto` finds out."""
    fov: float = 60.0
    """What a camera or video sees across its width, degrees."""
    limit: int = 0
    """Stop after so many images; 0 for all."""
    threads: int = 0
    """Of each model; 0 for one per core."""
    engine: Literal["auto", "native", "onnxruntime"] = "auto"
    """What computes the model: `native` takes a sparse fp32 encoder on its sites alone, and of SPLite everything;
    `auto` is that where the engine is built and runs the file, else ONNX Runtime."""
    out: Path | None = None
    """Video to write (.mp4)."""
    jsonl: Path | None = None
    """File for one line of JSON per image."""
    angles: Path | None = None
    """File for one line of JSON per hand: 23 named joint angles inside their limits, rad, for a robot's hand. Its first
    line names the joints and their limits. For models of joints in space."""
    ik_net: Path | None = None
    """With --angles: exported IK network that guesses the pose of a hand that was not in the image before."""
    window: bool = True
    """Show the images where there is a display."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `hoi-run`."""
    return run(Config, job, argv, prog="hoi-run", doc=__doc__)


def job(config: Config) -> None:
    """Follow hands until the images end or somebody stops it."""
    from capture.stopping import stop_on_signals
    from hoi_cli._show import Tally, open_shows
    from hoi_core import log
    from hoi_core.shots import until

    _check(config)
    with ExitStack() as stack:
        film, simulated = stack.enter_context(_film(config))
        follower = _follower(config, film.name, stack, simulated=simulated)
        _check_angles(config, follower)
        stop = stack.enter_context(stop_on_signals())
        shows: list[Show] = stack.enter_context(open_shows(config, film, stop))
        tally = Tally()
        bar = stack.enter_context(log.progress())
        task = bar.add_task(film.name, total=config.limit or film.count or None)
        for shot in until(stop, film.shots, config.limit):
            hands = follower.step(shot.rgb, shot.camera)
            tally.add(hands)
            for show in shows:
                show.add(shot, hands, tally.per_second)
            bar.update(task, advance=1, description=f"{film.name} ({tally.per_second:.0f} a second)")
    figures = tally.figures() | {
        "source": film.name,
        "stopped": stop.is_set(),
        "computed_by": follower.computed_by,
    }
    write_json(config.json, figures)
    lines = [
        f"{tally.images} images of {film.name}, {tally.per_second:.0f} a second with everything",
        f"hands in {tally.share:.0%} of them, {tally.identities} followed in all",
        follower.computed_by,
        *[f"wrote {path}" for path in (config.out, config.jsonl, config.angles) if path],
    ]
    log.panel("hoi-run", lines, "" if config.out else "the same with --out hands.mp4")


def _check(config: Config) -> None:
    from hoi_core.errors import ConfigError

    given = [name for name in ("camera", "video", "sequence") if getattr(config, name) not in (None, "")]
    if len(given) != 1:
        raise ConfigError(
            f"expected one of --camera, --video and --sequence, got {', '.join(given) or 'none'}.", "Choose one."
        )
    if config.hands < 1 or config.limit < 0 or config.threads < 0:
        raise ConfigError("expected --hands >= 1, --limit >= 0 and --threads >= 0.", "Correct the flag.")
    if config.out is not None and config.out.suffix != ".mp4":
        raise ConfigError(f"expected a video that ends in .mp4, got {config.out}.", "Correct --out.")


def _check_angles(config: Config, follower: Follower) -> None:
    """Refuse what --angles cannot come from, before any image is looked at."""
    from hoi_core.errors import ConfigError

    if config.angles is not None and not follower.in_space:
        raise ConfigError("--angles needs joints in space.", "Run a model of joints and mesh, such as splite.")
    if config.ik_net is not None and config.angles is None:
        raise ConfigError("--ik-net guesses poses for --angles.", "Add --angles FILE.")


@contextmanager
def _film(config: Config) -> Iterator[tuple[Film, bool]]:
    """The images, and whether the simulated rig made them."""
    from hoi_core.config import data_root
    from hoi_core.sequence import find_sequence, open_capture
    from hoi_core.shots import of_recording, open_video

    if config.sequence:
        root = data_root(config.data)
        folder = find_sequence(root, config.sequence)
        with open_capture(folder) as capture:
            film = of_recording(capture, config.view, *_objects(root, folder))
            yield film, capture.header.rig.startswith("simulated")
        return
    source = config.video if config.camera is None else config.camera
    if source is not None:
        with open_video(source, config.fov) as film:
            yield film, False


def _objects(root: Path, folder: Path) -> tuple[Revision | None, dict[str, F64]]:
    """The labels of a recording, and the meshes of the objects whose poses they hold."""
    from annotate.objects.mesh import mesh_path
    from hoi_core import log
    from hoi_core.errors import AssetError
    from hoi_core.mesh_file import read_mesh
    from hoi_core.sequence import open_annotation
    from hoi_core.sequence.layout import ANNOTATION

    if not (folder / ANNOTATION).exists():
        return None, {}
    with open_annotation(folder) as annotation:
        labels = annotation.load()
    meshes = {}
    for name in labels.objects:
        try:
            meshes[name] = read_mesh(mesh_path(root, name)).vertices
        except AssetError as error:
            log.console_err().print(f"no box of {name}: {error}")
    return labels, meshes


def _follower(config: Config, source: str, stack: ExitStack, *, simulated: bool) -> Follower:
    from hoi_core.live import Follower, open_reader
    from hoi_core.track import Settings

    finder = _finder(config, source, stack, simulated=simulated)
    reader = open_reader(config.model, config.threads, config.engine)
    side = None if config.side == "auto" else config.side
    hands = config.hands if side is None else 1
    return Follower(finder, reader, Settings(hands=hands, least_confidence=reader.least_confidence, side=side))


def _finder(config: Config, source: str, stack: ExitStack, *, simulated: bool) -> Finder:
    """The detector that was asked for, or the one that fits.

    Raises:
        ConfigError: real images, and neither a detector named nor MediaPipe there.
        AssetError: a file is missing or damaged.
    """
    from importlib.util import find_spec

    from hoi_core import log, shipped
    from hoi_core.errors import ConfigError
    from hoi_core.live import open_finder

    chosen = config.detector or (_SHIPPED if simulated else _MEDIAPIPE if find_spec("mediapipe") else "")
    if not chosen:
        raise ConfigError(
            f"{source} shows real hands, and the detector that comes with this project has seen rendered ones only.",
            "pip install 'hoi-toolkit[mediapipe]', name an exported --detector, or try --detector shipped.",
        )
    if chosen == _MEDIAPIPE:
        from annotate.keypoints.mediapipe import HandsInImages

        return stack.enter_context(HandsInImages(hands=config.hands))
    if chosen == _SHIPPED and not simulated:
        log.console_err().print("the shipped detector has seen rendered hands only: expect it to miss real ones")
    return open_finder(shipped.path(shipped.HAND_DETECTOR) if chosen == _SHIPPED else Path(chosen), config.threads)
