"""Whether the streams of a rig fit through their USB connections, found out before recording."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from capture.d435_modes import Table
from hoi_core.errors import DeviceError
from hoi_core.types import StreamInfo

# What gets through in practice. USB 3 (5 Gbit/s): a host controller passes about 3500 Mbit/s, a hub about 2400
# (ximea.com/support/wiki/usb3/Multiple_Cameras_Setup). USB 2 (480 Mbit/s): about 280 Mbit/s, shared by all devices.
CONTROLLER_MBS = 437.0
HUB_MBS = 300.0
USB2_MBS = 35.0
_SPEED: Mapping[str, float] = {"1": 1.0, "2": USB2_MBS, "3": CONTROLLER_MBS}

# Bytes a pixel on the wire: colour goes as YUYV and becomes RGB in the host, depth as Z16, infrared as Y8
# (support.framos.com/support/solutions/articles/48001167253-how-to-estimate-the-data-rate-).
WIRE_BYTES: Mapping[str, int] = {"color": 2, "depth": 2, "infrared": 1}


@dataclass(frozen=True)
class Mode:
    """One stream as it goes over the wire."""

    kind: str
    """`color`, `depth` or `infrared`."""
    width: int
    """px."""
    height: int
    """px."""
    fps: float
    """Frames per second."""
    device: str = ""
    """View or serial number of the camera it comes from."""
    bytes_per_px: int = 0
    """On the wire; 0 as a RealSense sends this kind."""

    @property
    def megabytes_per_s(self) -> float:
        """Load on the connection, MB/s (10^6 bytes)."""
        size = self.bytes_per_px or WIRE_BYTES.get(self.kind, 2)
        return self.width * self.height * size * self.fps * 1e-6

    def __str__(self) -> str:
        name = f"{self.device} {self.kind}".strip()
        return f"{name} {self.width}x{self.height}@{self.fps:g} ({self.megabytes_per_s:.1f} MB/s)"


@dataclass(frozen=True)
class Connection:
    """Where a camera is plugged in."""

    usb: str = "3.2"
    """USB version it runs at."""
    controller: str = ""
    """Host controller, such as `0000:00:14.0`; empty where unknown: then the camera counts as alone on one."""
    hub: str = ""
    """Hub on that controller, such as `2-1`; empty for a port of its own."""


@dataclass(frozen=True)
class Share:
    """The load on one connection, hub or controller."""

    name: str
    """What it is."""
    load_mbs: float
    """MB/s asked for."""
    limit_mbs: float
    """MB/s that get through."""
    modes: tuple[Mode, ...]
    """The streams that go through it."""

    def __str__(self) -> str:
        return f"{self.name}: {self.load_mbs:.1f} of {self.limit_mbs:.0f} MB/s"


@dataclass(frozen=True)
class Plan:
    """Whether a set of modes is possible."""

    shares: tuple[Share, ...]
    """Every bottleneck with its load."""
    problems: tuple[str, ...] = ()
    """Why it is impossible; empty if nothing speaks against it."""
    advice: tuple[str, ...] = ()
    """What to change, most helpful first."""

    @property
    def possible(self) -> bool:
        """Whether recording may begin."""
        return not self.problems

    def require(self) -> None:
        """Refuse an impossible plan.

        Raises:
            DeviceError: it does not fit; says why, and what to change.
        """
        if self.problems:
            raise DeviceError(" ".join(self.problems), " ".join(self.advice))


class Plugged(Protocol):
    """What a connected camera says about its place; `realsense.DeviceInfo` is one."""

    @property
    def serial(self) -> str:
        """Serial number."""

    @property
    def usb(self) -> str:
        """USB version."""

    @property
    def port(self) -> str:
        """Port as the system names it."""


def plan(streams: Sequence[Mode], usb: str | Mapping[str, Connection] = "3.2", table: Table | None = None) -> Plan:
    """Add up what goes through each connection, hub and controller.

    Args:
        streams: all that is to be recorded.
        usb: the USB version of all cameras, each alone on its controller, or the connection of each by device.
        table: modes that the cameras offer; None does not check them (a connected camera refuses by itself).
    """
    names = dict.fromkeys(mode.device for mode in streams)
    places = {name: Connection(usb) if isinstance(usb, str) else usb.get(name, Connection()) for name in names}
    shares = _shares(streams, places)
    problems = [_not_offered(mode, table, places[mode.device]) for mode in streams if not _offers(table, mode)]
    crowded = [share for share in shares if share.load_mbs > share.limit_mbs]
    problems += [f"{share} do not fit: {', '.join(map(str, share.modes))}." for share in crowded]
    return Plan(tuple(shares), tuple(problems), tuple(_advice(crowded, places)) if problems else ())


def connection(info: Plugged) -> Connection:
    """Where a camera is plugged in, read from its port.

    Ports read like `.../0000:00:14.0/usb2/2-1/2-1.3/2-1.3:1.0/video4linux/video0` (kernel driver) or `2-1.3-7`
    (user-space driver: bus, ports, address): a dot means that there is a hub in between.
    """
    controller = re.search(r"([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f])/usb\d+", info.port)
    places = re.findall(r"(?:^|/)(\d+-\d+(?:\.\d+)*)(?=[-/:]|$)", info.port)
    place = max(places, key=len) if places else ""
    bus = place.split("-", 1)[0]
    return Connection(
        usb=info.usb,
        controller=controller.group(1) if controller else (f"bus {bus}" if bus else ""),
        hub=place.rsplit(".", 1)[0] if "." in place else "",
    )


def modes_of(streams: Sequence[StreamInfo]) -> list[Mode]:
    """The modes of streams that come over USB: those with a camera's serial number, but not a sensor's."""
    return [
        Mode(info.content, info.shape[1], info.shape[0], info.fps, info.device)
        for info in streams
        if info.kind == "camera" and info.content in WIRE_BYTES
    ]


def verdict(streams: Sequence[StreamInfo], plugged: Sequence[Plugged] | None = None) -> str:
    """Whether the streams of an open rig fit, in one line.

    Args:
        streams: all streams of the rig.
        plugged: connected cameras; None asks librealsense.

    Raises:
        DeviceError: they do not; says what to change.
    """
    if plugged is None:
        from capture.devices import realsense

        plugged = realsense.find()
    places = {info.serial: connection(info) for info in plugged}
    modes = [mode for mode in modes_of(streams) if mode.device in places]
    if not modes:
        return "no USB camera in this rig"
    found = plan(modes, places)
    found.require()
    return "; ".join(map(str, found.shares))


def _shares(streams: Sequence[Mode], places: Mapping[str, Connection]) -> list[Share]:
    groups: dict[tuple[str, float], list[Mode]] = {}
    for mode in streams:
        place = places[mode.device]
        slow = _SPEED.get(place.usb[:1], CONTROLLER_MBS)
        fast = place.usb[:1] not in ("1", "2")
        # The bandwidth of USB 2 is that of the whole bus, however many hubs it has.
        bus = place.controller or mode.device
        if not fast:
            groups.setdefault((f"USB {place.usb} of {bus}", slow), []).append(mode)
            continue
        groups.setdefault((f"USB controller of {bus}", CONTROLLER_MBS), []).append(mode)
        if place.hub:
            groups.setdefault((f"USB hub {place.hub} on {bus}", HUB_MBS), []).append(mode)
    return [
        Share(name.strip(), sum(mode.megabytes_per_s for mode in modes), limit, tuple(modes))
        for (name, limit), modes in groups.items()
    ]


def _offers(table: Table | None, mode: Mode) -> bool:
    if table is None or mode.kind not in table:
        return True
    return round(mode.fps) in table[mode.kind].get((mode.width, mode.height), ())


def _not_offered(mode: Mode, table: Table | None, place: Connection) -> str:
    sizes = (table or {}).get(mode.kind, {})
    some = ", ".join(f"{w}x{h}@{max(fps)}" for (w, h), fps in sizes.items())
    return f"{mode} is not offered at USB {place.usb}; up to: {some}."


def _advice(crowded: Sequence[Share], places: Mapping[str, Connection]) -> list[str]:
    slow = [name for name, place in places.items() if place.usb.startswith(("1", "2"))]
    advice = [f"Plug {', '.join(slow)} into a USB 3 port with a USB 3 cable."] if slow else []
    for share in crowded:
        if len({mode.device for mode in share.modes}) > 1:
            advice.append("Plug the cameras into ports of different controllers, without a hub (lsusb -t shows them).")
            break
    if crowded:
        worst = max(crowded, key=lambda share: share.load_mbs / share.limit_mbs)
        factor = worst.limit_mbs / worst.load_mbs
        widest = max(worst.modes, key=lambda mode: mode.megabytes_per_s)
        advice.append(
            f"Or lower rates or sizes to {100 * factor:.0f} % of what they are, beginning with {widest}; "
            "a depth stream may be slower than colour (depth_fps)."
        )
    return advice or ["Choose sizes and rates that are offered (hoi-devices --modes)."]
