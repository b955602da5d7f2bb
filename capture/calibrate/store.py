"""Calibration files: `<root>/calibrations/<id>.json`, never overwritten."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from capture.calibrate.board import Board
from capture.calibrate.result import Calibration, Figures, Options
from hoi_core.errors import CalibrationError, StorageError
from hoi_core.plain import plain
from hoi_core.types import Camera

FORMAT = "hoi-calibration"
VERSION = "1.0"
_FOLDER = "calibrations"


def calibration_path(root: Path, identifier: str) -> Path:
    """Where a calibration lies."""
    return root / _FOLDER / f"{identifier}.json"


def list_calibrations(root: Path) -> list[str]:
    """Identifiers of the dataset's calibrations, oldest first."""
    return sorted((path.stem for path in (root / _FOLDER).glob("*.json")), key=_by_counter)


def next_identifier(root: Path, today: datetime | None = None) -> str:
    """A free identifier: the date and a counter, such as `2026-11-21_02`."""
    date = (today or datetime.now(UTC)).strftime("%Y-%m-%d")
    taken = set(list_calibrations(root))
    return next(name for n in range(1, len(taken) + 2) if (name := f"{date}_{n:02d}") not in taken)


def write_calibration(root: Path, calibration: Calibration) -> Calibration:
    """Store a calibration under a new identifier.

    Returns:
        The calibration with its identifier and time.

    Raises:
        StorageError: the folder is not writable or the disk is full.
    """
    while True:
        identifier = next_identifier(root)
        created = calibration.created or datetime.now(UTC).isoformat(timespec="seconds")
        named = replace(calibration, id=identifier, created=created)
        path = calibration_path(root, identifier)
        draft = path.with_name(f".{identifier}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(to_json(named), indent=2) + "\n", encoding="utf8")
            # A link fails where the name is taken, so two writers never share a file.
            os.link(draft, path)
            return named
        except FileExistsError:
            continue
        except OSError as error:
            raise StorageError(
                f"cannot write {path}: {error.strerror}.", "Free the disk or name another --data."
            ) from (error)
        finally:
            draft.unlink(missing_ok=True)


def read_calibration(root: Path, identifier: str) -> dict[str, Camera]:
    """Colour cameras by view from `<root>/calibrations/<identifier>.json`; files without a format are read too.

    Raises:
        CalibrationError: missing, malformed, or of a newer major version.
    """
    return dict(load_calibration(root, identifier).cameras)


def load_calibration(root: Path, identifier: str) -> Calibration:
    """A whole calibration.

    Raises:
        CalibrationError: missing, malformed, or of a newer major version.
    """
    path = calibration_path(root, identifier)
    try:
        return from_json(json.loads(path.read_text(encoding="utf8")), identifier)
    except FileNotFoundError as error:
        known = ", ".join(list_calibrations(root)[-3:])
        raise CalibrationError(
            f"expected a calibration {path}, found none.",
            f"Correct the rig file; there are {known}." if known else "Run hoi-calibrate, or correct the rig file.",
        ) from error
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise CalibrationError(f"{path} is malformed: {error!r}.", "Calibrate again.") from error


def to_json(calibration: Calibration) -> dict[str, Any]:
    """The content of a file."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "id": calibration.id,
        "created": calibration.created,
        "board": asdict(calibration.board),
        "options": plain(asdict(calibration.options)),
        "figures": plain(asdict(calibration.figures)),
        "notes": list(calibration.notes),
        "cameras": {view: _camera_json(camera) for view, camera in calibration.cameras.items()},
    }


def from_json(values: Mapping[str, Any], identifier: str) -> Calibration:
    """A calibration from a file's content; older content has nothing but `cameras`."""
    version = str(values.get("version", VERSION))
    if values.get("format", FORMAT) != FORMAT:
        raise ValueError(f"format {values['format']}, expected {FORMAT}")
    if int(version.split(".", maxsplit=1)[0]) > int(VERSION.split(".", maxsplit=1)[0]):
        raise CalibrationError(
            f"calibration {identifier} has version {version}, this program reads {VERSION}.", "Update hoi-toolkit."
        )
    cameras = {view: _camera(camera) for view, camera in values["cameras"].items()}
    empty: dict[str, Any] = {"rms_px": {}} | dict.fromkeys(
        ("stereo_rms_px", "baseline_mm", "holdout_px", "loop_mm"), math.nan
    )
    return Calibration(
        id=identifier,
        cameras=cameras,
        board=Board(**values.get("board", {})),
        figures=Figures(**(empty | _numbers(values.get("figures", {})))),
        created=str(values.get("created", "")),
        options=Options(**_numbers(values.get("options", {}))),
        notes=tuple(values.get("notes", ())),
    )


def _camera_json(camera: Camera) -> dict[str, Any]:
    return asdict(camera) | {"distortion": list(camera.distortion), "T_world_cam": camera.T_world_cam.tolist()}


def _camera(values: Mapping[str, Any]) -> Camera:
    plain = {key: value for key, value in values.items() if key not in ("distortion", "T_world_cam")}
    pose = np.asarray(values["T_world_cam"], dtype=np.float64).reshape(4, 4)
    if not np.isfinite(pose).all():
        raise ValueError("a pose that is not finite")
    return Camera(**plain, distortion=tuple(values["distortion"]), T_world_cam=pose)


def _numbers(value: Any) -> Any:
    """None in place of a number is NaN, as `plain` wrote it."""
    if isinstance(value, Mapping):
        return {key: _numbers(item) for key, item in value.items()}
    return math.nan if value is None else value


def _by_counter(name: str) -> tuple[str, int, str]:
    date, _, counter = name.rpartition("_")
    return (date, int(counter), name) if counter.isdigit() else ("", 0, name)
