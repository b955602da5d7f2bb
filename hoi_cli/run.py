"""Find, follow and read hands in a camera's images, a video or a recording, and show or write what was read.

A model of hands with objects (hfl, cvae) reads the object in each hand too.

Examples:
  hoi-run model.onnx --sequence seq_012 --out hands.mp4 --jsonl hands.jsonl
  hoi-run model.onnx --camera 0 --detector mediapipe
  hoi-run hfl.onnx --video film.mp4 --object o03 --object-box 300 200 380 300
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
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
    """Exported model of joints, or of hands with objects (.onnx, its sidecar beside it)."""
    camera: int | None = None
    """Number of a camera."""
    video: Path | None = None
    """Video file."""
    image: Path | None = None
    """Picture file."""
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
    object: str = ""
    """Of models of hands with objects: which object it is, by the name that its mesh or the model has; `none` for the
    hands alone. Default the recording's."""
    object_box: tuple[float, float, float, float] | None = None
    """Where the object is in the first image, x0 y0 x1 y1 px; without it a recording's labels or depth say so, else it
    is looked for around the hand."""
    fov: float = 60.0
    """What a camera, video or image sees across its width, degrees."""
    limit: int = 0
    """Stop after so many images; 0 for all."""
    threads: int = 0
    """Of each model; 0 for one per core."""
    engine: Literal["auto", "native", "onnxruntime"] = "auto"
    """What computes the model: `native` takes a sparse fp32 encoder on its sites alone, and of SPLite everything;
    `auto` is that where the engine is built and runs the file, else ONNX Runtime."""
    out: Path | None = None
    """Video to write (.mp4); of an image, a picture (.png, .jpg)."""
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
    from hoi_core.held import Clues
    from hoi_core.shots import until

    _check(config)
    with ExitStack() as stack:
        source = stack.enter_context(_source(config))
        film = source.film
        follower = _follower(config, source, stack)
        _check_angles(config, follower)
        stop = stack.enter_context(stop_on_signals())
        shows: list[Show] = stack.enter_context(open_shows(config, film, stop))
        tally = Tally()
        bar = stack.enter_context(log.progress())
        task = bar.add_task(film.name, total=config.limit or film.count or None)
        for shot in until(stop, film.shots, config.limit):
            hands = follower.step(shot.rgb, shot.camera, Clues(shot.objects, shot.depth))
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
        *tally.about_objects(),
        follower.computed_by,
        *[f"wrote {path}" for path in (config.out, config.jsonl, config.angles) if path],
    ]
    log.panel("hoi-run", lines, "" if config.out else "the same with --out hands.mp4")


def _check(config: Config) -> None:
    from hoi_core.errors import ConfigError

    given = [name for name in ("camera", "video", "image", "sequence") if getattr(config, name) not in (None, "")]
    if len(given) != 1:
        raise ConfigError(
            f"expected one of --camera, --video, --image and --sequence, got {', '.join(given) or 'none'}.",
            "Choose one.",
        )
    if config.hands < 1 or config.limit < 0 or config.threads < 0:
        raise ConfigError("expected --hands >= 1, --limit >= 0 and --threads >= 0.", "Correct the flag.")
    suffixes = (".mp4",) if config.image is None else (".png", ".jpg")
    if config.out is not None and config.out.suffix not in suffixes:
        raise ConfigError(f"expected a file that ends in {' or '.join(suffixes)}, got {config.out}.", "Correct --out.")
    if config.object_box is not None:
        x0, y0, x1, y1 = config.object_box
        if not (x1 > x0 and y1 > y0):
            raise ConfigError(
                f"expected --object-box x0 y0 x1 y1 with x0 < x1 and y0 < y1, got {config.object_box}.",
                "Give its left, upper, right and lower edge, px.",
            )


def _check_angles(config: Config, follower: Follower) -> None:
    """Refuse what --angles cannot come from, before any image is looked at."""
    from hoi_core.errors import ConfigError

    if config.angles is not None and not follower.in_space:
        raise ConfigError("--angles needs joints in space.", "Run a model of joints and mesh, such as splite.")
    if config.ik_net is not None and config.angles is None:
        raise ConfigError("--ik-net guesses poses for --angles.", "Add --angles FILE.")


@dataclass(frozen=True)
class _Source:
    """Where images come from, and what is known of them."""

    film: Film
    """The images."""
    simulated: bool = False
    """Whether the simulated rig made them."""
    objects: tuple[str, ...] = ()
    """Objects that they show, as the recording says."""
    meshes: Mapping[str, F64] = field(default_factory=dict)
    """Object -> vertices `(N, 3)` m that the dataset has."""


@contextmanager
def _source(config: Config) -> Iterator[_Source]:
    from hoi_cli._grasps import meshes_of
    from hoi_core.config import data_root
    from hoi_core.sequence import find_sequence, open_capture
    from hoi_core.shots import of_recording, open_image, open_video

    root = data_root(config.data)
    if config.sequence:
        folder = find_sequence(root, config.sequence)
        with open_capture(folder) as capture:
            labels, meshes = _objects(root, folder)
            names = capture.header.objects if labels is None or not labels.objects else tuple(labels.objects)
            meshes |= meshes_of(root, {*names, config.object} - {"", *meshes})
            film = of_recording(capture, config.view, labels, meshes)
            yield _Source(film, capture.header.rig.startswith("simulated"), names, meshes)
        return
    meshes = meshes_of(root, [config.object] if config.object else [])
    if config.image is not None:
        yield _Source(open_image(config.image, config.fov), meshes=meshes)
        return
    source = config.video if config.camera is None else config.camera
    if source is not None:
        with open_video(source, config.fov) as film:
            yield _Source(film, meshes=meshes)


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


def _follower(config: Config, source: _Source, stack: ExitStack) -> Follower:
    from hoi_cli import _grasps
    from hoi_core.errors import ConfigError
    from hoi_core.live import Follower, open_reader
    from hoi_core.live_grasp import is_of_grasps
    from hoi_core.track import Settings

    finder = _finder(config, source.film.name, stack, simulated=source.simulated)
    side = None if config.side == "auto" else config.side
    hands = config.hands if side is None else 1
    if is_of_grasps(config.model):
        grasps = _grasps.open_reader(config, source.meshes, source.objects)
        settings = Settings(hands=hands, least_confidence=grasps.least_confidence, side=side)
        return Follower(finder, grasps, settings, grasps.watch)
    if config.object or config.object_box is not None:
        raise ConfigError(f"{config.model} is a model of hands alone.", "Leave out --object and --object-box.")
    reader = open_reader(config.model, config.threads, config.engine)
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
