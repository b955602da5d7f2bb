"""Calibrate the cameras of a rig with a ChArUco board: live, or from images.

Example: hoi-calibrate --rig my_rig

Example: hoi-calibrate --board board.toml --images left=shots/left right=shots/right
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hoi_cli._run import Common, run, with_data, write_json

if TYPE_CHECKING:
    from capture.calibrate import Board, Calibration, Guidance, LiveCollector, Options, Shot
    from capture.rig import Rig
    from hoi_core.types import U8, Camera

_PAUSE_S = 0.005  # until the next look for new frames


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Options of hoi-calibrate."""

    board: Path | None = None
    """Board file: board_x board_y square_length marker_length marker_bits dict_size, lengths in mm; default 8x11,
    24 mm, 18.75 mm, 4x4."""
    images: tuple[str, ...] = ()
    """Folders of images instead of a rig, as `view=DIR`; images of the same instant have the same last number."""
    rig: str = "simulated"
    """`simulated`, a rig file, or the name of one in DATA/rigs."""
    seconds: float = 120.0
    """Longest time to look at the board, s; ends sooner when there is enough."""
    check: bool = False
    """Compare one view of the board with a calibration instead, as every day before recording."""
    calibration: str = ""
    """Calibration to check, or whose lenses to start from with --images; --check takes the newest by default."""
    intrinsics: Literal["auto", "alone", "joint", "fixed"] = "auto"
    """Lenses from each view's own images, from all views together, or as the device says."""
    free_k3: bool = False
    """Also estimate the third radial coefficient."""
    free_tangential: bool = False
    """Also estimate the tangential coefficients."""
    known_baseline_mm: float = float("nan")
    """Distance of the first two cameras as measured by hand, mm: finds a board of the wrong size."""
    table_shot: str = ""
    """Shot with the board flat on the table: the world is then on the table, z up."""
    print_board: Path | None = None
    """Write the board to this .pdf or .png and stop."""
    seed: int = 0
    """Decides what the simulated rig plays."""
    dry_run: bool = False
    """Calibrate, but store nothing."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `hoi-calibrate`."""
    return run(Config, job, argv, prog="hoi-calibrate", doc=__doc__)


def job(config: Config) -> None:
    """Print, check or calibrate."""
    from capture.calibrate import Board
    from hoi_core.config import data_root

    board = Board() if config.board is None else Board.read(config.board)
    root = data_root(config.data)
    if config.print_board is not None:
        _print(board, config.print_board)
    elif config.check:
        _check(config, board, root)
    elif config.images:
        _from_images(config, board, root)
    else:
        _live(config, board, root)


def _print(board: Board, path: Path) -> None:
    from capture.calibrate.printing import print_board
    from hoi_core import log

    width, height = print_board(board, path)
    lines = [
        f"{path}   page of {width:.0f} x {height:.0f} mm",
        "Print at 100 %, glue it to something flat, measure it.",
    ]
    log.panel("board", lines, "hoi-calibrate")


def _options(config: Config) -> Options:
    from capture.calibrate import Options

    return Options(
        intrinsics=config.intrinsics,
        free_k3=config.free_k3,
        free_tangential=config.free_tangential,
        known_baseline_mm=config.known_baseline_mm,
        table_shot=config.table_shot,
    )


def _folders(config: Config) -> dict[str, Path]:
    from hoi_core.errors import ConfigError

    folders = {}
    for text in config.images:
        view, _, folder = text.partition("=")
        if not view or not folder or view in folders:
            raise ConfigError(f"expected --images view=DIR, each view once, got {text}.", "Write left=DIR right=DIR.")
        folders[view] = Path(folder)
    return folders


def _from_images(config: Config, board: Board, root: Path) -> None:
    from capture.calibrate.images import read_shots
    from capture.calibrate.store import read_calibration
    from hoi_core import log

    folders = _folders(config)
    factory = read_calibration(root, config.calibration) if config.calibration else {}
    with log.progress() as bar:
        task = bar.add_task("looking for the board", total=None)
        shots = read_shots(board, folders, lambda done, total: bar.update(task, completed=done, total=total))
    _finish(config, root, _solve(config, board, shots, factory))


def _live(config: Config, board: Board, root: Path) -> None:
    from hoi_core import log
    from hoi_core.errors import CalibrationError

    rig = _open(config, board, root)
    collector: LiveCollector | None = None
    with log.progress() as bar, closing(_looks(config, board, root, rig)) as looks:
        task = bar.add_task("show the board", total=100)
        for collector, guidance in looks:  # noqa: B007 - the last one is used below
            text = f"{guidance.shots} shots. {guidance.text}"
            bar.update(task, completed=round(100 * guidance.progress), description=text)
            if guidance.ready:
                break
    if collector is None:
        raise CalibrationError(f"no images of all cameras within {config.seconds:g} s.", "Look longer with --seconds.")
    calibration = _solve(config, board, collector.collector.shots, collector.factory)
    _finish(config, root, calibration, _truth(rig, calibration))


def _open(config: Config, board: Board, root: Path) -> Rig:
    from capture.rig import is_simulated, open_rig

    if is_simulated(config.rig):
        return open_rig(config.rig, root, scene="board", board=board, seed=config.seed, live=True)
    return open_rig(config.rig, root)


def _looks(config: Config, board: Board, root: Path, rig: Rig) -> Generator[tuple[LiveCollector, Guidance], None, None]:
    """Look at the board until the time is up; the rig is released at the end."""
    import time

    from capture.calibrate import LiveCollector
    from capture.session import CaptureSession

    session = CaptureSession(rig, root)
    session.start()
    try:
        collector = LiveCollector(session, board)
        until_s = time.monotonic() + config.seconds
        while time.monotonic() < until_s:
            guidance = collector.step()
            if guidance is not None:
                yield collector, guidance
            elif (error := session.take_error()) is not None:
                raise error
            else:
                time.sleep(_PAUSE_S)
    finally:
        session.stop()


def _solve(config: Config, board: Board, shots: Sequence[Shot], factory: Mapping[str, Camera]) -> Calibration:
    from capture.calibrate import calibrate
    from hoi_core import log

    with log.progress() as bar:
        bar.add_task(f"solving {len(shots)} shots", total=None)
        return calibrate(board, shots, factory, _options(config))


def _truth(rig: Rig, calibration: Calibration) -> dict[str, tuple[float, float]]:
    """Errors against the simulated rig's truth; empty for a real rig."""
    from capture.calibrate.judge import pose_errors
    from capture.device import StagedRig, image_streams, streams_of

    if not isinstance(rig, StagedRig):
        return {}
    true = {view: rig.true_cameras[info.name] for view, info in image_streams(streams_of(rig)).items()}
    return pose_errors(calibration.cameras, true)


def _finish(
    config: Config, root: Path, calibration: Calibration, truth: Mapping[str, tuple[float, float]] | None = None
) -> None:
    from capture.calibrate import report_html, write_calibration
    from hoi_core import log

    truth = truth or {}
    lines = _lines(calibration, truth)
    if not config.dry_run:
        calibration = write_calibration(root, calibration)
        page = root / "calibrations" / f"{calibration.id}.html"
        report_html(calibration, page)
        lines += [f"report: {page}", f"name it in the rig file: `calibration: {calibration.id}`"]
    values = {
        "id": calibration.id,
        **asdict(calibration.figures),
        "truth_error_mm": {view: mm for view, (mm, _) in truth.items()},
        "truth_error_deg": {view: degrees for view, (_, degrees) in truth.items()},
    }
    write_json(config.json, values)
    title = f"calibration {calibration.id or 'not stored'}"
    log.panel(title, lines, with_data("hoi-calibrate --check", None if config.dry_run else config.data))


def _lines(calibration: Calibration, truth: Mapping[str, tuple[float, float]]) -> list[str]:
    figures = calibration.figures
    lines = [f"{view:<10} {rms:.3f} px RMS, {figures.shots[view]} shots" for view, rms in figures.rms_px.items()]
    lines += [
        f"joint RMS {figures.stereo_rms_px:.3f} px, hold-out {figures.holdout_px:.3f} px",
        f"loop {figures.loop_mm:.2f} mm",
        f"baseline {figures.baseline_mm:.1f} mm",
    ]
    lines += [f"board against depth, {view}: {mm:.1f} mm" for view, mm in figures.plane_mm.items()]
    lines += [f"truth of {view}: {mm:.2f} mm and {degrees:.3f} degrees away" for view, (mm, degrees) in truth.items()]
    return lines


def _check(config: Config, board: Board, root: Path) -> None:
    from capture.calibrate import check_calibration, load_calibration
    from capture.calibrate.store import list_calibrations
    from hoi_core import log
    from hoi_core.errors import CalibrationError

    names = list_calibrations(root)
    if not config.calibration and not names:
        raise CalibrationError(f"there is no calibration in {root}.", "Run hoi-calibrate first.")
    calibration = load_calibration(root, config.calibration or names[-1])
    images = _check_images(config, board, root)
    result = check_calibration(calibration, board, images)
    write_json(config.json, {"calibration": calibration.id, **asdict(result)})
    lines = [result.text, *(f"{view:<10} {px:.2f} px" for view, px in result.view_px.items())]
    log.panel(f"calibration {calibration.id}", lines, "hoi-capture" if result.ok else "hoi-calibrate")
    if not result.ok:
        raise SystemExit(1)


def _check_images(config: Config, board: Board, root: Path) -> dict[str, U8]:
    """One image of each view: the last of each folder, or the first still moment of the rig."""
    from capture.calibrate.images import match_folders, read_image
    from hoi_core.errors import CalibrationError

    if config.images:
        _, files = match_folders(_folders(config))[-1]
        return {view: read_image(path) for view, path in files.items()}
    with closing(_looks(config, board, root, _open(config, board, root))) as looks:
        for collector, guidance in looks:
            if guidance.accepted:
                return collector.looked_at
    raise CalibrationError("the board was not held still where two cameras see it.", "Try again.")
