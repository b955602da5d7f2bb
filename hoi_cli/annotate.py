"""Label sequences: fit hands and objects to what both views saw, in a window or with --auto from the terminal.

Example: hoi-annotate seq_001 --auto
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from hoi_cli._run import Common, run, with_data, write_json

if TYPE_CHECKING:
    from annotate.outcome import Report

ALL = "all"
FREE_DOF: Literal[45] = 45


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Options of hoi-annotate."""

    sequence: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Names of recorded sequences, such as seq_001; `all` with --auto."""
    auto: bool = False
    """Fit without a window and add the result as a revision; sequences that are finished are left alone."""
    again: bool = False
    """With --auto: fit also what is finished."""
    side: Literal["right", "left", "both"] = "both"
    """Which hand, where there are keypoints of both."""
    keypoints: str = "auto"
    """Where 2D keypoints come from: a provider of annotate/keypoints; `auto` chooses what suits the recording."""
    keypoint_model: Path | None = None
    """Model file of a provider that needs one, such as onnx."""
    grasp_model: Path | None = None
    """Exported network of hands with objects (hfl, cvae): a first guess of objects that nobody clicked, and of hands
    of which nobody knows joints; in the window, of both in the frame that is shown."""
    dof: Literal[23, 45] = FREE_DOF
    """With --auto: 45 joint angles, those that fingers do not have held loosely, or only the 23 that they have."""
    author: str = ""
    """In the window: who works; default is the name of the account."""
    read_only: bool = False
    """In the window: look, but change nothing; also while somebody else edits."""
    blind: bool = False
    """In the window: label again without seeing the labels, to measure agreement."""
    dry_run: bool = False
    """With --auto: fit, but write no revision."""


@dataclass(frozen=True)
class Outcome:
    """What became of one sequence."""

    sequence: str
    """Its name."""
    report: Report | None = None
    """What the fit did, where it was fitted."""
    finished: str = ""
    """The revision for which it was left alone."""
    error: str = ""
    """Why it could not be annotated."""

    def figures(self) -> dict[str, object]:
        """The figures for machines."""
        out: dict[str, object] = {"sequence": self.sequence}
        if self.report is not None:
            return out | self.report.figures()
        return out | ({"error": self.error} if self.error else {"revision": self.finished, "skipped": True})

    def line(self) -> str:
        """One line for people."""
        if self.report is None:
            return f"{self.sequence}: {self.error or f'finished before ({self.finished})'}"
        report = self.report
        return (
            f"{self.sequence}: {report.revision or 'nothing written'}, {report.valid_share:.0%} of {report.frames} "
            f"moments, {report.reprojection_px:.1f} px, {1e3 * report.seconds / max(report.frames, 1):.0f} ms a frame"
            + (f"; without a label: {_reasons(report)}" if report.problems else "")
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `hoi-annotate`."""
    return run(Config, job, argv, prog="hoi-annotate", doc=__doc__)


def job(config: Config) -> None:
    """Fit, or open the window."""
    from hoi_core.config import data_root
    from hoi_core.errors import ConfigError

    root = data_root(config.data)
    if config.auto:
        _fit_all(config, root, _names(config, root))
        return
    if len(config.sequence) != 1 or config.sequence == (ALL,):
        raise ConfigError(
            f"the window shows one sequence, got {', '.join(config.sequence) or 'none'}.",
            "Name one, such as `hoi-annotate seq_001`, or add --auto.",
        )
    _repair(root, config.sequence[0])
    _show_window(config, root)


def _names(config: Config, root: Path) -> list[str]:
    """The sequences to fit.

    Raises:
        SequenceError: one of them does not exist, or there are none.
    """
    from hoi_core.errors import SequenceError
    from hoi_core.sequence import find_sequence, list_sequences

    if config.sequence != (ALL,):
        for name in config.sequence:
            find_sequence(root, name)
    names = list_sequences(root) if config.sequence == (ALL,) else list(dict.fromkeys(config.sequence))
    if not names:
        raise SequenceError(
            f"there is nothing to annotate in {root}.",
            "Name sequences, such as `hoi-annotate seq_001 --auto`, or record one with `hoi-capture`.",
        )
    return names


def _repair(root: Path, sequence: str) -> None:
    """Labels are bound to the recording as it is: what its killed recorder left is set right before there are any."""
    from capture.sync import realign
    from hoi_core.sequence import find_sequence, repair

    repair(find_sequence(root, sequence), realign)


def _fit_all(config: Config, root: Path, names: list[str]) -> None:
    """Fit one sequence after the other; the figures on disk are up to date after each.

    Raises:
        HoiError: why the only sequence failed, or how many of them did.
    """
    from hoi_core import log
    from hoi_core.errors import FitError

    done: list[Outcome] = []
    with log.progress() as bar:
        task = bar.add_task("starting", total=100 * len(names))
        for k, name in enumerate(names):
            about = f"{name}: " if len(names) > 1 else ""

            def tell(share: float, what: str, k: int = k, about: str = about) -> None:
                bar.update(task, completed=round(100 * (k + share)), description=about + what)

            done.append(_fit_one(config, root, name, tell, alone=len(names) == 1))
            figures = [outcome.figures() for outcome in done]
            write_json(config.json, figures if len(names) > 1 else figures[0])
    _show(config, done)
    failed = [outcome.sequence for outcome in done if outcome.error]
    if failed:
        raise FitError(
            f"{len(failed)} of {len(names)} sequences could not be annotated: {', '.join(failed)}.",
            "The reasons are above; the others are done, and the same command goes on with these.",
        )


def _fit_one(config: Config, root: Path, name: str, tell: Callable[[float, str], None], *, alone: bool) -> Outcome:
    """Fit a sequence; one of many that fails is an outcome, not the end."""
    from annotate import auto
    from annotate.hand_fit import HandConfig
    from hoi_core.errors import HoiError, StorageError
    from hoi_core.sequence import find_sequence

    settings = auto.Config(
        side=None if config.side == "both" else config.side,
        keypoints=config.keypoints,
        provider={"model": str(config.keypoint_model)} if config.keypoint_model else {},
        # The default is left out: what was fitted before there was a choice is finished.
        hand=HandConfig(terms={} if config.dof == FREE_DOF else {"limits": {"dof": config.dof}}),
        grasps=str(config.grasp_model) if config.grasp_model else "",
    )
    try:
        _repair(root, name)
        finished = "" if config.again or config.dry_run else auto.finished(find_sequence(root, name), settings)
        if finished:
            return Outcome(name, finished=finished)
        return Outcome(name, auto.annotate(root, name, settings, tell, write=not config.dry_run))
    except StorageError:  # a full disk is the end of all of them
        raise
    except HoiError as error:
        if alone:
            raise
        return Outcome(name, error=str(error))


def _show(config: Config, done: list[Outcome]) -> None:
    """The closing panel."""
    from hoi_core import log

    if len(done) > 1:
        log.panel(
            f"{len(done)} sequences", [outcome.line() for outcome in done], with_data("hoi-data stats", config.data)
        )
        return
    (outcome,) = done
    following = with_data(f"hoi-data compare {outcome.sequence}", config.data)
    if outcome.report is None:
        lines = [f"finished before: {outcome.finished} has these settings and this version; --again fits it anew"]
        log.panel(f"annotated {outcome.sequence}", lines, following)
        return
    report = outcome.report
    written = f"revision {report.revision} by auto" if report.revision else "dry run: nothing written"
    lines = [
        f"{written}: {report.frames} moments, {report.valid_share:.0%} with a label",
        f"median residuals: {report.reprojection_px:.1f} px to keypoints, {report.depth_mm:.1f} mm to depth",
        f"{report.seconds:.1f} s, {1e3 * report.seconds / max(report.frames, 1):.0f} ms a frame",
    ]
    if report.objects:
        lines.append("objects: " + ", ".join(f"{name} {share:.0%}" for name, share in report.objects.items()))
    lines += [f"{name}: {words}" for name, words in report.guesses.items()]
    if report.objects_failed:
        lines.append(f"no object: {report.objects_failed}")
    if report.problems:
        lines.insert(1, f"moments without one: {_reasons(report)}")
    log.panel(f"annotated {outcome.sequence}", lines, following)


def _reasons(report: Report) -> str:
    """Why moments have no label."""
    return ", ".join(f"{count} {reason}" for reason, count in report.problems.items())


def _show_window(config: Config, root: Path) -> None:
    from gui.annotate_program import main as show

    sequence = config.sequence[0]
    if config.blind:
        _say_what_to_repeat(root, sequence)
    code = show(
        root,
        sequence,
        author=config.author,
        read_only=config.read_only,
        blind=config.blind,
        grasp_model=config.grasp_model,
    )
    if code:
        raise SystemExit(code)


def _say_what_to_repeat(root: Path, sequence: str) -> None:
    """Which moments to label again is drawn, so that nobody chooses the easy ones."""
    from annotate.trust.agreement import repeat_in
    from hoi_core import log
    from hoi_core.sequence import annotation_path

    path = annotation_path(root, sequence)
    if not path.exists():
        return
    moments = repeat_in(path, sequence)
    said = ", ".join(str(m) for m in moments) or "none: nobody has checked any yet"
    log.panel(f"blind annotation of {sequence}", [f"frames to label again: {said}"])
