"""A rig: the devices that record together, named in a YAML file; `simulated` is built in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import hoi_core
from capture import bandwidth
from capture.device import Device, Rig, StagedRig
from capture.rig_file import DEVICES, SIMULATED, Entry, RigFile, find_rig, read_rig, rig_paths
from hoi_core import plugins
from hoi_core.edges import EdgeParams
from hoi_core.errors import HoiError
from hoi_core.sequence import Binding, CaptureHeader, open_capture, write_revision
from hoi_core.types import Camera

__all__ = [
    "Device",
    "DeviceRig",
    "RecordRequest",
    "Rig",
    "RigChoice",
    "is_simulated",
    "label_simulated",
    "list_rigs",
    "make_header",
    "open_rig",
]


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
    played = rig.object_name if isinstance(rig, StagedRig) else ""
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


def label_simulated(rig: Rig, folder: Path) -> None:
    """Beside a recording of the simulated rig write its truth, its object's mesh, and simulated clicks as r000.

    Does nothing for any other rig.
    """
    if not isinstance(rig, StagedRig):
        return
    from hoi_core.mano import ManoLayer

    rig.write_truth(folder)
    rig.write_meshes(folder.parents[1])
    clicks = rig.simulated_clicks(folder)
    hand = ManoLayer.from_env(next(iter(clicks.hands), "right")).model
    with open_capture(folder) as capture:
        binding = Binding(capture.content_hash(), mano_source=hand.source, shapedirs_fixed=hand.shapedirs_fixed)
    write_revision(folder, clicks, binding=binding)


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
        DeviceError: a device is missing or busy, or the streams do not fit through USB; what was opened is released.
    """
    if is_simulated(name):
        from hoi_core.mano import ManoLayer

        # The clicks are bound to the user's hand model: find out before recording whether it can be read.
        ManoLayer.from_env(options.get("side") or "right")
        module = plugins.load(DEVICES, SIMULATED)
        rig: Rig = module.open(module.Config(**{k: v for k, v in options.items() if v is not None}))
        return rig
    file = read_rig(find_rig(name, root))
    cameras = _cameras(root, file.calibration)
    _require_bandwidth(file)
    opened: list[Device | Rig] = []
    try:
        for entry in file.entries:
            opened.append(_open_entry(entry, cameras, file.calibration))
    except BaseException:
        for part in opened:
            part.stop()
        raise
    if len(opened) == 1 and isinstance(opened[0], Rig):
        return opened[0]
    return DeviceRig(file.name, file.calibration, opened)


@dataclass(frozen=True)
class RigChoice:
    """A rig that can be opened, for a picker."""

    name: str
    """What `--rig` takes."""
    path: Path | None
    """Its file; None for the built-in one."""
    devices: tuple[str, ...]
    """Its devices, in words."""
    problem: str = ""
    """Why it cannot be opened now; empty if nothing speaks against it."""


def list_rigs(root: Path) -> list[RigChoice]:
    """The built-in rig and those of `<root>/rigs`, with what is wrong with each; nothing is opened."""
    choices = [RigChoice(SIMULATED, None, ("two simulated D435s", "simulated edge sensor"))]
    for path in rig_paths(root):
        try:
            file = read_rig(path)
            devices = tuple(entry.label for entry in file.entries)
        except HoiError as error:
            choices.append(RigChoice(path.stem, path, (), str(error)))
            continue
        choices.append(RigChoice(path.stem, path, devices, _problem(file, root)))
    return choices


def _problem(file: RigFile, root: Path) -> str:
    try:
        _cameras(root, file.calibration)
        _require_bandwidth(file)
        missing = [entry.missing for entry in file.entries if entry.missing]
        if missing:
            return f"not found: {', '.join(missing)}."
        live = [entry for entry in file.entries if _is_live_realsense(entry)]
        if live:
            from capture.devices import realsense

            there = {info.serial for info in realsense.find()}
            away = [
                entry.label for entry in live if entry.config.serial not in there and (entry.config.serial or not there)
            ]
            if away:
                return f"not connected: {', '.join(away)}."
    except HoiError as error:
        return str(error)
    return ""


def _is_live_realsense(entry: Entry) -> bool:
    return entry.type == "realsense" and not entry.config.file


def _require_bandwidth(file: RigFile) -> None:
    """Refuse modes that cannot get through the connections of the cameras that are plugged in."""
    live = [entry for entry in file.entries if _is_live_realsense(entry)]
    if not live:
        return
    from capture.devices import realsense

    plugged = {info.serial: info for info in realsense.find()}
    modes, places = [], {}
    for entry in live:
        config = entry.config
        info = plugged.get(config.serial) or (next(iter(plugged.values()), None) if not config.serial else None)
        if info is not None:
            places[config.view] = bandwidth.connection(info)
            modes += [
                bandwidth.Mode(kind, size.width, size.height, size.fps, config.view)
                for kind, size in config.sizes().items()
            ]
    bandwidth.plan(modes, places).require()


def _open_entry(entry: Entry, cameras: Mapping[str, Camera], calibration: str) -> Device | Rig:
    config = entry.config
    known = {field.name for field in fields(config)}
    view = getattr(config, "view", "")
    if view in cameras and "camera" in known:
        config = replace(config, camera=cameras[view])
    elif cameras and "cameras" in known:
        # A whole rig, such as the simulated one, takes them all.
        config = replace(config, cameras=cameras, calibration=calibration)
    opened: Device | Rig = entry.module.open(config)
    return opened


def _cameras(root: Path, calibration: str) -> Mapping[str, Camera]:
    if not calibration:
        return {}
    from capture.calibrate.store import read_calibration

    return read_calibration(root, calibration)
