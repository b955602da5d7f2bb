"""Make image i of a recipe: a pure function, the same on any worker and in any order."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np

from dataset_tools.synth import arms, cameras
from dataset_tools.synth.backdrops import Backdrops
from dataset_tools.synth.capsules import capsules_of
from dataset_tools.synth.grasps import GraspPool
from dataset_tools.synth.hands import HandKit, PosedHand, params
from dataset_tools.synth.light import random_lamps
from dataset_tools.synth.mesh_objects import Thing, built_in, from_folder, repainted
from dataset_tools.synth.occluders import random_occluder
from dataset_tools.synth.pose_sets import PoseSet
from dataset_tools.synth.recipe import ANG_SAMPLES, GRASP_VIEWS, GRID_VIEWS, MANO_SWAPS, PRESETS, Recipe
from dataset_tools.synth.studio import Film, Material, PrintedSkin, Stage, Surface
from dataset_tools.synth.types import ARM, OBJECT, SynthImage, SynthView
from hoi_core import camera as cam
from hoi_core.conventions import N_BETAS
from hoi_core.mano import ManoLayer
from hoi_core.scene.skin_print import random_ink
from hoi_core.types import F64, U8, Camera, ObjectPose

_BETAS_LIMIT = 2.2
_ARMS_TRIED = 6
# Cosine of the angle to a camera from which on an arm begins to hide its own hand.
_TOWARDS_CAMERA = 0.45
_ARM_BODY_M, _ARM_RADIUS_M = (0.05, 0.28), 0.05


@dataclass(frozen=True)
class _Subject:
    """What an image is to show."""

    group: int
    kit: HandKit
    hand: PosedHand
    standpoint: cameras.Standpoint
    thing: Thing | None = None


class Generator:
    """Makes the images of a recipe.

    Example:
        >>> image = Generator(Recipe(count=8)).make(3)
        >>> image.views[0].color.shape
        (128, 128, 3)
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        layers = {side: ManoLayer.from_env(side) for side in recipe.sides}
        capsules = capsules_of(layers[recipe.sides[0]])
        self.poses = PoseSet(recipe, capsules)
        """Postures that hands without an object take."""
        self.kits = {side: HandKit(layer, capsules) for side, layer in layers.items()}
        """Hands by side."""
        things = from_folder(recipe.objects) if recipe.objects is not None else built_in()
        self._things = things if recipe.preset == "grasps" else []
        self._grasps = GraspPool(recipe, layers, capsules, things) if recipe.preset == "grasps" else None
        self._backdrops = Backdrops(recipe.seed, recipe.backgrounds)
        self._film = Film(recipe.size_px)
        n = recipe.full_count
        self._step = next(k for k in range(int(n * 0.6180339887), n) if gcd(k, n) == 1)

    def sources(self) -> dict[str, str]:
        """What decides the images beside the recipe: hashes of the files that it reads, by name."""
        found = {f"hand_{side}": kit.layer.model.source for side, kit in self.kits.items()}
        found |= {f"object_{thing.model.name}": thing.digest for thing in self._things}
        return found | {"backgrounds": self._backdrops.source()}

    def make(self, index: int) -> SynthImage:
        """Image `index`, 0 and up."""
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, PRESETS.index(recipe.preset), index])
        # Golden-section steps through the full set: any first part of it is an even sample.
        subject = self._subject(index * self._step % recipe.full_count, rng)
        stands = self._standpoints(subject, rng)
        surfaces = self._surfaces(subject, stands, rng)
        backgrounds = [self._backdrops.draw(recipe.size_px, rng) for _ in stands]
        lamps = random_lamps(stands[0].direction, backgrounds[0], rng)
        print_ = PrintedSkin(subject.kit.print.atlas, subject.kit.print.frame, random_ink(rng))
        stage = Stage(surfaces, lamps, print_, subject.kit.capsules(subject.hand), self._film)
        framed = _framed(subject, rng)
        seen = [cameras.aim(stand, framed, recipe.size_px, rng) for stand in stands]
        views = [_view(subject, stage, *pair) for pair in zip(seen, backgrounds, strict=True)]
        return SynthImage(index, subject.group, tuple(views))

    def _subject(self, cell: int, rng: np.random.Generator) -> _Subject:
        """A cell of the preset's full set."""
        if self._grasps is not None:
            grasp = cell // GRASP_VIEWS
            held = self._grasps.held(grasp, rng)
            kit = self.kits[held.side]
            hand = kit.pose(held.angles, held.betas, held.R, held.wrist_m)
            return _Subject(grasp, kit, hand, cameras.anywhere(rng), held.thing)
        kit = self.kits[self.recipe.sides[int(rng.integers(len(self.recipe.sides)))]]
        group, angles, standpoint = self._posture(cell, rng)
        betas = rng.normal(0.0, 1.0, N_BETAS).clip(-_BETAS_LIMIT, _BETAS_LIMIT)
        return _Subject(group, kit, kit.pose(angles, betas, _upright(kit), np.zeros(3)), standpoint)

    def _standpoints(self, subject: _Subject, rng: np.random.Generator) -> list[cameras.Standpoint]:
        """Where the first camera stands, and the second if there is one."""
        recipe = self.recipe
        if recipe.view_cone_deg < 180.0:
            upright = subject.hand.R @ _upright(subject.kit).T
            pair = cameras.pair_in_cone(np.deg2rad(recipe.view_cone_deg), rng)
            return [stand.turned_by(upright) for stand in pair[: 1 + recipe.second_view]]
        return [subject.standpoint, *([cameras.beside(subject.standpoint, rng)] if recipe.second_view else [])]

    def _posture(self, cell: int, rng: np.random.Generator) -> tuple[int, F64, cameras.Standpoint]:
        """Group, anatomical angles `(15, 3)` rad and first standpoint of a cell without an object."""
        if self.recipe.preset == "grid":
            pose, view = divmod(cell, GRID_VIEWS)
            return pose, self.poses.angles[pose], cameras.on_sphere(view, GRID_VIEWS, float(rng.normal(0.0, 0.3)))
        if self.recipe.preset == "ang_render":
            pose = int(rng.integers(len(self.poses)))
            return pose, self.poses.swapped(pose, rng), cameras.ang_render(cell // ANG_SAMPLES, rng)
        pose, variant = divmod(cell, MANO_SWAPS)
        angles = self.poses.swapped(pose, rng) if variant else self.poses.angles[pose]
        return pose, angles, cameras.anywhere(rng)

    def _surfaces(self, subject: _Subject, stands: list[cameras.Standpoint], rng: np.random.Generator) -> list[Surface]:
        """Hand, arm, object and what hides them, the hand first."""
        kit, hand = subject.kit, subject.hand
        shape = _arm_beside(subject, stands, rng)
        color = rng.uniform(0.01, 0.75) * rng.uniform(0.4, 1.0, 3)
        grain = Material(0.01, 8.0, float(rng.uniform(0.05, 0.3)), float(rng.uniform(0.0012, 0.004)), 0.15)
        cloth = Surface(np.zeros((1, 3)), np.zeros((0, 3), np.int32), color[None], ARM, grain, np.zeros((1, 3)))
        surfaces = kit.surfaces(hand, shape, kit.skin.draw(rng), cloth)
        if subject.thing is not None:
            model = repainted(subject.thing.model, rng)
            vertices, look = model.shape.vertices_m, Material(model.gloss, 40.0, model.grain, 0.0025, 0.05)
            surfaces.append(Surface(vertices, model.faces, (model.colors / 255.0) ** 2, OBJECT, look, vertices))
        if rng.random() < self.recipe.occluders:
            surfaces.append(random_occluder(hand.joints_m, stands[0].direction, rng))
        return surfaces


def _framed(subject: _Subject, rng: np.random.Generator) -> F64:
    """Points that the image is to hold: the hand, or hand and object. `-> (N, 3)` m."""
    if subject.thing is None or rng.random() < 0.5:
        return subject.hand.vertices_m
    return np.concatenate([subject.hand.vertices_m, subject.thing.model.shape.vertices_m])


def _upright(kit: HandKit) -> F64:
    """Rotation of a hand whose fingers point up and whose palm looks towards -y. `-> (3, 3)`."""
    thumb = 1.0 if kit.layer.side == "right" else -1.0
    return np.array([[thumb, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]) @ kit.frame.axes.T


def _arm_beside(subject: _Subject, stands: list[cameras.Standpoint], rng: np.random.Generator) -> arms.ArmShape:
    """An arm that reaches neither into a camera nor into the object: of several, the one that keeps the clearest."""
    frame, hand = subject.kit.frame, subject.hand
    tried = arms.random_shapes(_ARMS_TRIED, frame, rng)
    away = arms.directions(tried, frame, hand.R)
    trouble = np.maximum((away @ np.stack([stand.direction for stand in stands]).T).max(1) - _TOWARDS_CAMERA, 0.0)
    if subject.thing is not None:
        offset = subject.thing.model.shape.vertices_m[::3] - hand.joints_m[0]
        along = np.clip(offset @ away.T, *_ARM_BODY_M)
        near = np.linalg.norm(offset[:, None] - along[..., None] * away, axis=-1).min(0)
        trouble += 20.0 * np.maximum(_ARM_RADIUS_M - near, 0.0)
    return tried[int(np.argmin(trouble))]


def _view(subject: _Subject, stage: Stage, camera: Camera, background: U8) -> SynthView:
    kit, hand = subject.kit, subject.hand
    picture = stage.photograph(camera, background)
    to_camera = camera.T_cam_world
    joints = cam.transform(to_camera, hand.joints_m)
    visible = kit.visible(cam.project(camera, joints), joints[:, 2], picture)
    objects: tuple[ObjectPose, ...] = ()
    if subject.thing is not None:
        thing = subject.thing
        T_cam_obj = to_camera @ cam.rigid(np.eye(3), thing.offset_m)
        objects = (ObjectPose(thing.model.name, T_cam_obj, thing.mesh, 1.0, stage.share_seen(camera, picture, OBJECT)),)
    return SynthView(
        picture.color,
        picture.depth_m,
        picture.segmentation,
        camera,
        kit.layer.side,
        joints,
        visible,
        cam.transform(to_camera, hand.vertices_m),
        params(hand, to_camera),
        objects,
    )
