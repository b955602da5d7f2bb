"""Annotate a whole recorded sequence without a person: evidence, hands, what they share, labels, a new revision."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

import hoi_core
from annotate import grasps, labels
from annotate.carried import keep_settled, settled, with_clicks, with_notes
from annotate.depth_frames import depth_kept
from annotate.document.lock import WriteLock
from annotate.hand_fit import (
    FirstGuess,
    HandConfig,
    HandFit,
    first_fit,
    first_guess,
    fit_again,
    joint_covariance,
    noise_levels,
)
from annotate.keypoints import Keypoints
from annotate.objects import ObjectFit, Placed, Scene, fit_placed, place_objects
from annotate.objects.track import Start
from annotate.outcome import Report
from annotate.participant import own_share, remember_shape, shape_prior
from hoi_core import plugins
from hoi_core.config import from_dict
from hoi_core.conventions import Side
from hoi_core.errors import AssetError, FitError
from hoi_core.grasp_model import GraspModel
from hoi_core.mano import ManoLayer
from hoi_core.sequence import (
    Binding,
    Capture,
    find_sequence,
    open_annotation,
    open_capture,
    write_revision,
)
from hoi_core.sequence.layout import ANNOTATION
from hoi_core.types import F64, PROBLEMS, STATUSES, U8, HandTrack, Revision

log = logging.getLogger(__name__)
Progress = Callable[[float, str], None]
"""Called with (share done, what is being done)."""
AUTHOR = "auto"
_SETTINGS = re.compile(r"settings ([0-9a-f]{12})")


@dataclass(frozen=True)
class Config:
    """How a sequence is annotated."""

    side: Side | None = None
    """Fit this hand only, if it has keypoints; None for every hand that has."""
    keypoints: str = "stored"
    """Keypoint provider."""
    provider: Mapping[str, str] = field(default_factory=dict)
    """Field -> value of the provider's `Config`, where it should not have its default."""
    hand: HandConfig = field(default_factory=HandConfig)
    """How a hand is fitted."""
    grasps: str = ""
    """File of a network of hands with objects: where tracks of objects begin that nobody clicked, and joints of hands
    that the provider does not know; empty for none."""

    def digest(self) -> str:
        """Twelve digits that differ where the settings do."""
        # What was fitted before there was a choice is finished.
        told = {name: value for name, value in asdict(self).items() if name != "grasps" or value}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


def annotate(
    root: Path,
    sequence: str,
    config: Config | None = None,
    on_progress: Progress | None = None,
    *,
    write: bool = True,
) -> Report:
    """Fit what a sequence shows and add the result to its labels as a new revision.

    Args:
        root: the dataset.
        sequence: its sequence.
        config: how.
        on_progress: told how far it is.
        write: False fits without adding a revision.

    Raises:
        SequenceError: unknown sequence, or a damaged file; labels that exist stay as they are.
        FitError: no keypoints to start from.
        ConfigError: an unknown provider, term or setting.
    """
    config = config or Config()
    folder = find_sequence(root, sequence)
    began = time.perf_counter()
    # A window that edits these labels would not see what is added to them: one of the two at a time.
    with WriteLock(folder, AUTHOR) if write else nullcontext(), open_capture(folder) as capture:
        check_labels(folder, capture)
        before = _current(folder)
        found, seen = _keypoints(folder, capture, config)
        keypoints = with_clicks(found, before)
        fitted = fit_revision(folder, capture, keypoints, config, on_progress, before)
        seconds = time.perf_counter() - began
        name = write_revision(folder, fitted.revision, binding=bind(capture, fitted.layer)) if write else ""
        if write:
            _remember_shapes(root, capture, fitted.fits)
    return _report(name, replace(fitted, guesses={**seen, **fitted.guesses}), seconds)


def _keypoints(folder: Path, capture: Capture, config: Config) -> tuple[Keypoints, dict[str, str]]:
    """Those of the provider; where it has none, those that the network of hands with objects sees, and that it did.

    Raises:
        FitError: nobody has any.
        AssetError: the provider needs a model, and no network was named that could do without.
    """
    try:
        return find_keypoints(folder, capture, config.keypoints, config.provider), {}
    except (FitError, AssetError) as error:
        found = grasps.hand_keypoints(Path(config.grasps), folder, capture) if config.grasps else None
        if found is None:
            raise
        log.warning("%s The network of hands with objects says where it sees them.", error.message)
        return found, {"hand": "joints as the network of hands with objects sees them"}


def finished(folder: Path, config: Config) -> str:
    """The current revision, if it is what `annotate` would make again with this version and settings; else empty."""
    if not (folder / ANNOTATION).exists():
        return ""
    with open_annotation(folder) as annotation:
        about = annotation.about(annotation.current)
        settings = _SETTINGS.search(about["comment"])
        done = (
            about["author"] == AUTHOR
            and about["software"] == f"hoi-toolkit {hoi_core.__version__}"
            and settings is not None
            and settings[1] == config.digest()
        )
        return annotation.current if done else ""


def _current(folder: Path) -> Revision | None:
    """The labels that the sequence has."""
    if not (folder / ANNOTATION).exists():
        return None
    with open_annotation(folder) as annotation:
        return annotation.load()


def _report(name: str, fitted: Fitted, seconds: float) -> Report:
    revision = fitted.revision
    codes = np.concatenate(list(revision.problems.values()))
    return Report(
        revision=name,
        frames=len(revision.t_ns),
        valid_share=float(np.mean([hand.valid.mean() for hand in revision.hands.values()])),
        reprojection_px=labels.median(revision.residuals["reprojection_px"]),
        depth_mm=1e3 * labels.median(revision.residuals["depth_m"]),
        seconds=seconds,
        iterations=fitted.iterations,
        hands=tuple(revision.hands),
        objects={name: float(track.valid.mean()) for name, track in revision.objects.items()},
        objects_failed=fitted.objects_failed,
        problems={PROBLEMS[code]: int((codes == code).sum()) for code in np.unique(codes) if code},
        guesses=fitted.guesses,
    )


def bind(capture: Capture, layer: ManoLayer) -> Binding:
    """What the labels of a recording hold for."""
    model = layer.model
    return Binding(capture.content_hash(), mano_source=model.source, shapedirs_fixed=model.shapedirs_fixed)


@dataclass(frozen=True)
class Fitted:
    """Labels that no file holds yet."""

    layer: ManoLayer
    """The model of the first hand that was fitted."""
    revision: Revision
    """The labels."""
    iterations: int
    """Steps of the fit over the sequence, of all hands and objects."""
    fits: Mapping[Side, HandFit]
    """The hands' fits."""
    objects_failed: str = ""
    """Why no object could be fitted, where one was clicked."""
    guesses: Mapping[str, str] = field(default_factory=dict)
    """As of `Report`."""


def fit_revision(
    folder: Path,
    capture: Capture,
    keypoints: Keypoints,
    config: Config,
    on_progress: Progress | None = None,
    before: Revision | None = None,
) -> Fitted:
    """Fit without writing anything.

    Args:
        folder: of the sequence; its labels say which hand model they are bound to.
        capture: the open recording.
        keypoints: 2D joints at its moments.
        config: how.
        on_progress: told how far it is; may raise to stop.
        before: the labels so far, of the same moments: what a person settled or noted in them stays as it is.

    Raises:
        FitError: no keypoints to start from.
        AssetError: the labels were made with another hand model.
    """
    tell = on_progress or _quiet
    tell(0.0, "reading keypoints")
    earlier: Mapping[Side, HandTrack] = before.hands if before is not None else {}
    model = grasps.open_model(Path(config.grasps)) if config.grasps else None
    with depth_kept(capture), ThreadPoolExecutor(1, thread_name_prefix="beside") as beside:
        guesses, failures = _first_guesses(folder, capture, keypoints, config, part(tell, 0.0, 0.12), earlier)
        # Not before: both would wait for Python's lock more than they work.
        placed = beside.submit(_placed_objects, folder.parents[1], capture, before)
        fits = _first_fits(capture, guesses, config, part(tell, 0.12, 0.6))
        # Objects are followed from moment to moment on one core; the other one finds the hands' noise levels meanwhile.
        levels = beside.submit(lambda: {side: noise_levels(fit) for side, fit in fits.items()})
        starts, told = _guessed(folder.parents[1], capture, model, keypoints, placed.result())
        objects, why = _object_fits(capture, starts, before, fits, part(tell, 0.6, 0.8))
        fits = levels.result()
    fits = _joint_fits(fits, objects, part(tell, 0.8, 0.95))
    tell(0.95, "uncertainty")
    revision = _with_objects(_revision(capture, keypoints, fits, failures, before, config), objects, before)
    tell(1.0, "done")
    steps = sum(fit.iterations for fit in fits.values()) + sum(fit.iterations for fit in objects.values())
    return Fitted(next(iter(fits.values())).layer, with_notes(revision, before), steps, fits, why, told)


def part(tell: Progress, low: float, high: float) -> Progress:
    """Progress within a part of the whole."""
    return lambda share, what: tell(low + (high - low) * share, what)


def _first_guesses(
    folder: Path,
    capture: Capture,
    keypoints: Keypoints,
    config: Config,
    tell: Progress,
    before: Mapping[Side, HandTrack],
) -> tuple[dict[Side, FirstGuess], dict[Side, FitError]]:
    """Where the fit of each hand starts; one that cannot start does not stop the other."""
    guesses: dict[Side, FirstGuess] = {}
    failures: dict[Side, FitError] = {}
    wanted = {side: points for side, points in keypoints.hands.items() if config.side in (None, side)}
    for side, points in (wanted or keypoints.hands).items():
        tell(0.0, f"first guess of the {side} hand")
        layer = hand_model(folder, side)
        check_labels(folder, capture, layer)
        shape = _known_shape(folder.parents[1], capture, layer)
        try:
            guesses[side] = first_guess(capture, points, layer, config.hand, before.get(side), shape)
        except FitError as error:
            failures[side] = error
    if not guesses:
        raise next(iter(failures.values()))
    return guesses, failures


def _first_fits(
    capture: Capture, guesses: Mapping[Side, FirstGuess], config: Config, tell: Progress
) -> dict[Side, HandFit]:
    """Each hand as if it were alone."""
    count = len(guesses)
    parts = {side: part(tell, k / count, (k + 1) / count) for k, side in enumerate(guesses)}
    return {side: first_fit(capture, guess, config.hand, parts[side]) for side, guess in guesses.items()}


def _known_shape(root: Path, capture: Capture, layer: ManoLayer) -> tuple[F64, F64] | None:
    """What other sequences of the person say of the shape of the hand."""
    person = capture.header.participant
    if not person:
        return None
    return shape_prior(root, person, layer.side, layer.model.source, without=capture.content_hash())


def _remember_shapes(root: Path, capture: Capture, fits: Mapping[Side, HandFit]) -> None:
    """Enter what this sequence says of the person's hands, for their other sequences."""
    header = capture.header
    for side, fit in fits.items() if header.participant else ():
        share = own_share(fit.result, fit.terms["shape_prior"], capture.content_hash(), header.sequence)
        remember_shape(root, header.participant, side, fit.layer.model.source, share)


def _placed_objects(root: Path, capture: Capture, before: Revision | None) -> Placed:
    """Where every object starts that a person clicked or placed."""
    return {} if before is None else place_objects(root, capture, before.object_points, before.objects)


def _guessed(
    root: Path, capture: Capture, model: GraspModel | None, keypoints: Keypoints, placed: Placed
) -> tuple[Placed, Mapping[str, str]]:
    """The same, and what the network sees of the recording's other objects; what a person placed stays."""
    if model is None:
        return placed, {}
    held = {name: "placed by a person, whose word counts" for name, start in placed.items() if isinstance(start, Start)}
    others = [name for name in capture.header.objects if name not in held]
    starts, told = grasps.first_poses(root, capture, model, keypoints, others)
    for name, words in told.items():
        log.info("%s: %s", name, words)
    return {**placed, **starts}, {**held, **told}


def _object_fits(
    capture: Capture, placed: Placed, before: Revision | None, fits: Mapping[Side, HandFit], tell: Progress
) -> tuple[dict[str, ObjectFit], str]:
    """Every object that was placed, and why none could be fitted; the hands do without."""
    hands = {side: fit.hands for side, fit in fits.items()}
    earlier = before.objects if before is not None else {}
    try:
        return fit_placed(Scene(capture, hands, _corrections(fits)), placed, earlier, tell), ""
    except (FitError, AssetError) as error:
        log.warning("%s", error)
        return {}, str(error)


def _joint_fits(fits: dict[Side, HandFit], objects: Mapping[str, ObjectFit], tell: Progress) -> dict[Side, HandFit]:
    """Fit hands again, with noise levels as they show and beside what else is there."""
    solids = {name: fit.solid for name, fit in objects.items()}
    again: dict[Side, HandFit] = {}
    for k, (side, fit) in enumerate(fits.items()):
        others = [other.hands for name, other in fits.items() if name != side]
        again[side] = fit_again(fit, others, solids, part(tell, k / len(fits), (k + 1) / len(fits)))
    return again


def _revision(
    capture: Capture,
    keypoints: Keypoints,
    fits: Mapping[Side, HandFit],
    failures: Mapping[Side, FitError],
    before: Revision | None,
    config: Config,
) -> Revision:
    moments = len(capture.sync)
    found = {
        side: labels.hand_labels(fit.result, fit.evidence, joint_covariance(fit), fit.problems)
        for side, fit in fits.items()
    }
    earlier: Mapping[Side, HandTrack] = before.hands if before is not None else {}
    problems: dict[Side, U8] = {side: np.full(moments, PROBLEMS.index("no start"), np.uint8) for side in failures}
    for side, hand in found.items():
        problems[side] = np.where(settled(earlier.get(side), moments), 0, hand.problems).astype(np.uint8)
    hands = {side: keep_settled(hand.track, earlier.get(side)) for side, hand in found.items()}
    hands |= {side: keep_settled(_empty(moments), earlier.get(side)) for side in failures}
    hands |= {side: track for side, track in earlier.items() if side not in hands}
    terms = ", ".join(next(iter(fits.values())).terms)
    steps = sum(fit.iterations for fit in fits.values())
    said = f"fitted the {' and '.join(fits)} hand with {terms} in {steps} iterations; settings {config.digest()}"
    return Revision(
        t_ns=capture.sync.t_ns,
        hands=hands,
        objects={},
        keypoints=dict(keypoints.hands),
        frame_index={view: capture.sync.index[f"{view}/color"] for view in capture.views},
        residuals=_residuals({side: hand.residuals for side, hand in found.items()}),
        author=AUTHOR,
        parent=keypoints.parent,
        comment=said,
        keypoint_source=keypoints.source,
        problems=problems,
        corrections=_corrections(fits),
    )


def _with_objects(revision: Revision, objects: Mapping[str, ObjectFit], before: Revision | None) -> Revision:
    """The revision with the objects that were fitted; what they were not fitted anew stays as it was."""
    tracks = dict(before.objects) if before is not None else {}
    tracks |= {name: fit.track for name, fit in objects.items()}
    depth_m = {f"{name}_depth_m": fit.residual_m for name, fit in objects.items()}
    return replace(revision, objects=tracks, residuals={**revision.residuals, **depth_m})


def _empty(moments: int) -> HandTrack:
    """A hand without any label."""
    nan = np.nan
    return HandTrack(
        orient=np.full((moments, 3), nan),
        pose=np.full((moments, 45), nan),
        betas=np.zeros(10),
        trans_m=np.full((moments, 3), nan),
        joints_m=np.full((moments, 21, 3), nan),
        joint_cov_m2=np.full((moments, 21, 3, 3), nan),
        valid=np.zeros(moments, dtype=bool),
        status=np.full(moments, STATUSES.index("none"), np.uint8),
        joint_source=np.zeros((moments, 21), np.uint8),
    )


def _residuals(by_side: Mapping[Side, Mapping[str, F64]]) -> dict[str, F64]:
    """The worse hand's residuals at each moment, and each hand's own where there are two."""
    out: dict[str, F64] = {}
    for name in next(iter(by_side.values())):
        out[name] = np.fmax.reduce([values[name] for values in by_side.values()])
        if len(by_side) > 1:
            out |= {f"{side}_{name}": values[name] for side, values in by_side.items()}
    return out


def _corrections(fits: Mapping[Side, HandFit]) -> dict[str, F64]:
    """What the fits corrected of each view, the mean of the hands."""
    found: dict[str, list[F64]] = {}
    for fit in fits.values():
        for view, correction in zip(fit.evidence.views, fit.result.state.views, strict=True):
            found.setdefault(view, []).append(correction)
    return {view: np.mean(corrections, axis=0) for view, corrections in found.items()}


def _quiet(share: float, what: str) -> None:
    """Progress that nobody asked for."""


def check_labels(folder: Path, capture: Capture, layer: ManoLayer | None = None) -> None:
    """Make sure that labels which exist hold for this recording (and hand model), before any work goes into more.

    Raises:
        SequenceError: they are of another recording.
        AssetError: they were made with another hand model.
    """
    if not (folder / ANNOTATION).exists():
        return
    with open_annotation(folder) as annotation:
        annotation.check_capture(capture)
        bound = annotation.binding.mano_source
    if layer is not None and layer.model.source != bound:
        raise AssetError(
            f"the labels of {folder.name} were made with the hand model {bound}, but {layer.model.source} is in use.",
            "Set $HOI_MANO to the files they were made with.",
        )


def find_keypoints(
    folder: Path, capture: Capture, provider: str, settings: Mapping[str, str] | None = None
) -> Keypoints:
    """Keypoints of a provider.

    Args:
        folder: of the sequence.
        capture: the open recording.
        provider: its name.
        settings: field -> value of its `Config`.

    Raises:
        FitError: it has none for this sequence.
        ConfigError: an unknown provider or setting.
    """
    module = plugins.load("annotate.keypoints", provider)
    found: Keypoints | None = module.provide(
        from_dict(module.Config, dict(settings or {}), f"keypoint provider {provider}"), folder, capture
    )
    if found is None:
        raise FitError(
            f"the fit needs 2D keypoints of {folder.name}, and its provider {provider!r} has none.",
            "Click joints in the window, choose a detector with `--keypoints`, or store yours as a revision "
            "(hoi_core.sequence.write_revision); `--rig simulated` writes clicks.",
        )
    return found


def hand_model(folder: Path, side: Side) -> ManoLayer:
    """The hand model that the labels of a sequence are bound to, else the user's, else the stand-in hand."""
    if (folder / ANNOTATION).exists():
        with open_annotation(folder) as annotation:
            if annotation.binding.mano_source == "stand-in":
                return ManoLayer.stand_in(side)
    return ManoLayer.from_env(side)
