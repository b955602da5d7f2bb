"""Record a sequence: in a window, or with --headless from the terminal.

Example: hoi-capture --headless --rig simulated --seconds 6 --sequence seq_001 --participant p01 --object o01 --seed 0
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hoi_cli._run import Common, run, with_data, write_json

if TYPE_CHECKING:
    from capture.recorder import RecordReport
    from capture.rig import Rig
    from capture.stopping import Stop
    from hoi_core.sequence import CaptureHeader

# What is recorded where neither flags nor a protocol say whom and what.
_PARTICIPANT, _OBJECT, _SCENARIO = "p01", "o01", "s1"


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Options of hoi-capture."""

    rig: str = "simulated"
    """`simulated`, a rig file, or the name of one in DATA/rigs."""
    headless: bool = False
    """Record once without a window."""
    seconds: float = 6.0
    """Length of the recording, s."""
    sequence: str = ""
    """Name of the new sequence; default is the next free one."""
    participant: str = ""
    """Pseudonym of the participant; default is whom the protocol has next, else p01."""
    object: str = ""
    """Identifier of the object, several with commas; default is the protocol's next, else o01."""
    scenario: str = ""
    """Scenario of the protocol; default is that of the next take, else s1."""
    action: str = ""
    """What the participant does; default is that of the next take."""
    hand_model: Path | None = None
    """What tells in the window whether a view shows a hand: a keypoint network (.onnx) or MediaPipe's file (.task).
    Default $HOI_KEYPOINTS, else, for the simulated rig alone, the network that comes with the project."""
    seed: int = 0
    """Decides what the simulated rig plays."""
    drop_rate: float | None = None
    """Share of frames that the simulated rig loses."""
    drift_ppm: float | None = None
    """How fast or slow the simulated devices' clocks run, parts per million."""
    skew_ms: float | None = None
    """How much later the simulated right camera exposes, ms."""
    segment_minutes: float = 5.0
    """A longer recording goes on in its next file (capture.001.h5, ...) after so many minutes."""
    dry_run: bool = False
    """Open the rig and show its streams, record nothing."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `hoi-capture`."""
    return run(Config, job, argv, prog="hoi-capture", doc=__doc__)


def job(config: Config) -> None:
    """Record, headless or in the window."""
    from hoi_core.config import data_root

    root = data_root(config.data)
    if config.dry_run:
        _show_streams(config, root)
    elif config.headless:
        _record(config, root)
    else:
        _show_window(config, root)


def _open(config: Config, root: Path, *, live: bool) -> Rig:
    from capture.rig import is_simulated, open_rig

    if not is_simulated(config.rig):
        return open_rig(config.rig, root)
    return open_rig(
        config.rig,
        root,
        seed=config.seed,
        seconds=config.seconds,
        object=config.object.split(",")[0] or _OBJECT,
        participant=config.participant or _PARTICIPANT,
        drop_rate=config.drop_rate,
        drift_ppm=config.drift_ppm,
        skew_ms=config.skew_ms,
        live=live,
    )


def _show_streams(config: Config, root: Path) -> None:
    from capture.device import streams_of
    from hoi_core import log

    rig = _open(config, root, live=False)
    try:
        lines = [
            f"{info.name:<16} {'x'.join(map(str, info.shape)):<12} {info.fps:g} fps   {info.serial}"
            for info in streams_of(rig)
        ]
    finally:
        rig.stop()
    log.panel(
        f"rig {config.rig}: nothing recorded",
        lines,
        with_data(f"hoi-capture --headless --rig {config.rig}", config.data),
    )


def _with_next_take(config: Config, root: Path) -> Config:
    """The options, where they do not say whom and what with the protocol's next take that agrees with them."""
    from capture.protocol import next_take
    from capture.rig import is_simulated
    from hoi_core.scene import objects as simulated

    wanted = _objects(config)
    cell = next_take(root, config.participant, objects=wanted, scenario=config.scenario, action=config.action)
    if cell is not None and is_simulated(config.rig) and not set(cell.objects) <= set(simulated.NAMES):
        # It cannot show things of a real protocol: they are not to be ticked off.
        cell = None
    who, what, where, how = _PARTICIPANT, _OBJECT, _SCENARIO, ""
    if cell is not None:
        who, what, where, how = cell.participant, ",".join(cell.objects), cell.scenario, cell.action
    return replace(
        config,
        participant=config.participant or who,
        object=config.object or what,
        scenario=config.scenario or where,
        action=config.action or how,
    )


def _objects(config: Config) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in config.object.split(","))))


def _record(config: Config, root: Path) -> None:
    from capture.rig import make_header
    from capture.stopping import stop_on_signals
    from hoi_core import log
    from hoi_core.sequence import CaptureHeader, new_sequence_dir, next_name
    from hoi_core.sequence.consent import require_consent

    name = config.sequence or next_name(root)
    config = _with_next_take(config, root)
    # What is refused is refused before the rig is opened and its images are drawn.
    require_consent(root, config.participant)
    folder = new_sequence_dir(root, name)
    request = CaptureHeader(name, config.participant, _objects(config), config.scenario, config.action)
    try:
        with stop_on_signals() as stop:
            rig = _open(config, root, live=False)
            try:
                report = _record_with_progress(rig, make_header(rig, request), root, config, stop)
            finally:
                rig.stop()
    finally:
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
    _summarise(config, report)
    if stop.signal is not None:
        log.console_err().print(f"hoi-capture: stopped early; kept what was recorded as {name}.", style="yellow")
        raise SystemExit(128 + stop.signal)


def _record_with_progress(rig: Rig, header: CaptureHeader, root: Path, config: Config, stop: Stop) -> RecordReport:
    from capture.device import StagedRig, streams_of
    from capture.recorder import record
    from hoi_core import log

    with log.progress() as bar:
        task = bar.add_task("drawing the scene ahead", total=None)
        if isinstance(rig, StagedRig):
            rig.prepare(lambda done, total: bar.update(task, completed=done, total=total))
        total = round(config.seconds * streams_of(rig)[0].fps)
        bar.update(task, description=f"recording {header.sequence}", completed=0, total=total)
        return record(
            rig,
            header,
            root,
            config.seconds,
            lambda progress: bar.update(task, completed=min(progress.frames, total)),
            stop=stop,
            segment_s=config.segment_minutes * 60.0,
        )


def _summarise(config: Config, report: RecordReport) -> None:
    from hoi_core import log
    from hoi_core.sequence.layout import TRUTH

    simulated = (report.path.parent / TRUTH).exists()
    name = report.path.parent.name
    write_json(
        config.json,
        {
            "sequence": name,
            "seconds": report.seconds,
            "frames": dict(report.frames),
            "moments": report.moments,
            "paired": report.paired,
            "drops": len(report.drops),
            "duplicates": report.duplicates,
            "skew_ms": report.skew_ms,
            "megabytes": report.megabytes,
            "losses": report.losses,
            "complete": not report.stopped_early,
            "simulated": simulated,
        },
    )
    what = ": ".join(filter(None, (config.scenario, config.action)))
    lines = [
        f"{config.participant} with {config.object}, {what}",
        f"{report.path}   {report.megabytes:.0f} MB, {report.seconds:.1f} s",
        f"{report.paired} of {report.moments} moments have a frame of every stream",
        f"{len(report.drops)} dropped frames, {report.duplicates} delivered twice",
        f"the views' colour frames are {report.skew_ms:.1f} ms apart",
    ]
    if report.losses:
        lines.append(f"a camera was lost {report.losses} times; what it missed is in the drop table")
    if simulated:
        lines.append("simulated: truth.h5 beside it, and clicks of a simulated annotator as revision r000")
    log.panel(f"recorded {name}", lines, with_data(f"hoi-annotate {name} --auto", config.data))


def _show_window(config: Config, root: Path) -> None:
    from capture.device import StagedRig
    from capture.session import CaptureSession
    from gui.capture_window import CaptureWindowConfig
    from gui.capture_window import main as show
    from hoi_cli._eyes import eye_for

    def open_session(rig: str) -> CaptureSession:
        opened = _open(replace(config, rig=rig), root, live=True)
        return CaptureSession(opened, root, eye=eye_for(config.hand_model, simulated=isinstance(opened, StagedRig)))

    window = CaptureWindowConfig(
        root=root,
        rig=config.rig,
        sequence=config.sequence,
        participant=config.participant,
        objects=_objects(config),
        scenario=config.scenario,
        action=config.action,
    )
    code = show(open_session, window)
    if code:
        raise SystemExit(code)
