"""A made-up hand before two cameras, as evidence in memory."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from annotate import hand as hands
from annotate.evidence import Cloud, Evidence
from annotate.hand import Hand, HandState
from annotate.state import FitState
from hoi_core import biomechanics, rotation
from hoi_core import camera as cameras
from hoi_core.mano import ManoLayer
from hoi_core.types import Camera


@dataclass(frozen=True)
class Unkind:
    """What the fit's model cannot represent."""

    pixels: float = 2.0
    """Spread of the clicks, px; correlated over time."""
    surface_m: float = 0.002
    """Smooth displacement of the surface, off the shape basis."""
    tips_m: float = 0.0015
    turn_rad: float = 0.0005
    shift_m: float = 0.001
    depth_bias_m: float = 0.002
    depth_noise_m: float = 0.002


KIND = Unkind(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Scene:
    """Evidence and what it came from."""

    evidence: Evidence
    truth: FitState
    joints_m: np.ndarray
    """(M, 21, 3) m true joints."""


@pytest.fixture(scope="session")
def layer() -> ManoLayer:
    return ManoLayer.stand_in("right")


@pytest.fixture(scope="session")
def hand(layer: ManoLayer) -> Hand:
    return hands.from_mano(layer.model)


def trajectory(layer: ManoLayer, hand: Hand, seed: int, moments: int) -> HandState:
    """A hand that turns and closes."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0.0, moments / 30.0, moments)
    knots = np.arange(-1.0, t[-1] + 2.5, 1.0)

    def wander(n: int, spread: float) -> np.ndarray:
        return CubicSpline(knots, rng.normal(size=(len(knots), n)) * spread)(t)

    angles = wander(45, 0.25).reshape(moments, 15, 3) * biomechanics.DOF_MASK
    angles[..., 0] += 0.6
    pose = biomechanics.pose_from_angles(biomechanics.clip_to_limits(angles), layer.joint_frames)
    return hands.state_from_axis_angle(hand, wander(3, 0.4), pose, rng.normal(size=10) * 0.7, wander(3, 0.04))


def two_cameras() -> tuple[Camera, Camera]:
    """Two views 75 degrees apart, 0.6 m from the origin."""
    up = np.array([0.0, 0.0, 1.0])
    out = []
    for angle in np.deg2rad([-37.5, 37.5]):
        eye = 0.6 * np.array([np.sin(angle) * 0.9, -np.cos(angle) * 0.9, 0.45])
        out.append(Camera(640, 480, 615.0, 615.0, 320.0, 240.0, T_world_cam=cameras.look_at(eye, np.zeros(3), up)))
    return out[0], out[1]


def clicks(joints_m: np.ndarray, camera: Camera, spread: float, rng: np.random.Generator) -> np.ndarray:
    """(M, 21, 2) px with errors correlated over time."""
    noise = rng.normal(size=(len(joints_m), 21, 2))
    for m in range(1, len(noise)):
        noise[m] = 0.8 * noise[m - 1] + 0.6 * noise[m]
    return cameras.project(camera, cameras.transform(camera.T_cam_world, joints_m)) + noise * spread


def cloud(vertices_m: np.ndarray, faces: np.ndarray, camera: Camera, unkind: Unkind, rng: np.random.Generator) -> Cloud:
    """Points on the faces towards the camera."""
    eye = camera.T_world_cam[:3, 3]
    points, normals, counts = [], [], [0]
    for surface in vertices_m:
        a, b, c = (surface[faces[:, i]] for i in range(3))
        area = np.cross(b - a, c - a)
        towards = np.flatnonzero((area * (eye - a)).sum(-1) > 0)
        chosen = rng.choice(towards, 200)
        share = rng.dirichlet(np.ones(3), len(chosen))
        at = share[:, :1] * a[chosen] + share[:, 1:2] * b[chosen] + share[:, 2:] * c[chosen]
        ray = (at - eye) / np.linalg.norm(at - eye, axis=-1, keepdims=True)
        error = unkind.depth_bias_m + rng.normal(size=(len(at), 1)) * unkind.depth_noise_m
        points.append(at + ray * error)
        normals.append(area[chosen] / np.linalg.norm(area[chosen], axis=-1, keepdims=True))
        counts.append(counts[-1] + len(at))
    lag = np.zeros(len(vertices_m))
    return Cloud(np.array(counts), np.concatenate(points), np.concatenate(normals), lag, eye)


def make(layer: ManoLayer, hand: Hand, seed: int, moments: int, unkind: Unkind) -> Scene:
    rng = np.random.default_rng(seed + 1000)
    motion = trajectory(layer, hand, seed, moments)
    bent = rng.normal(size=(3, 3)) @ (hand.template_m.T * 40.0)
    offset = np.sin(bent).T * unkind.surface_m
    offset[hand.openpose[4::4]] += rng.normal(size=(5, 3)) * unkind.tips_m
    true_hand = replace(hand, template_m=hand.template_m + offset)
    body = replace(motion, hand=true_hand)
    calibrated = two_cameras()
    wrong = rotation.exp_so3(rng.normal(size=3) * unkind.turn_rad)
    T = calibrated[1].T_world_cam.copy()
    T[:3, :3], T[:3, 3] = T[:3, :3] @ wrong, T[:3, 3] + rng.normal(size=3) * unkind.shift_m / np.sqrt(3)
    true = (calibrated[0], replace(calibrated[1], T_world_cam=T))
    pixels = np.stack([clicks(body.joints_m, camera, unkind.pixels, rng) for camera in true], axis=1)
    pixels[np.arange(moments) % 5 != 0] = np.nan
    clouds = {}
    for v, camera in enumerate(true):
        seen = cloud(body.vertices_m, hand.faces, camera, unkind, rng)
        # The fit believes the calibrated pose: points arrive in the world through it.
        local = cameras.transform(camera.T_cam_world, seen.points_m)
        clouds[v] = replace(
            seen,
            points_m=cameras.transform(calibrated[v].T_world_cam, local),
            eye_m=calibrated[v].T_world_cam[:3, 3],
        )
    evidence = Evidence(
        t_s=np.arange(moments) / 30.0,
        views=("left", "right"),
        cameras=calibrated,
        keypoints_px=pixels,
        confidence=np.where(np.isfinite(pixels).all(-1), 1.0, 0.0),
        lag_s=np.zeros((moments, 2)),
        clouds=clouds,
    )
    return Scene(evidence, FitState(motion, np.zeros((2, 8))), body.joints_m)


@pytest.fixture(scope="session")
def scene(layer: ManoLayer, hand: Hand) -> Callable[..., Scene]:
    """Builds a scene: `scene(seed, moments, unkind)`."""

    def build(seed: int = 0, moments: int = 40, unkind: Unkind | None = None) -> Scene:
        return make(layer, hand, seed, moments, unkind or KIND)

    return build


@pytest.fixture(scope="session")
def build_scene() -> Callable[..., Scene]:
    """Builds a scene of any hand: `build_scene(layer, hand, seed, moments)`."""
    return lambda layer, hand, seed, moments: make(layer, hand, seed, moments, KIND)


@pytest.fixture(scope="session")
def unkind() -> Unkind:
    return Unkind()


@pytest.fixture(scope="session")
def record() -> Callable[..., None]:
    """Writes a made-up recording: `record(folder, seed=0, moments=30, ...)`."""
    import importlib.util
    from pathlib import Path

    spec = importlib.util.spec_from_file_location("recording", Path(__file__).with_name("recording.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules["recording"] = module
    spec.loader.exec_module(module)
    return lambda folder, **take: module.record(folder, module.Take(**take))
