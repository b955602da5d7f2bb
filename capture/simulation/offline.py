"""Write a take of the simulated rig without playing it: as fast as it is drawn, on however busy a machine.

Its clocks are the true ones, or what the recorder's time model finds from the same arrival times and images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from capture import sync
from capture.devices.simulated import SimulatedRig
from capture.motion import MotionTrack, settled
from capture.rig import label_simulated, make_header
from capture.simulation.play_scene import PlayScene
from capture.timekeeper import Timekeeper
from hoi_core.errors import ConfigError
from hoi_core.sequence import REFERENCE, CaptureHeader, CaptureWriter, Clock, new_sequence_dir, register_recording
from hoi_core.sequence.layout import CAPTURE
from hoi_core.types import Frame, StreamInfo

_EXPOSURE_US = 8500.0


def write_take(
    rig: SimulatedRig, root: Path, request: CaptureHeader, *, colour: bool = True, measured: bool = False
) -> Path:
    """Write `capture.h5`, the truth and the clicks of a take of the play that is not started.

    Args:
        rig: plays a hand taking an object; it is neither started nor stopped.
        root: the dataset.
        request: what the new sequence is called, and who plays.
        colour: False leaves the colour images black and the sensor out: depth and clicks are what fits need.
        measured: whether the clocks are measured as the recorder does it (which takes colour), instead of true.

    Returns:
        The sequence's folder.

    Raises:
        SequenceError: the sequence exists.
        ConfigError: the rig shows no play.
    """
    scene = rig.scene
    if not isinstance(scene, PlayScene) or rig.config.live:
        raise ConfigError("only a play of a fixed length can be written offline.", "Use `scene: play`, `live: false`.")
    if colour:
        rig.prepare()
    streams = [info for device in rig.devices for info in device.streams if colour or info.kind == "camera"]
    header = replace(make_header(rig, request), rig="simulated offline")
    folder = new_sequence_dir(root, request.sequence)
    timekeeper, motion = Timekeeper(streams), MotionTrack(streams)
    with CaptureWriter.create(folder / CAPTURE, header, streams) as writer:
        for frame in _frames(rig, scene, streams, colour=colour):
            writer.append(frame)
            if measured:
                timekeeper.add(frame)
                motion.add(frame.stream, frame.t_device_ns, frame.image)
        clocks = {info.name: _true_clock(rig, info.view) for info in streams}
        if measured:
            clocks = settled(timekeeper.fit(), motion, REFERENCE)
        seconds = _write_times(writer, clocks, rig.config.fps)
    register_recording(root, header, seconds=seconds, drops=0, status="recorded")
    label_simulated(rig, folder)
    return folder


def _frames(rig: SimulatedRig, scene: PlayScene, streams: list[StreamInfo], *, colour: bool) -> Iterator[Frame]:
    """Every frame that the devices would have delivered, in the order of their numbers."""
    black = {info.name: np.zeros(info.shape, np.uint8) for info in streams if info.content == "color"}
    by_view: dict[str, list[StreamInfo]] = {}
    for info in streams:
        by_view.setdefault(info.view, []).append(info)
    for n in range(rig.config.frames):
        for name, infos in by_view.items():
            timeline = rig.timelines[name]
            if reason := timeline.missing(n):
                timeline.lost[n] = reason
                continue
            slot = scene.reel.slot(n)
            if colour:
                first, second = scene.develop(name, slot, n)
            else:
                first, second = black[f"{name}/color"], scene.depth(name, slot, n)
            images = {"color": first, "gray": first, "depth": second, "edge": second}
            stamp, arrival_ns = timeline.stamp(n), timeline.due_ns(n)
            for info in infos:
                yield Frame(
                    info.name,
                    stamp.frame_number,
                    stamp.t_device_ns,
                    arrival_ns,
                    rig.config.clock_domain,
                    images[info.content],
                    _EXPOSURE_US,
                )


def _write_times(writer: CaptureWriter, clocks: Mapping[str, Clock], fps: int) -> float:
    """Clocks, moments and drops; returns the seconds from the first to the last moment."""
    times = {}
    for stream, clock in clocks.items():
        columns = writer.columns(stream)
        times[stream] = sync.StreamTimes(columns["frame_number"], clock.to_common_ns(columns["t_device_ns"]))
        writer.set_clock(stream, clock)
    moments, drops = sync.align(times, REFERENCE, 1e9 / fps, whole=True)
    writer.extend_sync(moments.t_ns, moments.index, moments.skew_ns)
    writer.extend_drops(drops)
    return float(np.ptp(moments.t_ns)) * 1e-9


def _true_clock(rig: SimulatedRig, name: str) -> Clock:
    """The line from what a device's clock shows to the true time."""
    clock = rig.clocks[name]
    drift_ppm = (1.0 / (1.0 + clock.drift_ppm * 1e-6) - 1.0) * 1e6
    return Clock.line(clock.offset_ns, -clock.offset_ns, drift_ppm, 0.0)
