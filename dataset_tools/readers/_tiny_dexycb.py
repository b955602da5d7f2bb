"""Writes a DexYCB in its own layout: four short sequences; the others, which the splits count, have no frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from dataset_tools.readers._dexycb_files import CLASSES, HEIGHT, SEQUENCES, SERIALS, SUBJECTS, WIDTH
from dataset_tools.readers._tiny_hands import TinyHand, depth, hand, labels, picture
from hoi_core import camera as cameras
from hoi_core.conventions import Side
from hoi_core.mano import ManoLayer
from hoi_core.rotation import exp_so3, log_so3
from hoi_core.types import F64, Camera

_FRAMES: dict[tuple[int, int], tuple[int, Side]] = {
    (0, 0): (2, "right"),
    (0, 4): (1, "right"),
    (6, 19): (1, "left"),
    (7, 39): (1, "right"),
}
"""Person and sequence -> frames and hand: with these no split is empty."""
_CENTRE_M = np.array([0.0, 0.0, 0.8])
_OBJECT_M = np.array([0.0, 0.17, 0.8])  # on the axis about which the cameras stand: below the hand in each view
_IDS = (12, 3)


def write(folder: Path) -> Path:
    """Write it and return its root."""
    root = Path(folder)
    _write_calibration(root / "calibration")
    for person, subject in enumerate(SUBJECTS):
        date = subject[:8]
        for s in range(SEQUENCES):
            place = root / subject / f"{date}_{140000 + s:06d}"
            frames, side = _FRAMES.get((person, s), (0, "right"))
            place.mkdir(parents=True)
            (place / "meta.yml").write_text(_meta(frames, side, date, _shape(date, s, side)), encoding="utf8")
            for n in range(frames):
                seen = hand(side, 10 * person + s, _CENTRE_M.tolist()) if n == 0 else None
                if seen:
                    _write_shape(root / "calibration" / f"mano_{_shape(date, s, side)}", seen)
                for c, serial in enumerate(SERIALS):
                    _write_frame(place / serial, n, c, seen)
    return root


def _pose(c: int) -> F64:
    """Camera c to the first: the cameras stand around the hand."""
    R = exp_so3(np.array([0.0, 0.25 * np.pi * c, 0.0]))
    return cameras.rigid(R, _CENTRE_M - R @ _CENTRE_M)


def _camera(c: int) -> Camera:
    return Camera(WIDTH, HEIGHT, 614.0 + c, 613.5 + c, 321.3, 237.1)


def _shape(date: str, s: int, side: Side) -> str:
    """Name of the shape of a hand; here each sequence shows another."""
    return f"{date}-subject-{s:02d}_{side}"


def _write_shape(folder: Path, seen: TinyHand) -> None:
    folder.mkdir()
    numbers = "".join(f"- {float(beta)!r}\n" for beta in seen.params.betas)
    (folder / "mano.yml").write_text(f"betas:\n{numbers}", encoding="utf8")


def _mano_pose(seen: TinyHand, to_camera: F64) -> F64:
    """(1, 51) turn, coefficients and shift in the frame of a camera; the hand turns about its wrist."""
    layer, params = ManoLayer.stand_in(seen.side), seen.params
    wrist_m = layer(np.zeros((1, 3)), np.zeros((1, 45)), params.betas).joints_m[0, 0]
    orient = log_so3(to_camera[:3, :3] @ exp_so3(params.orient))
    shift_m = cameras.transform(to_camera, (wrist_m + params.trans_m)[None])[0] - wrist_m
    return np.concatenate([orient, layer.pose_to_pca(params.pose[None])[0], shift_m])[None]


def _meta(frames: int, side: Side, date: str, shape: str) -> str:
    serials = "".join(f"- '{serial}'\n" for serial in SERIALS)
    return (
        f"serials:\n{serials}num_frames: {frames}\nextrinsics: '{date}_100000'\nycb_ids:\n- {_IDS[0]}\n- {_IDS[1]}\n"
        f"ycb_grasp_ind: 0\nmano_sides:\n- {side}\nmano_calib:\n- {shape}\n"
    )


def _write_calibration(folder: Path) -> None:
    (folder / "intrinsics").mkdir(parents=True)
    for c, serial in enumerate(SERIALS):
        camera = _camera(c)
        numbers = f"  fx: {camera.fx}\n  fy: {camera.fy}\n  ppx: {camera.cx}\n  ppy: {camera.cy}\n"
        text = f"color:\n{numbers}depth:\n{numbers}"
        (folder / "intrinsics" / f"{serial}_{WIDTH}x{HEIGHT}.yml").write_text(text, encoding="utf8")
    poses = {serial: _pose(c)[:3] for c, serial in enumerate(SERIALS)} | {"apriltag": np.eye(4)[:3]}
    text = "extrinsics:\n" + "".join(
        f"  '{name}': !!python/tuple\n" + "".join(f"  - {float(value)!r}\n" for value in pose.ravel())
        for name, pose in poses.items()
    )
    for subject in SUBJECTS:
        place = folder / f"extrinsics_{subject[:8]}_100000"
        place.mkdir()
        (place / "extrinsics.yml").write_text(f"{text}master: '{SERIALS[0]}'\n", encoding="utf8")


def _write_frame(folder: Path, n: int, c: int, seen: TinyHand | None) -> None:
    """The labels of a frame without a hand are those that the dataset writes for it."""
    folder.mkdir(exist_ok=True)
    camera, to_camera = _camera(c), cameras.inverse_rigid(_pose(c))
    hands = [replace(seen, joints_m=cameras.transform(to_camera, seen.joints_m))] if seen else []
    object_m = cameras.transform(to_camera, _OBJECT_M[None])[0]
    drawn = picture(camera, hands)
    cv2.imwrite(str(folder / f"color_{n:06d}.jpg"), drawn[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    millimetres = np.rint(np.nan_to_num(1000 * depth(camera, hands))).astype(np.uint16)
    cv2.imwrite(str(folder / f"aligned_depth_to_color_{n:06d}.png"), millimetres)
    pose_y = np.zeros((len(_IDS), 3, 4), np.float32)
    pose_y[0] = (to_camera @ cameras.rigid(exp_so3(np.array([1.2, 0.1, -0.3])), _OBJECT_M))[:3]
    shown = labels(camera, hands, object_m.tolist())
    joints_m = np.array([hands[0].joints_m if hands else np.full((21, 3), -1.0)])
    np.savez_compressed(
        folder / f"labels_{n:06d}.npz",
        seg=np.select([shown == 1, shown == 2], [255, min(_IDS[0], len(CLASSES))], 0).astype(np.uint8),
        pose_y=pose_y,
        pose_m=(_mano_pose(seen, to_camera) if seen else np.zeros((1, 51))).astype(np.float32),
        joint_3d=joints_m.astype(np.float32),
        joint_2d=(cameras.project(camera, joints_m) if hands else np.full((1, 21, 2), -1.0)).astype(np.float32),
    )
