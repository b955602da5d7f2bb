"""A rig: the devices that record together, named in a YAML file; `simulated` is built in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import hoi_core
from capture.device import Device, Rig
from hoi_core import plugins
from hoi_core.config import from_dict, read_yaml
from hoi_core.edges import EdgeParams
from hoi_core.errors import CalibrationError, ConfigError
from hoi_core.sequence import Binding, CaptureHeader, open_capture, write_revision
from hoi_core.types import Camera, Revision

__all__ = ["Device", "DeviceRig", "RecordRequest", "Rig", "is_simulated", "label_simulated", "make_header", "open_rig"]

SIMULATED = "simulated"
_DEVICES = "capture.devices"


class RecordRequest(Protocol):
    """What a person asks to record; `CaptureHeader` is one."""

    @property
    def sequence(self) -> str:
        """Name of the new sequence."""

    @property
    def participant(self) -> str:
        """Pseudonym."""

    @property
    def objects(self) -> tuple[str, ...]:
        """Objects in the scene."""

    @property
    def scenario(self) -> str:
        """Scenario of the protocol."""

    @property
    def action(self) -> str:
        """What the participant does."""


def make_header(rig: Rig, request: RecordRequest) -> CaptureHeader:
    """The header of a recording that starts now."""
    played = getattr(rig, "object_name", "")
    return CaptureHeader(
        sequence=request.sequence,
        participant=request.participant,
        objects=(played,) if played else request.objects,
        scenario=request.scenario,
        action=request.action,
        rig=rig.name,
        calibration=rig.calibration,
        software=f"hoi-toolkit {hoi_core.__version__}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        edge_params=EdgeParams().to_dict(),
    )


def label_simulated(rig: Rig, folder: Path) -> bool:
    """Beside a recording of the simulated rig write its truth, and the clicks of a simulated annotator as r000.

    Returns:
        Whether the rig is simulated.
    """
    if not hasattr(rig, "write_truth"):
        return False
    from hoi_core.mano import ManoLayer

    rig.write_truth(folder)
    clicks: Revision = rig.simulated_clicks(folder)  # type: ignore[attr-defined]
    hand = ManoLayer.from_env(next(iter(clicks.hands), "right")).model
    with open_capture(folder) as capture:
        binding = Binding(capture.content_hash(), mano_source=hand.source, shapedirs_fixed=hand.shapedirs_fixed)
    write_revision(folder, clicks, binding=binding)
    return True


class DeviceRig:
    """The rig of a YAML file: devices that stream from when they are opened, and rigs such as the simulated one."""

    def __init__(self, name: str, calibration: str, parts: Sequence[Device | Rig]) -> None:
        self.name = name
        self.calibration = calibration
        self._parts = parts
        self.devices: Sequence[Device] = [
            device for part in parts for device in (part.devices if isinstance(part, Rig) else [part])
        ]

    @property
    def whole(self) -> bool:
        """Whether it is made of rigs that start and end all their streams together."""
        return all(isinstance(part, Rig) and part.whole for part in self._parts)

    def start(self) -> None:
        """Start the rigs among the parts; devices stream already."""
        for part in self._parts:
            if isinstance(part, Rig):
                part.start()

    @property
    def finished(self) -> bool:
        """Whether every part plays something that has come to its end."""
        return all(part.finished for part in self._parts)

    def stop(self) -> None:
        """Release all devices."""
        for part in self._parts:
            part.stop()


def is_simulated(name: str) -> bool:
    """Whether `--rig` names the built-in rig."""
    return name == SIMULATED


def open_rig(name: str, root: Path, **options: Any) -> Rig:
    """Open the built-in rig or that of a YAML file.

    Args:
        name: `simulated`, a YAML file, or the name of one in `<root>/rigs`.
        root: the dataset, for rigs and calibrations.
        options: for the built-in rig: fields of `capture.devices.simulated.Config`; None keeps the default.

    Returns:
        The rig; where a file names nothing but the simulated one, that one, so that its truth is kept too.

    Raises:
        ConfigError: no such rig, or a bad key or value in its file.
        AssetError: $HOI_MANO names a hand model that cannot be read.
        DeviceError: a device is missing or busy; those opened before it are released.
    """
    if is_simulated(name):
        from hoi_core.mano import ManoLayer

        # The clicks are bound to the user's hand model: find out before recording whether it can be read.
        ManoLayer.from_env(options.get("side") or "right")
        module = plugins.load(_DEVICES, SIMULATED)
        rig: Rig = module.open(module.Config(**{k: v for k, v in options.items() if v is not None}))
        return rig
    path = _find(name, root)
    values = read_yaml(path)
    calibration = str(values.get("calibration", ""))
    cameras = read_calibration(root, calibration) if calibration else {}
    entries = values.get("devices")
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"{path} names no devices.", "List them under `devices:`, each with its `type:`.")
    opened: list[Device | Rig] = []
    try:
        for entry in entries:
            opened.append(_open_entry(path, entry, cameras))
    except BaseException:
        for part in opened:
            part.stop()
        raise
    if len(opened) == 1 and isinstance(opened[0], Rig):
        return opened[0]
    return DeviceRig(str(values.get("name", path.stem)), calibration, opened)


def _find(name: str, root: Path) -> Path:
    for path in (Path(name), root / "rigs" / f"{name}.yaml"):
        if path.suffix in (".yaml", ".yml") and path.is_file():
            return path
    known = [SIMULATED, *(path.stem for path in sorted((root / "rigs").glob("*.yaml")))]
    raise plugins.unknown_name("rig", name, known)


def _open_entry(path: Path, entry: object, cameras: Mapping[str, Camera]) -> Device | Rig:
    if not isinstance(entry, dict) or "type" not in entry:
        raise ConfigError(
            f"{path}: expected a device with its `type`, got {entry!r}.",
            "Write it as `- {type: realsense, view: left}`.",
        )
    module = plugins.load(_DEVICES, str(entry["type"]))
    config = from_dict(module.Config, {key: value for key, value in entry.items() if key != "type"}, str(path))
    view = getattr(config, "view", "")
    if view in cameras and "camera" in {field.name for field in fields(config)}:
        config = replace(config, camera=cameras[view])
    opened: Device | Rig = module.open(config)
    return opened


def read_calibration(root: Path, identifier: str) -> dict[str, Camera]:
    """Colour cameras by view from `<root>/calibrations/<identifier>.json`.

    Raises:
        CalibrationError: missing or malformed.
    """
    import numpy as np

    path = root / "calibrations" / f"{identifier}.json"
    try:
        views = json.loads(path.read_text(encoding="utf8"))["cameras"]
        return {
            view: Camera(
                **{key: value for key, value in values.items() if key not in ("distortion", "T_world_cam")},
                distortion=tuple(values["distortion"]),
                T_world_cam=np.asarray(values["T_world_cam"], dtype=np.float64).reshape(4, 4),
            )
            for view, values in views.items()
        }
    except FileNotFoundError as error:
        raise CalibrationError(f"expected a calibration {path}, found none.", "Correct the rig file.") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CalibrationError(f"{path} is malformed: {error!r}.", "Calibrate again.") from error
