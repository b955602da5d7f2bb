"""The simulated rig's three devices as the recorder meets them: two software D435s and the edge sensor."""

from __future__ import annotations

import time

from capture.devices import realsense
from capture.simulation.develop import Images
from capture.simulation.edge_sensor import EdgeSensor
from capture.simulation.software_bus import SoftwareBus
from capture.simulation.software_d435 import Shot, SoftwareD435
from capture.simulation.timeline import Stamp
from capture.simulation.twin import SENSOR, VIEWS, Cameras
from hoi_core.errors import DeviceError
from hoi_core.types import ClockDomain, Frame, StreamInfo

DEVICES = (*VIEWS, SENSOR)
SERIALS = {"left": "000000000001", "right": "000000000002", SENSOR: "edge128-simulated"}
_SENSOR_EXPOSURE_US = 8000.0
_SENSOR_GAIN = 16.0
# A rig may stand open for long while its scene is drawn.
_SILENCE_S = 120.0


class Outlets:
    """Opens the devices and delivers to them.

    Args:
        cameras: true ones for the images, calibrated ones for the streams.
        fps: frames per second.
        domain: clock that device times count.
    """

    def __init__(self, cameras: Cameras, fps: int, domain: ClockDomain) -> None:
        self._domain: ClockDomain = domain
        true, said = cameras.true, cameras.calibrated

        def maker(view: str) -> SoftwareD435:
            color, depth = true[f"{view}/color"], true[f"{view}/depth"]
            return SoftwareD435(SERIALS[view], color, depth, cameras.T_color_depth, fps)

        self._bus = SoftwareBus({view: (lambda view=view: maker(view)) for view in VIEWS})  # type: ignore[misc]
        names = (f"{SENSOR}/gray", f"{SENSOR}/edge")
        self._sensor = EdgeSensor(
            [StreamInfo(s, "sensor", (128, 128), "uint8", float(fps), said[s], SERIALS[SENSOR]) for s in names],
            {"exposure_us": _SENSOR_EXPOSURE_US, "gain": _SENSOR_GAIN, "auto_exposure": False},
        )
        self.devices: list[realsense.RealSense | EdgeSensor] = [
            *(
                realsense.open(
                    realsense.Config(
                        serial=SERIALS[view],
                        view=view,
                        fps=fps,
                        silence_s=_SILENCE_S,
                        camera=said[f"{view}/color"],
                    ),
                    self._bus.context,
                )
                for view in VIEWS
            ),
            self._sensor,
        ]
        """Two D435s and the sensor."""

    def plug(self, name: str) -> None:
        """Put a device's plug in again."""
        if name == SENSOR:
            self._sensor.plug()
        else:
            self._bus.plug(name)

    def unplug(self, name: str) -> None:
        """Pull a device's plug."""
        if name == SENSOR:
            self._sensor.unplug()
        else:
            self._bus.unplug(name)

    def ready(self, name: str) -> bool:
        """Whether the device is there and open."""
        return self._sensor.open if name == SENSOR else self._bus.ready(name)

    def push(self, name: str, stamp: Stamp, images: Images) -> None:
        """Deliver the images of one exposure."""
        if name != SENSOR:
            shot = Shot(stamp.frame_number, stamp.t_device_ns * 1e-6, self._domain)
            self._bus.push(name, shot, images[0], images[1])
            return
        host_ns = time.monotonic_ns()
        self._sensor.deliver(
            [
                Frame(
                    info.name,
                    stamp.frame_number,
                    stamp.t_device_ns,
                    host_ns,
                    self._domain,
                    image,
                    _SENSOR_EXPOSURE_US,
                    _SENSOR_GAIN,
                )
                for info, image in zip(self._sensor.streams, images, strict=True)
            ]
        )

    def fail(self, error: DeviceError) -> None:
        """Let whoever reads know that nothing more will come."""
        self._sensor.failure = error
