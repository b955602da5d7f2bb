"""Writes a dataset of two one-frame recordings in our own layout, for tests and as an example of the format.

Its participant is nobody, and has agreed to everything.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hoi_core import camera as cameras
from hoi_core import mesh_file
from hoi_core import sequence as sequences
from hoi_core.conventions import BONES, N_JOINTS, Side
from hoi_core.edges import EdgeParams
from hoi_core.mano import ManoLayer
from hoi_core.render import Mesh, render_depth
from hoi_core.rotation import exp_so3
from hoi_core.sequence.consent import SCOPES, Consent, set_consent
from hoi_core.types import (
    F64,
    JOINT_SOURCES,
    STATUSES,
    U8,
    Camera,
    Frame,
    HandKeypoints,
    HandTrack,
    ObjectTrack,
    Revision,
    StreamInfo,
)

_VIEW = "left"
_ABOUT = {"format": "hoi-dataset", "format_version": "1.0", "name": "tiny", "licence": "CC0-1.0"}
_OBJECT = "box"
_UNIT_M = 0.0001


def write(folder: Path, frames: int = 1) -> Path:
    """Write `seq_001` (a right hand) and `seq_002` (a left hand), one view with depth each, and a box beside the hand.

    Args:
        folder: root of the new dataset.
        frames: moments per sequence.

    Returns:
        The root.
    """
    hands: tuple[Side, Side] = ("right", "left")
    mesh = Path(folder) / "objects" / _OBJECT / "mesh.obj"
    mesh.parent.mkdir(parents=True, exist_ok=True)
    mesh_file.write_obj(mesh, *_box())
    for number, side in enumerate(hands, start=1):
        _write_sequence(Path(folder), f"seq_{number:03d}", side, frames)
    (Path(folder) / "dataset.json").write_text(json.dumps(_ABOUT), encoding="utf8")
    set_consent(Path(folder), "p01", Consent("1", SCOPES, date(2026, 1, 1), None))
    return Path(folder)


def _write_sequence(root: Path, name: str, side: Side, frames: int) -> None:
    pose = cameras.look_at(np.array([0.05, -0.35, 0.45]), np.array([0.0, 0.0, 0.05]), np.array([0.0, 0.0, 1.0]))
    camera = Camera(320, 240, 300.0, 300.0, 159.5, 119.5, (0.0,) * 5, "inverse_brown_conrady", pose)
    track = _hand(side, frames)
    color = StreamInfo(f"{_VIEW}/color", "camera", (240, 320, 3), "uint8", 30.0, camera, "000001")
    depth = replace(
        color, name=f"{_VIEW}/depth", shape=(240, 320), dtype="uint16", depth_scale_m=_UNIT_M, T_depth_color=np.eye(4)
    )
    folder = sequences.new_sequence_dir(root, name)
    header = sequences.CaptureHeader(
        name, participant="p01", objects=(_OBJECT,), rig="tiny", edge_params=EdgeParams().to_dict()
    )
    t_ns = np.arange(frames, dtype=np.int64) * 33_333_333
    writer = sequences.CaptureWriter.create(folder / "capture.h5", header, [color, depth])
    for m in range(frames):
        pixels = cameras.project(camera, cameras.transform(camera.T_cam_world, track.joints_m[m]))
        t = int(t_ns[m])
        for stream, image in ((color, _drawing(camera, pixels)), (depth, _depth(camera, side, track, m))):
            writer.append(Frame(stream.name, m, t, t, "hardware_clock", image))
        writer.sync(t, {color.name: m, depth.name: m}, {color.name: 0, depth.name: 0})
    writer.close()
    with sequences.open_capture(folder) as capture:
        binding = sequences.Binding(capture.content_hash(), ManoLayer.from_env(side).model.source)
    revision = Revision(
        t_ns=t_ns,
        hands={side: track},
        objects={_OBJECT: _track(frames)},
        keypoints={side: HandKeypoints({_VIEW: np.full((frames, N_JOINTS, 3), np.nan)})},
        frame_index={_VIEW: np.arange(frames, dtype=np.int64)},
        author="auto",
    )
    sequences.write_revision(folder, revision, binding=binding)


def _box() -> tuple[F64, NDArray[np.int32]]:
    """A box of 4 x 6 x 8 cm, m, and its faces, outward."""
    vertices_m = np.array([[x, y, z] for x in (-0.02, 0.02) for y in (-0.03, 0.03) for z in (-0.04, 0.04)])
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return vertices_m, np.array([(a, *two) for a, b, c, d in sides for two in ((b, c), (c, d))], np.int32)


def _track(frames: int) -> ObjectTrack:
    """The box, turning beside the hand."""
    turns = exp_so3(np.linspace(0.0, 1.0, frames)[:, None] * [0.0, 0.0, 0.5])
    return ObjectTrack(
        T_world_obj=cameras.rigid(turns, np.array([0.16, -0.02, 0.05])),
        valid=np.ones(frames, dtype=np.bool_),
        status=np.full(frames, STATUSES.index("auto"), dtype=np.uint8),
    )


def _depth(camera: Camera, side: Side, track: HandTrack, m: int) -> NDArray[np.uint16]:
    """Hand and box as a depth camera in the place of the colour camera measures them; holes around."""
    layer, some = ManoLayer.from_env(side), slice(m, m + 1)
    posed = layer(track.orient[some], track.pose[some], track.betas, track.trans_m[some])
    vertices_m, faces = _box()
    placed_m = cameras.transform(_track(len(track.valid)).T_world_obj[m], vertices_m)
    surfaces = ((posed.vertices_m[0], layer.closed_faces.astype(np.int32)), (placed_m, faces))
    meshes = [Mesh(points_m, of, np.zeros(points_m.shape, np.uint8), 1) for points_m, of in surfaces]
    return np.rint(render_depth(meshes, camera)[0] / _UNIT_M).astype(np.uint16)


def _hand(side: Side, frames: int) -> HandTrack:
    """A hand that turns and bends a little more in each frame."""
    rng = np.random.default_rng(len(side))
    orient = rng.normal(0.0, 0.2, (frames, 3)) + np.linspace(0.0, 1.0, frames)[:, None] * [0.0, 0.6, 0.3]
    pose = rng.normal(0.0, 0.15, (frames, 45))
    trans_m = np.tile([0.0, 0.0, 0.05], (frames, 1)) + rng.normal(0.0, 0.01, (frames, 3))
    betas = rng.normal(0.0, 0.5, 10)
    joints_m = np.asarray(ManoLayer.from_env(side)(orient, pose, betas, trans_m).joints_m)
    # The template lies beside its origin; bring the hand in front of the camera.
    shift = np.array([0.0, 0.0, 0.05]) - joints_m.mean((0, 1))
    return HandTrack(
        orient=orient,
        pose=pose,
        betas=betas,
        trans_m=trans_m + shift,
        joints_m=joints_m + shift,
        joint_cov_m2=np.full((frames, N_JOINTS, 3, 3), np.nan),
        valid=np.ones(frames, dtype=np.bool_),
        status=np.full(frames, STATUSES.index("auto"), dtype=np.uint8),
        joint_source=np.full((frames, N_JOINTS), JOINT_SOURCES.index("fitted"), dtype=np.uint8),
    )


def _drawing(camera: Camera, pixels: F64) -> U8:
    """The skeleton as thick bright strokes on a dark, unquiet ground."""
    import cv2

    image = np.random.default_rng(0).integers(20, 60, (camera.height, camera.width, 3)).astype(np.uint8)
    ends = np.rint(pixels).astype(int)
    for parent, joint in BONES:
        cv2.line(image, ends[parent].tolist(), ends[joint].tolist(), (230, 190, 170), 5)
    return image
