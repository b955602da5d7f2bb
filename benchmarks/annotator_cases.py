"""Takes of the simulated rig for the annotator's benchmark: written once into a lab folder, then used again.

`<lab>/<kind>/<case>/` is a dataset; sequence `seq_000` ... is the take of seed 0 ...: another person, object, play and
noise each. Kind `kind`: the hand is what the fit can be, calibration and depth have no systematic error, clicks err
independently. Kind `default`: everything as unkind as the simulated rig is. Keypoints are clicked on every frame.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from capture.devices import simulated
from capture.simulation.faults import Faults
from capture.simulation.noise import DepthNoise
from capture.simulation.offline import write_take
from capture.simulation.truth import ClickNoise
from capture.simulation.twin import choose_cast
from hoi_core.scene.motion import PERIOD_S
from hoi_core.scene.unkind import Unkindness
from hoi_core.sequence import (
    Capture,
    CaptureHeader,
    CaptureWriter,
    annotation_path,
    new_sequence_dir,
    open_annotation,
    open_capture,
    open_truth,
    sequence_dir,
    write_revision,
)
from hoi_core.sequence.layout import CAPTURE, TRUTH
from hoi_core.types import F64, Bool, HandKeypoints, ObjectPoints, Revision

Kind = Literal["kind", "default"]
KINDS: tuple[Kind, ...] = ("kind", "default")
FINGERTIPS = (4, 8, 12, 16, 20)
_WRIST = (0,)
_BURST = 15
"""Frames for which a joint stays missing, on average."""
_SHARE_MISSING, _SHARE_OUTLIERS, _OUTLIER_PX = 0.3, 0.1, 50.0
_FAST_M_S, _SKEW_M_S = 1.0, 0.5
_LONG_S = 30.0
PERSON_TAKES = 3
"""Takes of one person in the case `person`."""


@dataclass(frozen=True)
class Lab:
    """Where takes of one kind and seed are kept."""

    folder: Path
    """Holds all kinds and cases."""
    kind: Kind
    """Which truth."""
    seed: int
    """Which person, object, play and noise."""

    @property
    def sequence(self) -> str:
        """Name of the take."""
        return f"seq_{self.seed:03d}"

    def root(self, case: str) -> Path:
        """The dataset of a case."""
        return self.folder / self.kind / case

    def take(self, case: str) -> Path:
        """The folder of the take in a case."""
        return sequence_dir(self.root(case), self.sequence)


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    """Its dataset within the lab."""
    make: Callable[[Lab, str], None]
    """Writes the take of a lab into the dataset of a case."""
    what: str
    """In words."""
    terms: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Settings of the fit that are part of the case."""


def make(lab: Lab, case: Case) -> Path:
    """Write a take where it is missing; returns its dataset."""
    root = lab.root(case.name)
    if not annotation_path(root, lab.sequence).exists():
        # What was begun and not finished is of no use.
        shutil.rmtree(lab.take(case.name), ignore_errors=True)
        case.make(lab, case.name)
    return root


def rig_config(kind: Kind, seed: int) -> simulated.Config:
    """The rig of a base take: one of eight people with one of eight objects."""
    config = simulated.Config(
        seed=seed,
        object=f"o{seed % 8 + 1:02d}",
        participant=f"p{seed % 8 + 1:02d}",
        clicks=ClickNoise(every=1),
    )
    if kind == "default":
        return config
    return replace(
        config,
        calibration_error_px=0.0,
        calibration_error_m=0.0,
        depth=DepthNoise(bias_m=0.0, bias_wave_m=0.0),
        unkind=Unkindness(field_m=0.0, bone_share=0.0, tip_m=0.0),
        clicks=ClickNoise(correlation=0.0, occluded_factor=1.0, every=1),
    )


def _record(lab: Lab, case: str, config: simulated.Config, *, measured: bool = False) -> None:
    """Write a take; black images where the clocks are not measured from them."""
    rig = simulated.open(config)
    try:
        header = CaptureHeader(lab.sequence, config.participant)
        write_take(rig, lab.root(case), header, colour=measured, measured=measured)
    finally:
        rig.stop()


def _base(lab: Lab, case: str) -> None:
    _record(lab, case, rig_config(lab.kind, lab.seed))


def _paced(lab: Lab, joints: tuple[int, ...], peak_m_s: float) -> simulated.Config:
    """The play of the base take so fast that the fastest of some joints reaches a speed, and as long as it lasts."""
    make(lab, CASES["base"])
    with open_truth(lab.take("base")) as truth:
        revision = truth.load()
    hand = next(iter(revision.hands.values()))
    t_s = (revision.t_ns - revision.t_ns[0]) * 1e-9
    speed = np.linalg.norm(np.gradient(hand.joints_m[:, list(joints)], t_s, axis=0), axis=-1)
    pace = peak_m_s / float(speed.max())
    return replace(rig_config(lab.kind, lab.seed), pace=pace, seconds=PERIOD_S / pace)


def _fast(lab: Lab, case: str) -> None:
    _record(lab, case, _paced(lab, FINGERTIPS, _FAST_M_S))


def _skew(lab: Lab, case: str) -> None:
    config = _paced(lab, _WRIST, _SKEW_M_S)
    # Cameras that deliver differently late: arrival times alone would be off by the difference.
    faults = Faults(latency_ms={"left": 4.0, "right": 9.0, "edge128": 6.0}, delay_jitter_ms=1.0)
    _record(lab, case, replace(config, skew_ms=16.0, drift_ppm=50.0, faults=faults), measured=True)


def _long(lab: Lab, case: str) -> None:
    _record(lab, case, replace(rig_config(lab.kind, lab.seed), seconds=_LONG_S))


def _both_hands(lab: Lab, case: str) -> None:
    _record(lab, case, replace(rig_config(lab.kind, lab.seed), hands="both"))


def _person(lab: Lab, case: str) -> None:
    """Three takes in a row are of one person, with other objects and plays."""
    _record(lab, case, _person_config(lab))


def _person_config(lab: Lab) -> simulated.Config:
    config = rig_config(lab.kind, 100 + lab.seed)
    return replace(config, participant=f"p{lab.seed // PERSON_TAKES + 1:02d}")


def rest_error_mm(lab: Lab, betas: F64) -> float:
    """Mean distance of the vertices of a fitted hand in rest pose from the true one of a `person` take, in place.

    Args:
        lab: the take.
        betas: `(10,)` as fitted.
    """
    config = _person_config(lab)
    cast = choose_cast(config.seed, config.participant, config.object, config.side, config.unkind)
    none = (np.zeros((1, 3)), np.zeros((1, 45)))
    fitted = cast.fitted(*none, betas).vertices_m[0]
    true = cast.play.layer(*none, cast.play.betas).vertices_m[0]
    return 1e3 * float(np.linalg.norm(fitted - fitted.mean(0) - true + true.mean(0), axis=-1).mean())


def _untimed(lab: Lab, case: str) -> None:
    """The skewed take as a tool without a time model has it: frames that are paired count as simultaneous."""
    make(lab, CASES["skew"])
    with open_capture(lab.take("skew")) as source:
        _rewrite(source, lab, case, tuple(source.streams), timed=False)
    _relabel(lab, case, "skew", lambda revision: revision)


def _one_view(lab: Lab, case: str) -> None:
    make(lab, CASES["base"])
    with open_capture(lab.take("base")) as source:
        _rewrite(source, lab, case, ("left/color", "left/depth"))
    _relabel(lab, case, "base", _left_only)


def _without_depth(lab: Lab, case: str) -> None:
    make(lab, CASES["base"])
    with open_capture(lab.take("base")) as source:
        _rewrite(source, lab, case, ("left/color", "right/color"))
    _relabel(lab, case, "base", lambda revision: revision)


def _missing(lab: Lab, case: str) -> None:
    rng = np.random.default_rng([lab.seed, 30])
    _share_images(lab, case)

    def gone(revision: Revision) -> Revision:
        view = ("left", "right")[lab.seed % 2]
        return _changed(revision, lambda name, points: _lost(points, rng) if name == view else points)

    _relabel(lab, case, "base", gone)


def _outliers(lab: Lab, case: str) -> None:
    rng = np.random.default_rng([lab.seed, 10])
    _share_images(lab, case)
    _relabel(lab, case, "base", lambda revision: _changed(revision, lambda _, points: _displaced(points, rng)))


def _left_only(revision: Revision) -> Revision:
    points = {
        name: ObjectPoints(
            p.moment[(left := np.array([view == "left" for view in p.view], bool))],
            tuple(view for view in p.view if view == "left"),
            p.point_px[left],
            p.point_m[left],
        )
        for name, p in revision.object_points.items()
    }
    hands = {side: HandKeypoints({"left": found.by_view["left"]}) for side, found in revision.keypoints.items()}
    index = {"left": revision.frame_index["left"]}
    return replace(revision, keypoints=hands, object_points=points, frame_index=index)


def _changed(revision: Revision, change: Callable[[str, F64], F64]) -> Revision:
    """A revision with other keypoints. `change(view, (M, 21, 3)) -> (M, 21, 3)`."""
    hands = {
        side: replace(found, by_view={view: change(view, points.copy()) for view, points in found.by_view.items()})
        for side, found in revision.keypoints.items()
    }
    return replace(revision, keypoints=hands)


def _lost(points: F64, rng: np.random.Generator) -> F64:
    """Each joint comes and goes for half a second on average, and is missing in three tenths of the moments."""
    points[_bursts(points.shape[:2], rng)] = np.nan
    return points


def _bursts(shape: tuple[int, ...], rng: np.random.Generator) -> Bool:
    """A chain of two states along the first axis with the wanted share and length."""
    out = np.zeros(shape, bool)
    now = rng.random(shape[1:]) < _SHARE_MISSING
    leave = 1.0 / _BURST
    enter = leave * _SHARE_MISSING / (1.0 - _SHARE_MISSING)
    for m in range(shape[0]):
        out[m] = now
        u = rng.random(shape[1:])
        now = np.where(now, u > leave, u < enter)
    return out


def _displaced(points: F64, rng: np.random.Generator) -> F64:
    """A tenth of the keypoints lie somewhere else, and say nothing of it."""
    angle = rng.uniform(0.0, 2.0 * np.pi, points.shape[:2])
    off = _OUTLIER_PX * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    points[..., :2] += off * (rng.random(points.shape[:2]) < _SHARE_OUTLIERS)[..., None]
    return points


def _share_images(lab: Lab, case: str) -> None:
    """A take with the images and the truth of the base take, which lie on the disk once."""
    make(lab, CASES["base"])
    _copy_tables(lab, case, "base")
    folder = new_sequence_dir(lab.root(case), lab.sequence)
    for name in (CAPTURE, TRUTH):
        os.link(lab.take("base") / name, folder / name)


def _rewrite(source: Capture, lab: Lab, case: str, streams: tuple[str, ...], *, timed: bool = True) -> None:
    """Some streams of a recording as one of its own, with the truth beside it."""
    origin = source.path.parent
    _copy_tables(lab, case, origin.parents[1].name)
    folder = new_sequence_dir(lab.root(case), lab.sequence)
    infos = [source.streams[name].info for name in streams]
    with CaptureWriter.create(folder / CAPTURE, source.header, infos) as writer:
        for name in streams:
            for i in range(len(source.streams[name])):
                writer.append(source.streams[name].frame(i))
            writer.set_clock(name, source.clocks[name])
        skew_ns = {name: source.sync.skew_ns[name] * timed for name in streams}
        writer.extend_sync(source.sync.t_ns, {name: source.sync.index[name] for name in streams}, skew_ns)
        writer.extend_drops([drop for drop in source.drops if drop.stream in streams])
    os.link(origin / TRUTH, folder / TRUTH)


def _copy_tables(lab: Lab, case: str, origin: str) -> None:
    """The objects and the tables of another case's dataset."""
    source, target = lab.root(origin), lab.root(case)
    shutil.copytree(source / "objects", target / "objects", dirs_exist_ok=True)
    for path in (*source.glob("*.csv"), source / "dataset.json"):
        shutil.copy2(path, target / path.name)


def _relabel(lab: Lab, case: str, origin: str, change: Callable[[Revision], Revision]) -> None:
    """The clicks of another case's take, changed, as revision r000."""
    with open_annotation(lab.take(origin)) as annotation:
        revision, binding = annotation.load("r000"), annotation.binding
    with open_capture(lab.take(case)) as capture:
        bound = replace(binding, capture_hash=capture.content_hash())
    write_revision(lab.take(case), change(revision), binding=bound)


_UNTIMED = {"shape_prior": {"sigma_offset_s": 1e-6}}
CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case("base", _base, "two views + depth"),
        Case("missing30", _missing, "30 % of joints missing in one view"),
        Case("outliers10", _outliers, "10 % of keypoints off by 50 px"),
        Case("one_view", _one_view, "one view + depth"),
        Case("skew", _skew, "16 ms skew, 50 ppm, 0.5 m/s"),
        Case("skew_untimed", _untimed, "the same without a time model", _UNTIMED),
        Case("fast", _fast, "fingertips at 1 m/s"),
        Case("keypoints_only", _without_depth, "keypoints only, two views"),
        Case("both_hands", _both_hands, "two hands, one of them beside"),
        Case("person", _person, "three takes of one person"),
        Case("long", _long, "30 s, for speed"),
    )
}
