"""A 128x128 sensor that speaks its own protocol over a TCP socket or a serial line: an example of a device type.

Use it in a rig file with its path as the type, see examples/rigs/own_sensor.yaml. Each image comes as a packet:

    4 bytes  magic "HOI1"
    u32      counter, goes up by one with every image
    u64      start of the exposure on the sensor's clock, microseconds
    u32      exposure, microseconds
    16384    gray values, row by row
    u32      CRC-32 of everything after the magic

All numbers are little-endian. A packet that does not arrive whole is skipped: its counter is then missing, which the
recorder lists as a drop.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capture.device import BaseDevice
from hoi_core import edges
from hoi_core.errors import DeviceError
from hoi_core.types import Camera, Frame, StreamInfo

MAGIC = b"HOI1"
HEADER = struct.Struct("<IQI")
SIDE = 128
BODY_BYTES = HEADER.size + SIDE * SIDE
PACKET_BYTES = len(MAGIC) + BODY_BYTES + 4
_SILENCE_S = 5.0
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Config:
    """The sensor of a rig."""

    address: str = "127.0.0.1:5128"
    """`host:port`, or the device file of a serial line such as `/dev/ttyUSB0` (set its speed with stty)."""
    view: str = "edge128"
    """Name of the sensor, the first part of its streams' names."""
    fps: float = 30.0
    """Images per second."""
    focal_px: float = 140.0
    """Focal length to start from where the sensor is not calibrated, px."""
    camera: Camera | None = None
    """Calibrated camera; filled in from the rig's calibration."""


def open(config: Config) -> LineSensor:  # noqa: A001 - the device contract's name
    """Connect to the sensor.

    Raises:
        DeviceError: nobody answers at that address.
    """
    return LineSensor(config)


class LineSensor(BaseDevice):
    """The sensor: gray images as they come, and the edges of each."""

    def __init__(self, config: Config) -> None:
        self.config = config
        middle = 0.5 * (SIDE - 1)
        camera = config.camera or Camera(SIDE, SIDE, config.focal_px, config.focal_px, middle, middle)
        self.streams = [
            StreamInfo(f"{config.view}/{name}", "sensor", (SIDE, SIDE), "uint8", config.fps, camera, config.address)
            for name in ("gray", "edge")
        ]
        self.settings: dict[str, object] = {"address": config.address, "protocol": MAGIC.decode()}
        self.bad_packets = 0
        self._line: int | None = None
        self._received = b""
        self._last_s = 0.0
        self._connect()

    def read(self, timeout_s: float) -> list[Frame]:
        """Wait for images; empty after the timeout.

        Raises:
            DeviceError: the line was closed, or has been silent for too long.
        """
        line = self._line
        if line is None:
            raise self._gone("is closed")
        ready, _, _ = select.select([line], [], [], timeout_s)
        arrival_ns = time.monotonic_ns()
        if not ready:
            if time.monotonic() - self._last_s > _SILENCE_S:
                raise self._gone(f"has sent nothing for {_SILENCE_S:g} s")
            return []
        try:
            received = os.read(line, _CHUNK)
        except OSError as error:
            raise self._gone(f"failed: {error.strerror}") from error
        if not received:
            raise self._gone("was unplugged")
        self._last_s = time.monotonic()
        self._received += received
        return [frame for body in self._bodies() for frame in self._frames(body, arrival_ns)]

    def stop(self) -> None:
        """Close the line; does nothing the second time."""
        line, self._line = self._line, None
        if line is not None:
            with suppress(OSError):
                os.close(line)

    def reopen(self) -> None:
        """Connect again; counter and clock of the sensor may have started anew, which the recorder sorts out.

        Raises:
            DeviceError: nobody answers.
        """
        self.stop()
        self._received = b""
        self._connect()

    def _connect(self) -> None:
        try:
            if self.config.address.startswith("/"):
                self._line = os.open(Path(self.config.address), os.O_RDONLY | os.O_NOCTTY)
            else:
                host, port = self.config.address.rsplit(":", 1)
                self._line = socket.create_connection((host, int(port)), timeout=2.0).detach()
                os.set_blocking(self._line, True)
        except (OSError, ValueError) as error:
            raise self._gone(f"does not answer: {error}") from error
        self._last_s = time.monotonic()

    def _bodies(self) -> list[bytes]:
        """The whole packets received so far, without magic and checksum."""
        found: list[bytes] = []
        while True:
            start = self._received.find(MAGIC)
            if start < 0:
                self._received = self._received[-len(MAGIC) + 1 :]
                return found
            packet = self._received[start : start + PACKET_BYTES]
            if len(packet) < PACKET_BYTES:
                self._received = self._received[start:]
                return found
            body, checksum = packet[len(MAGIC) : -4], packet[-4:]
            if zlib.crc32(body) == int.from_bytes(checksum, "little"):
                found.append(body)
                self._received = self._received[start + PACKET_BYTES :]
            else:  # damaged, or these four bytes were part of an image: look for the next beginning
                self.bad_packets += 1
                self._received = self._received[start + 1 :]

    def _frames(self, body: bytes, arrival_ns: int) -> list[Frame]:
        number, start_us, exposure_us = HEADER.unpack_from(body)
        gray = np.frombuffer(body, np.uint8, offset=HEADER.size).reshape(SIDE, SIDE).copy()
        middle_ns = 1000 * start_us + 500 * exposure_us
        return [
            Frame(info.name, number, middle_ns, arrival_ns, "hardware_clock", image, float(exposure_us))
            for info, image in zip(self.streams, (gray, edges.sobel_edges(gray)), strict=True)
        ]

    def _gone(self, what: str) -> DeviceError:
        return DeviceError(
            f"sensor {self.config.view} at {self.config.address} {what}.",
            "Check its power and its cable; for a try-out start examples/devices/line_sensor_simulator.py.",
        )
