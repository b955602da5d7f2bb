"""Make scene i of a seed: a pure function, the same on any worker and in any order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log

import numpy as np
from numpy.typing import NDArray

from dataset_tools.scenes import decoys
from dataset_tools.scenes.rooms import Rooms
from dataset_tools.scenes.types import Scene, SceneHand
from dataset_tools.synth import arms, cameras
from dataset_tools.synth.capsules import capsules_of
from dataset_tools.synth.grasps import GraspPool
from dataset_tools.synth.hands import HandKit, PosedHand
from dataset_tools.synth.light import random_lamps
from dataset_tools.synth.mesh_objects import Thing, built_in, repainted
from dataset_tools.synth.pose_sets import PoseSet
from dataset_tools.synth.recipe import Recipe
from dataset_tools.synth.studio import Capsule, Film, Material, Picture, PrintedSkin, Stage, Surface
from dataset_tools.synth.types import ARM
from hoi_core import camera as cam
from hoi_core.conventions import N_BETAS, SIDES, Side
from hoi_core.crop import Box
from hoi_core.mano import ManoLayer
from hoi_core.scene.skin_print import random_ink
from hoi_core.types import F64, Camera

HAND = 16
"""Label of the first hand in a picture's segmentation; the second one's is the next."""
_COUNTS = (0.22, 0.43, 0.35)
"""Shares of images with no hand, one and two."""
_BOTH_SIDES, _FLESHY = 0.85, 0.3
"""Shares of pairs that are a left and a right hand, and of images with something of skin that is no hand."""
_GRASPS = 32
_LENGTH_M = 0.17
"""Of a hand, for its size in the image."""
_SIZES = (0.13, 0.62)
"""Longer side of a hand in shares of the image, all octaves alike."""
_TRIES = 6
_APART_M = 0.035
_TOWARDS_CAMERA = 0.45
"""Cosine between an arm and the way to the camera beyond which the arm would reach into the camera."""
_CLEAR_SHARE, _CLEAR_JOINTS, _CLEAR_PX = 0.25, 8, 6.0
"""Seen share of a hand, joints in the image and longer side of its box from which on it must be found."""
_BETAS_LIMIT = 2.2


@dataclass(frozen=True)
class _Shown:
    """A hand where it is placed, with its arm and what it holds."""

    kit: HandKit
    hand: PosedHand
    arm: arms.ArmShape
    held: tuple[Surface, ...]


class SceneMaker:
    """Makes scenes.

    Example:
        >>> scene = SceneMaker(160).make(3)  # doctest: +SKIP
        >>> [hand.side for hand in scene.hands]  # doctest: +SKIP
        ['left']
    """

    def __init__(self, size_px: int, seed: int = 0, grasping: float = 0.4) -> None:
        """Prepare hands, things and backdrops.

        Args:
            size_px: side of the square images, px.
            seed: another seed, other postures, grasps, rooms and images.
            grasping: share of the hands that hold something; grasps are solved once, for seconds, and kept.
        """
        self.size_px, self.seed, self._grasping = size_px, seed, grasping
        layers: dict[Side, ManoLayer] = {side: ManoLayer.from_env(side) for side in SIDES}
        capsules = capsules_of(layers["right"])
        self._kits = {side: HandKit(layer, capsules) for side, layer in layers.items()}
        self._postures = PoseSet(Recipe(seed=seed), capsules).angles
        self._things: list[Thing] = built_in()
        self._grasps = GraspPool(Recipe("grasps", seed=seed), layers, capsules, self._things)
        self._rooms = Rooms(seed)
        self._film = Film(size_px)

    def make(self, index: int) -> Scene:
        """Scene `index`, 0 and up."""
        rng = np.random.default_rng([self.seed, 83, index])
        camera, stand = _random_camera(self.size_px, rng)
        shown = self._hands(camera, rng)
        skins = self._kits["right"].skin.draw(rng)
        surfaces = self._hand_surfaces(shown, skins, rng) + self._others(camera, skins, bool(shown), rng)
        background = self._rooms.draw(self.size_px, rng)
        if not surfaces:
            return Scene(index, background, camera, ())
        lamps = random_lamps(stand.direction, background, rng)
        kit = shown[0].kit if shown else self._kits["right"]
        near = kit.capsules(shown[0].hand) if shown else _nothing_near()
        print_ = PrintedSkin(kit.print.atlas, kit.print.frame, random_ink(rng))
        stage = Stage(surfaces, lamps, print_, near, self._film)
        picture = stage.photograph(camera, background)
        hands = [_seen(stage, picture, camera, one, HAND + k) for k, one in enumerate(shown)]
        return Scene(index, picture.color, camera, tuple(hand for hand in hands if hand is not None))

    def _hands(self, camera: Camera, rng: np.random.Generator) -> list[_Shown]:
        """None, one or two hands at their places, which do not touch."""
        count = int(rng.choice(3, p=_COUNTS))
        first: Side = SIDES[int(rng.integers(2))]
        sides = [first, SIDES[1 - SIDES.index(first)] if rng.random() < _BOTH_SIDES else first][:count]
        placed: list[_Shown] = []
        for side in sides:
            for _ in range(_TRIES):
                place = _place(camera, placed, rng)
                one = self._hand(side, place, camera, rng)
                if all(_apart_m(one, other) > _APART_M for other in placed):
                    placed.append(one)
                    break
        return placed

    def _hand(self, side: Side, place_m: F64, camera: Camera, rng: np.random.Generator) -> _Shown:
        """A hand at a place of the world whose arm does not reach into the camera."""
        kit = self._kits[side]
        to_camera = camera.T_world_cam[:3, 3] - place_m
        to_camera /= np.linalg.norm(to_camera)
        tried = arms.random_shapes(_TRIES, kit.frame, rng)
        for _ in range(_TRIES):
            hand, held = self._posed(kit, place_m, rng)
            towards = arms.directions(tried, kit.frame, hand.R) @ to_camera
            if towards.min() < _TOWARDS_CAMERA:
                break
        arm = replace(tried[int(np.argmin(towards))], length_m=float(rng.uniform(0.25, 0.7)))
        if arm.sleeve_from_m > arm.length_m / 2 and rng.random() < 0.5:
            arm = replace(arm, sleeve_from_m=float(rng.uniform(0.01, 0.12)))
        return _Shown(kit, hand, arm, held)

    def _posed(self, kit: HandKit, place_m: F64, rng: np.random.Generator) -> tuple[PosedHand, tuple[Surface, ...]]:
        """A hand, turned in any way, and the object that it holds."""
        turn = decoys.random_turn(rng)
        if rng.random() >= self._grasping:
            angles = self._postures[int(rng.integers(len(self._postures)))]
            betas = rng.normal(0.0, 1.0, N_BETAS).clip(-_BETAS_LIMIT, _BETAS_LIMIT)
            hand = kit.pose(angles, betas, turn, np.zeros(3))
            return _moved(hand, place_m - hand.joints_m.mean(0)), ()
        # Right and left hands take turns in the pool.
        k = 2 * int(rng.integers(_GRASPS // 2)) + SIDES.index(kit.layer.side)
        grasp = self._grasps.held(k, rng)
        hand = kit.pose(grasp.angles, grasp.betas, turn @ grasp.R, turn @ grasp.wrist_m)
        shift = place_m - hand.joints_m.mean(0)
        model = repainted(grasp.thing.model, rng)
        return _moved(hand, shift), (decoys.as_painted(model, model.shape.vertices_m @ turn.T + shift),)

    def _hand_surfaces(self, shown: list[_Shown], skins: F64, rng: np.random.Generator) -> list[Surface]:
        """Skins, sleeves and held objects, the first hand's skin first."""
        color = rng.uniform(0.01, 0.75) * rng.uniform(0.4, 1.0, 3)
        grain = Material(0.01, 8.0, float(rng.uniform(0.05, 0.3)), float(rng.uniform(0.0012, 0.004)), 0.15)
        cloth = Surface(np.zeros((1, 3)), np.zeros((0, 3), np.int32), color[None], ARM, grain, np.zeros((1, 3)))
        out: list[Surface] = []
        for k, one in enumerate(shown):
            skin, *sleeve = one.kit.surfaces(one.hand, one.arm, skins, cloth)
            labels = np.where(skin.labels == one.kit.label, HAND + k, skin.labels).astype(np.uint8)
            # One print lies on a stage, that of the first hand.
            look = skin.material if k == 0 else replace(skin.material, printed=False)
            out += [replace(skin, labels=labels, material=look), *sleeve, *one.held]
        return out

    def _others(self, camera: Camera, skins: F64, hands: bool, rng: np.random.Generator) -> list[Surface]:
        """Things about, and what might be taken for a hand."""
        out: list[Surface] = []
        for _ in range(int(rng.integers(0, 4))):
            found = self._things[int(rng.integers(len(self._things)))]
            out.append(decoys.thing(found, _anywhere_m(camera, (0.10, 0.4), rng), rng))
        if rng.random() < _FLESHY:
            albedo = self._kits["right"].skin.albedo(skins).mean(0) * rng.uniform(0.85, 1.15, 3)
            for _ in range(int(rng.integers(1, 3 if hands else 4))):
                out += decoys.fleshy(albedo, _anywhere_m(camera, (0.10, 0.4), rng), rng)
        return out


def _random_camera(size_px: int, rng: np.random.Generator) -> tuple[Camera, cameras.Standpoint]:
    """A camera at the origin of the world, and the direction from what it sees to it."""
    elevation = np.deg2rad(rng.uniform(-15.0, 80.0))
    stand = cameras.Standpoint(float(rng.uniform(-np.pi, np.pi)), float(elevation), float(rng.normal(0.0, 0.25)))
    half = np.tan(np.deg2rad(rng.uniform(45.0, 75.0)) / 2)
    focal, middle = size_px / 2 / float(half), (size_px - 1) / 2
    pose = cam.rigid(stand.axes(), np.zeros(3))
    return Camera(size_px, size_px, focal, focal, middle, middle, T_world_cam=pose), stand


def _anywhere_m(camera: Camera, sizes: tuple[float, float], rng: np.random.Generator) -> F64:
    """A place in view where a hand would take up a share of the image between two sizes. `-> (3,)` m, world."""
    share = np.exp(rng.uniform(log(sizes[0]), log(sizes[1])))
    depth_m = camera.fx * _LENGTH_M / (share * camera.width)
    u, v = rng.uniform(0.02, 0.98, 2) * camera.width
    in_camera = np.array([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, 1.0]) * depth_m
    return np.asarray(cam.transform(camera.T_world_cam, in_camera[None])[0])


def _place(camera: Camera, placed: list[_Shown], rng: np.random.Generator) -> F64:
    """Where a hand goes: anywhere, or, a second one, often beside the first. `-> (3,)` m, world."""
    if placed and rng.random() < 0.6:
        away = rng.normal(0.0, 1.0, 3)
        middle = placed[0].hand.joints_m.mean(0)
        return middle + away * (rng.uniform(0.09, 0.3) / np.linalg.norm(away))
    return _anywhere_m(camera, _SIZES, rng)


def _apart_m(one: _Shown, other: _Shown) -> float:
    """Least distance between joints of two hands."""
    gaps = one.hand.joints_m[:, None] - other.hand.joints_m
    return float(np.linalg.norm(gaps, axis=-1).min())


def _moved(hand: PosedHand, shift_m: F64) -> PosedHand:
    return replace(hand, vertices_m=hand.vertices_m + shift_m, joints_m=hand.joints_m + shift_m)


def _nothing_near() -> Capsule:
    nothing: NDArray[np.bool_] = np.zeros((0, 0), np.bool_)
    return Capsule(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), nothing)


def _seen(stage: Stage, picture: Picture, camera: Camera, one: _Shown, label: int) -> SceneHand | None:
    """What the image shows of a hand; None for nothing."""
    if not (picture.segmentation == label).any():
        return None
    in_camera = cam.transform(camera.T_cam_world, one.hand.joints_m)
    pixels = cam.project(camera, in_camera)
    inside = cam.inside(camera, pixels) & (in_camera[:, 2] > 0)
    box = _cut_box(pixels, camera)
    visible = float(np.nan_to_num(stage.share_seen(camera, picture, label)))
    large = max(box[2] - box[0], box[3] - box[1]) >= _CLEAR_PX
    clear = visible >= _CLEAR_SHARE and int(inside.sum()) >= _CLEAR_JOINTS and large
    return SceneHand(one.kit.layer.side, pixels, box, visible, clear)


def _cut_box(pixels: F64, camera: Camera) -> Box:
    """Box around joints, cut at the image's border; around all of the image for joints behind the camera."""
    known = np.isfinite(pixels).all(-1)
    if not known.all():
        return -0.5, -0.5, camera.width - 0.5, camera.height - 0.5
    x, y = pixels[:, 0].clip(-0.5, camera.width - 0.5), pixels[:, 1].clip(-0.5, camera.height - 0.5)
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())
