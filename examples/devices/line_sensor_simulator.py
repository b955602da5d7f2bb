"""Sends what the sensor of line_sensor.py would send: a disc that moves over a ramp.

Example: python examples/devices/line_sensor_simulator.py --port 5128
"""

from __future__ import annotations

import argparse
import socket
import struct
import threading
import time
import zlib
from contextlib import suppress

import numpy as np

SIDE = 128
EXPOSURE_US = 8000


def image(number: int) -> np.ndarray:
    """The image with this counter. `(128, 128)` uint8."""
    y, x = np.mgrid[:SIDE, :SIDE]
    centre = 64 + 40 * np.cos(0.1 * number), 64 + 40 * np.sin(0.1 * number)
    disc = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < 15**2
    return np.where(disc, 230, 40 + x // 2).astype(np.uint8)


def packet(number: int, start_us: int) -> bytes:
    """One image as it goes over the line."""
    body = struct.pack("<IQI", number, start_us, EXPOSURE_US) + image(number).tobytes()
    return b"HOI1" + body + struct.pack("<I", zlib.crc32(body))


class Simulator:
    """A sensor on a TCP port of this machine; counter and clock begin anew with every connection.

    Args:
        port: TCP port; 0 takes a free one.
        fps: images per second.
    """

    def __init__(self, port: int = 0, fps: float = 30.0) -> None:
        self._server = socket.create_server(("127.0.0.1", port))
        self._fps = fps
        self._ending = threading.Event()
        self._client: socket.socket | None = None
        self.port = int(self._server.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """What a rig file calls it."""
        return f"127.0.0.1:{self.port}"

    def unplug(self) -> None:
        """Drop the connection; the sensor can be connected to again."""
        client = self._client
        if client is not None:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End."""
        self._ending.set()
        self.unplug()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(timeout=2.0)

    def _serve(self) -> None:
        while not self._ending.is_set():
            try:
                self._client, _ = self._server.accept()
            except OSError:
                return
            with self._client as client, suppress(OSError):
                self._send(client)

    def _send(self, client: socket.socket) -> None:
        begin = time.monotonic()
        number = 0
        while not self._ending.wait(max(begin + number / self._fps - time.monotonic(), 0.0)):
            start_us = round(number * 1e6 / self._fps) + 1_000_000
            client.sendall(packet(number, start_us))
            number += 1


def main() -> None:
    """Run until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=5128, help="TCP port (default 5128)")
    parser.add_argument("--fps", type=float, default=30.0, help="images per second (default 30)")
    options = parser.parse_args()
    simulator = Simulator(options.port, options.fps)
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
    simulator.close()


if __name__ == "__main__":
    main()
