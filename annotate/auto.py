"""Fit a whole recorded sequence without a person: evidence, first guess, fit, and a new revision."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from annotate import covariance, gather, labels
from annotate import fit as fitting
from annotate.hand import Hand, from_mano
from annotate.initialise import initialise
from annotate.keypoints import Keypoints
from hoi_core import plugins
from hoi_core.conventions import Side
from hoi_core.errors import AssetError, FitError
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
from hoi_core.types import Revision

Progress = Callable[[float, str], None]
"""Called with (share done, what is being done)."""


@dataclass(frozen=True)
class Config:
    """How a sequence is fitted."""

    side: Side = "right"
    """Which hand, where the keypoints do not say."""
    keypoints: str = "stored"
    """Keypoint provider."""
    clouds: gather.CloudConfig = field(default_factory=gather.CloudConfig)
    """Choice of depth points."""
    terms: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """term -> field -> value, where a term should not have its default."""
    inflation: float = 1.0
    """Factor on the standard deviations of the joints, see `covariance.joint_covariance`."""


@dataclass(frozen=True)
class Report:
    """What an automatic fit did."""

    revision: str
    """Name of the new revision; empty where none was written."""
    frames: int
    """Moments of the sequence."""
    valid_share: float
    """Share of the moments with a label."""
    reprojection_px: float
    """Median distance of projected joints from keypoints, px."""
    depth_mm: float
    """Median distance of depth points from the surface, mm; NaN without depth."""
    seconds: float
    """Time of the fit, reading included."""
    iterations: int
    """Steps of the fit over the sequence."""

    def figures(self) -> dict[str, object]:
        """The figures for machines."""
        return {
            "revision": self.revision,
            "frames": self.frames,
            "valid_share": self.valid_share,
            "median_reprojection_px": self.reprojection_px,
            "median_depth_mm": self.depth_mm,
            "seconds": self.seconds,
            "seconds_per_frame": self.seconds / max(self.frames, 1),
            "iterations": self.iterations,
        }


def annotate(
    root: Path,
    sequence: str,
    config: Config | None = None,
    on_progress: Progress | None = None,
    *,
    write: bool = True,
) -> Report:
    """Fit the hand of a sequence and add the result to its labels as a new revision.

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
    with open_capture(folder) as capture:
        check_labels(folder, capture)
        keypoints = find_keypoints(folder, capture, config.keypoints)
        fitted = fit_revision(folder, capture, keypoints, config, on_progress)
        seconds = time.perf_counter() - began
        binding = bind(capture, fitted.layer)
    revision = fitted.revision
    name = write_revision(folder, revision, binding=binding) if write else ""
    hand = next(iter(revision.hands.values()))
    return Report(
        revision=name,
        frames=len(revision.t_ns),
        valid_share=float(hand.valid.mean()),
        reprojection_px=labels.median(revision.residuals["reprojection_px"]),
        depth_mm=1e3 * labels.median(revision.residuals["depth_m"]),
        seconds=seconds,
        iterations=fitted.iterations,
    )


def bind(capture: Capture, layer: ManoLayer) -> Binding:
    """What the labels of a recording hold for."""
    model = layer.model
    return Binding(capture.content_hash(), mano_source=model.source, shapedirs_fixed=model.shapedirs_fixed)


@dataclass(frozen=True)
class Fitted:
    """Labels that no file holds yet."""

    layer: ManoLayer
    """The hand model that was fitted."""
    revision: Revision
    """The labels."""
    iterations: int
    """Steps of the fit over the sequence."""


def fit_revision(
    folder: Path, capture: Capture, keypoints: Keypoints, config: Config, on_progress: Progress | None = None
) -> Fitted:
    """Fit without writing anything.

    Args:
        folder: of the sequence; its labels say which hand model they are bound to.
        capture: the open recording.
        keypoints: 2D joints at its moments.
        config: how.
        on_progress: told how far it is; may raise to stop.

    Raises:
        FitError: no keypoints to start from.
        AssetError: the labels were made with another hand model.
    """
    tell = on_progress or _quiet
    tell(0.0, "reading keypoints")
    side = config.side if config.side in keypoints.hands else next(iter(keypoints.hands))
    layer = hand_model(folder, side)
    check_labels(folder, capture, layer)
    hand: Hand = from_mano(layer.model)
    terms = fitting.load_terms(config.terms)
    evidence = gather.keypoint_evidence(capture, keypoints.hands[side])
    tell(0.02, "first guess")
    start = initialise(hand, evidence, terms)
    evidence = gather.with_clouds(
        evidence, capture, start, config.clouds, lambda i, n: tell(0.1 + 0.4 * i / n, "reading depth")
    )
    result = fitting.fit(evidence, start, terms, on_step=lambda i, n: tell(0.5 + 0.45 * i / n, "fitting"))
    tell(0.95, "uncertainty")
    cov = covariance.joint_covariance(result, config.inflation)
    track, residuals = labels.hand_track(result, evidence, cov)
    revision = Revision(
        t_ns=capture.sync.t_ns,
        hands={layer.side: track},
        objects={},
        keypoints=dict(keypoints.hands),
        frame_index={view: capture.sync.index[f"{view}/color"] for view in capture.views},
        residuals=residuals,
        author="auto",
        parent=keypoints.parent,
        comment=f"fitted to {', '.join(evidence.views)} with {', '.join(terms)} in {result.iterations} iterations",
        keypoint_source=keypoints.source,
    )
    tell(1.0, "done")
    return Fitted(layer, revision, result.iterations)


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


def find_keypoints(folder: Path, capture: Capture, provider: str) -> Keypoints:
    """Keypoints of a provider.

    Raises:
        FitError: it has none for this sequence.
    """
    module = plugins.load("annotate.keypoints", provider)
    found: Keypoints | None = module.provide(module.Config(), folder, capture)
    if found is None:
        raise FitError(
            f"the fit needs 2D keypoints of {folder.name}, and its provider {provider!r} has none.",
            "There is no detector yet: record with `--rig simulated`, which writes clicks, or store yours as "
            "a revision (hoi_core.sequence.write_revision).",
        )
    return found


def hand_model(folder: Path, side: Side) -> ManoLayer:
    """The hand model that the labels of a sequence are bound to, else the user's, else the stand-in hand."""
    if (folder / ANNOTATION).exists():
        with open_annotation(folder) as annotation:
            if annotation.binding.mano_source == "stand-in":
                return ManoLayer.stand_in(side)
    return ManoLayer.from_env(side)
