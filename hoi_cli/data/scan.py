"""Scan an object: its mesh from a turntable take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from hoi_cli._run import Common, with_data, write_json

if TYPE_CHECKING:
    from annotate.scan import Scan, Shot
    from capture.calibrate.board import Board
    from hoi_core.sequence import Capture


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Make an object's mesh from a take in which it stands on the printed ChArUco board, turned once around."""

    sequence: tyro.conf.Positional[str]
    """The take."""
    object: str = ""
    """Identifier in objects.csv; default is the take's own object."""
    board: Path | None = None
    """Board file; default is the one that `hoi-calibrate --print-board` prints."""
    every: int = 4
    """Use one moment of so many."""
    voxel_mm: float = 1.5
    """Edge of a cell of the distance field, mm."""
    radius_mm: float = 120.0
    """Nothing farther from the middle of the board belongs to the object, mm."""
    replace: bool = False
    """Take the place of the mesh that the object has."""


def job(command: Config, root: Path) -> None:
    """Run `hoi-data scan`."""
    from annotate import scan
    from capture.calibrate.board import Board
    from hoi_core import log
    from hoi_core.errors import ConfigError, SequenceError
    from hoi_core.mesh_file import write_obj
    from hoi_core.sequence import find_sequence, open_capture, set_row

    if command.every < 1 or not 0.3 <= command.voxel_mm <= 10.0 or not 10.0 <= command.radius_mm <= 1000.0:
        raise ConfigError(
            f"expected --every of 1 or more, --voxel-mm from 0.3 to 10 and --radius-mm from 10 to 1000, got "
            f"{command.every}, {command.voxel_mm:g} and {command.radius_mm:g}.",
            "Correct them.",
        )
    board = Board.read(command.board) if command.board else Board()
    config = scan.Config(voxel_m=1e-3 * command.voxel_mm, radius_m=1e-3 * command.radius_mm)
    with open_capture(find_sequence(root, command.sequence)) as capture:
        name = command.object or next(iter(capture.header.objects), "")
        if not name:
            raise SequenceError(f"{command.sequence} does not say which object it shows.", "Name it with --object.")
        path = root / "objects" / name / "mesh.obj"
        if path.exists() and not command.replace:
            raise SequenceError(f"{name} has a mesh already: {path}.", "Use --replace, or another --object.")
        with log.progress() as bar:
            task = bar.add_task("fusing", total=100)
            shots = _shots(capture, board, command.every, lambda share: bar.update(task, completed=round(100 * share)))
            found = scan.fuse(shots, board.outline_m, config)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_obj(path, found.vertices_m, found.faces)
    set_row(root, "objects", {"object": name, "mesh": str(path.relative_to(root))})
    _report(command, name, path, found)


def _shots(capture: Capture, board: Board, every: int, on_share: Callable[[float], None]) -> Iterator[Shot]:
    """The images in which the board is found."""
    from annotate.scan import Shot
    from capture.calibrate import lens
    from capture.calibrate.detect import detect, make_detector
    from capture.calibrate.start import board_pose

    detector = make_detector(board)
    moments = range(0, len(capture.sync), every)
    for n, moment in enumerate(moments):
        for name, view in capture.views.items():
            color, depth = (int(capture.sync.index[f"{name}/{kind}"][moment]) for kind in ("color", "depth"))
            if color < 0 or depth < 0:
                continue
            image = view.color[color]
            detection = detect(board, image, detector)
            pose = board_pose(board, detection, lens.to_numbers(view.camera)) if detection is not None else None
            if pose is not None:
                yield Shot(name, image, view.depth_in_color_m(depth), view.camera, pose)
        on_share((n + 1) / len(moments))


def _report(command: Config, name: str, path: Path, found: Scan) -> None:
    from hoi_core import log

    size = " x ".join(f"{1e3 * side:.0f}" for side in found.size_m)
    figures = {
        "object": name,
        "mesh": str(path),
        "vertices": len(found.vertices_m),
        "triangles": len(found.faces),
        "size_mm": [1e3 * float(side) for side in found.size_m],
        "images": found.shots,
        "seen_deg": found.seen_deg,
        "residual_mm": found.residual_mm,
        "depth_bias_mm": found.bias_mm,
    }
    write_json(command.json, figures)
    bias = ", ".join(f"{view} {mm:+.1f} mm" for view, mm in found.bias_mm.items())
    lines = [
        f"{path}: {len(found.faces)} triangles, {size} mm",
        f"{found.shots} images from {found.seen_deg:.0f} degrees around; depth lies {found.residual_mm:.1f} mm off it",
        f"error of the depth, taken out: {bias or 'unknown, too little of the board was seen'}",
    ]
    log.panel(f"scanned {name}", lines, with_data("hoi-annotate SEQUENCE --auto", command.data))
