"""Views of a board, drawn pixel by pixel from rays and a plane: independent of the code that calibrates."""

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np

from capture.calibrate import Board, Detection, Shot
from hoi_core import camera as cam
from hoi_core import rotation
from hoi_core.types import F64, U8, Camera

TEXTURE_PX = 48


@lru_cache(maxsize=4)
def _rays(fine: int, width: int, height: int, *lens) -> tuple[F64, F64]:
    """Pixels `(fine H, fine W, 2)` and their rays `(fine H, fine W, 3)`: to undo a distortion takes seconds."""
    step = (np.arange(fine) + 0.5) / fine - 0.5
    u = (np.arange(width)[:, None] + step).ravel()
    v = (np.arange(height)[:, None] + step).ravel()
    pixels = np.stack(np.meshgrid(u, v), axis=-1)
    return pixels, cam.rays(Camera(width, height, *lens), pixels)


@lru_cache(maxsize=2)
def _texture(board: Board) -> U8:
    return board.image(TEXTURE_PX, TEXTURE_PX // 2)


def draw(board: Board, camera: Camera, T_cam_board: F64, *, fine=3, blur_px=0.5, noise=1.5, seed=0) -> U8:
    """What a camera sees of a board before a gray room. `(H, W)`."""
    lens = (camera.fx, camera.fy, camera.cx, camera.cy, camera.distortion, camera.distortion_model)
    pixels, ray = _rays(fine, camera.width, camera.height, *lens)
    normal, origin = T_cam_board[:3, 2], T_cam_board[:3, 3]
    depth = (origin @ normal) / (ray @ normal)
    on_board = (ray * depth[..., None] - origin) @ T_cam_board[:3, :2] / board.square_m
    margin, texture = TEXTURE_PX // 2, _texture(board)
    where = on_board * TEXTURE_PX + margin - 0.5
    room = 110 + 35 * np.sin(pixels[..., 0] / 17.0) * np.cos(pixels[..., 1] / 23.0)
    inside = (depth > 0) & (where >= 0).all(-1) & (where < np.array(texture.shape[::-1]) - 1).all(-1)
    drawn = cv2.remap(texture, where[..., 0].astype(np.float32), where[..., 1].astype(np.float32), cv2.INTER_AREA)
    image = np.where(inside, 25 + 0.75 * drawn, room).astype(np.float32)
    image = image.reshape(camera.height, fine, camera.width, fine).mean((1, 3))
    if blur_px:
        image = cv2.GaussianBlur(image, (0, 0), blur_px)
    image = image + np.random.default_rng(seed).normal(0.0, noise, image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def cameras(seed: int = 0) -> dict[str, Camera]:
    """Two cameras 80 degrees apart and a coarse sensor between them, 0.6 m from the origin."""
    rng = np.random.default_rng(seed)
    left = Camera(640, 480, 615.0, 613.5, 322.0, 239.0, (0.04, -0.09, 0.0, 0.0, 0.0))
    right = Camera(640, 480, 611.0, 612.0, 317.0, 243.0, (0.05, -0.1, 0.0, 0.0, 0.0))
    coarse = Camera(128, 128, 138.0, 138.0, 63.2, 64.1, (-0.12, 0.03, 0.0005, -0.0004, 0.0))
    out = {}
    for name, lens, azimuth, distance in (
        ("left", left, -0.6, 0.6), ("right", right, 0.65, 0.62), ("edge128", coarse, 0.05, 0.5),
    ):  # fmt: skip
        eye = distance * np.array([np.sin(azimuth) * 0.8, -np.cos(azimuth) * 0.8, 0.6])
        pose = cam.look_at(eye, rng.normal(0, 0.01, 3), np.array([0.0, 0.0, 1.0]))
        out[name] = replace(lens, T_world_cam=pose)
    return out


def board_poses(board: Board, count: int, seed: int = 0) -> list[F64]:
    """T_world_board of a board held towards the cameras, tilted this way and that."""
    rng = np.random.default_rng([seed, 1])
    width, height = board.size_m
    to_middle = cam.rigid(np.eye(3), np.array([-width / 2, -height / 2, 0.0]))
    facing = cam.look_at(np.array([0.0, -0.5, 0.37]), np.zeros(3), np.array([0.0, 0.0, 1.0]))[:3, :3]
    out = []
    for _ in range(count):
        tilt = rotation.exp_so3(rng.uniform(-0.45, 0.45, 3) * [1, 1, 1.5])
        middle = rng.uniform(-1, 1, 3) * [0.08, 0.1, 0.07]
        out.append(cam.rigid(facing @ tilt, middle) @ to_middle)
    return out


def shots(board: Board, cams: dict[str, Camera], poses: list[F64], noise_px=0.15, seed=0, missing=()) -> list[Shot]:
    """Corners that OpenCV projects, with noise; `missing` holds (shot, view) without the board."""
    rng = np.random.default_rng([seed, 2])
    out = []
    for k, T_world_board in enumerate(poses):
        found = {}
        for view, camera in cams.items():
            T = camera.T_cam_world @ T_world_board
            w, _ = cv2.Rodrigues(T[:3, :3])
            pixels, _ = cv2.projectPoints(board.corners_m, w, T[:3, 3], camera.K, np.array(camera.distortion))
            pixels = pixels[:, 0]
            inside = ((pixels > 1) & (pixels < [camera.width - 2, camera.height - 2])).all(1)
            if inside.sum() >= 12 and (k, view) not in missing:
                noisy = pixels[inside] + rng.normal(0.0, noise_px, (int(inside.sum()), 2))
                found[view] = Detection(np.nonzero(inside)[0], noisy, (camera.width, camera.height))
        out.append(Shot(found, name=str(k)))
    return out


def pose_error(found: dict[str, Camera], true: dict[str, Camera], view: str, reference="left") -> tuple[float, float]:
    """mm and degrees by which a camera is off, relative to the reference; by plain matrix algebra."""
    a = np.linalg.inv(found[reference].T_world_cam) @ found[view].T_world_cam
    b = np.linalg.inv(true[reference].T_world_cam) @ true[view].T_world_cam
    turn = a[:3, :3] @ b[:3, :3].T
    angle = np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))
    return 1e3 * float(np.linalg.norm(a[:3, 3] - b[:3, 3])), float(np.rad2deg(angle))
