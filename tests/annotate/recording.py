"""A small made-up recording on disk: a play of the scene, depth drawn and made noisy, clicks in r000, and truth."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from capture.simulation import noise
from hoi_core import camera as cameras
from hoi_core import rotation
from hoi_core.mano import ManoLayer
from hoi_core.render import Mesh, render_depth
from hoi_core.scene import motion, objects, unkind
from hoi_core.sequence import Binding, CaptureHeader, CaptureWriter, open_capture, write_revision, write_truth
from hoi_core.types import Camera, Frame, HandKeypoints, HandTrack, ObjectTrack, Revision, StreamInfo

FRAME_NS = 33_333_333


@dataclass(frozen=True)
class Take:
    """What to record."""

    seed: int = 0
    thing: str = "o01"
    start_s: float = 0.0
    moments: int = 180
    scale: float = 1.0
    """Size of the images, 1 for 640x480."""
    click_px: float = 2.0


def rig_cameras(scale: float) -> dict[str, Camera]:
    """Two views of the table, 75 degrees apart."""
    out = {}
    for view, degrees in (("left", -37.5), ("right", 37.5)):
        angle = np.deg2rad(degrees)
        eye = np.array([0.0, 0.0, 0.08]) + 0.62 * np.array([0.85 * np.sin(angle), -0.85 * np.cos(angle), 0.53])
        camera = Camera(640, 480, 615.0, 615.0, 320.0, 240.0)
        small = cameras.resize(camera, int(640 * scale), int(480 * scale))
        T = cameras.look_at(eye, np.array([0.0, 0.0, 0.08]), np.array([0.0, 0.0, 1.0]))
        out[view] = replace(small, T_world_cam=T)
    return out


def record(folder: Path, take: Take) -> None:
    """Write capture.h5, annotation.h5 (r000) and truth.h5 into a sequence's folder."""
    rng = np.random.default_rng(take.seed)
    layer = ManoLayer.stand_in("right")
    true_layer = unkind.unkind_layer(layer, rng)
    thing = objects.make(take.thing)
    play = motion.random_play(true_layer, rng.normal(size=10) * 0.6, thing, rng)
    t_s = take.start_s + np.arange(take.moments) / 30.0
    moments = play.at(t_s)
    calibrated = rig_cameras(take.scale)
    wrong = calibrated["right"].T_world_cam.copy()
    wrong[:3, :3] = wrong[:3, :3] @ rotation.exp_so3(rng.normal(size=3) * 0.0005)
    wrong[:3, 3] += rng.normal(size=3) * 0.0006
    true = calibrated | {"right": replace(calibrated["right"], T_world_cam=wrong)}
    folder.mkdir(parents=True)
    solid = (layer.closed_faces.astype(np.int32), thing)
    _write_images(folder, take, moments, solid, (calibrated, true), rng)
    _write_labels(folder, take, t_s, moments, true, rng)


def _write_images(folder, take, moments, solid, views, rng) -> None:
    (faces, thing), (calibrated, true) = solid, views
    streams = []
    for view, camera in calibrated.items():
        shape = (camera.height, camera.width)
        streams.append(StreamInfo(f"{view}/color", "camera", (*shape, 3), "uint8", 30.0, camera))
        streams.append(StreamInfo(f"{view}/depth", "camera", shape, "uint16", 30.0, camera, "", 0.001, np.eye(4)))
    banks = noise.NoiseBanks(rng)
    gray = np.full((778, 3), 128, np.uint8)
    header = CaptureHeader(sequence=folder.name, objects=(take.thing,))
    with CaptureWriter.create(folder / "capture.h5", header, streams) as writer:
        for m in range(take.moments):
            T = moments.T_world_obj[m]
            meshes = [
                Mesh(moments.vertices_m[m], faces, gray, 1),
                Mesh(cameras.transform(T, thing.shape.vertices_m), thing.shape.faces, thing.colors, 2),
                _table(),
            ]
            t_ns = m * FRAME_NS
            for view, camera in true.items():
                depth_m, _ = render_depth(meshes, camera)
                depth = noise.measure_depth(depth_m, camera.fx, noise.DepthNoise(), banks, rng)
                blank = np.zeros((*depth.shape, 3), np.uint8)
                for kind, image in (("color", blank), ("depth", depth)):
                    writer.append(Frame(f"{view}/{kind}", m + 1, t_ns, t_ns, "hardware_clock", image))
            names = [s.name for s in streams]
            writer.sync(t_ns, dict.fromkeys(names, m), dict.fromkeys(names, 0))
        writer.close()


def _table() -> Mesh:
    corners = np.array([[-0.5, -0.4, 0.0], [0.5, -0.4, 0.0], [0.5, 0.4, 0.0], [-0.5, 0.4, 0.0]])
    return Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]], np.int32), np.full((4, 3), 90, np.uint8), 3)


def _write_labels(folder, take, t_s, moments, true, rng) -> None:
    n = take.moments
    t_ns = np.arange(n) * FRAME_NS
    nothing = np.full((n, 21, 3, 3), np.nan)
    hand = HandTrack(
        moments.orient, moments.pose, moments.betas, moments.trans_m, moments.joints_m, nothing,
        np.ones(n, bool), np.zeros(n, np.uint8), np.zeros((n, 21), np.uint8),
    )  # fmt: skip
    thing = ObjectTrack(moments.T_world_obj, np.ones(n, bool), np.zeros(n, np.uint8))
    index = {view: np.arange(n) for view in true}
    truth = Revision(t_ns, {"right": hand}, {take.thing: thing}, {}, index, author="simulated")
    clock = (np.arange(n) + 1, t_ns)
    write_truth(
        folder, truth, vertices_m=moments.vertices_m.astype(np.float32), cameras={}, clocks={"left/color": clock}
    )
    keypoints = {}
    for view, camera in true.items():
        points = np.full((n, 21, 3), np.nan)
        drift = np.zeros((21, 2))
        for m in range(0, n, 5):
            fresh = rng.normal(size=(21, 2)) * take.click_px
            drift = 0.8 * drift + 0.6 * fresh if m else fresh
            local = cameras.transform(camera.T_cam_world, moments.joints_m[m])
            points[m, :, :2] = cameras.project(camera, local) + drift
            points[m, :, 2] = 1.0
        keypoints[view] = points
    nan = np.nan
    empty = HandTrack(
        np.full((n, 3), nan), np.full((n, 45), nan), np.zeros(10), np.full((n, 3), nan), np.full((n, 21, 3), nan),
        nothing, np.zeros(n, bool), np.zeros(n, np.uint8), np.zeros((n, 21), np.uint8),
    )  # fmt: skip
    clicks = Revision(
        t_ns,
        {"right": empty},
        {},
        {"right": HandKeypoints(keypoints)},
        index,
        author="simulated",
        keypoint_source="clicked",
    )
    with open_capture(folder) as capture:
        content = capture.content_hash()
    write_revision(folder, clicks, binding=Binding(content))
