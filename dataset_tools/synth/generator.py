"""Make image i of a recipe: a pure function, the same on any worker and in any order."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np

from dataset_tools.synth import cameras
from dataset_tools.synth.capsules import capsules_of
from dataset_tools.synth.pose_sets import PoseSet
from dataset_tools.synth.recipe import PRESETS, Recipe
from dataset_tools.synth.types import LEFT_HAND, RIGHT_HAND, SynthImage, SynthView
from hoi_core import camera as cam
from hoi_core import rotation
from hoi_core.biomechanics import pose_from_angles
from hoi_core.conventions import N_BETAS
from hoi_core.mano import ManoLayer
from hoi_core.render import Light, Mesh, render
from hoi_core.scene.anatomy import hand_frame
from hoi_core.scene.light import random_light
from hoi_core.scene.skin import skin_colors
from hoi_core.types import F64, Camera, HandParams

_BETAS_LIMIT = 2.2


@dataclass(frozen=True)
class _Hand:
    """A posed hand in the world."""

    layer: ManoLayer
    pose: F64
    betas: F64
    R: F64
    wrist_m: F64
    vertices_m: F64
    joints_m: F64


class Generator:
    """Makes the images of a recipe.

    Example:
        >>> image = Generator(Recipe(count=8)).make(3)
        >>> image.views[0].color.shape
        (128, 128, 3)
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._layers = {side: ManoLayer.from_env(side) for side in recipe.sides}
        self._poses = PoseSet(recipe, capsules_of(self._layers[recipe.sides[0]]))
        n = recipe.full_count
        self._step = next(k for k in range(int(n * 0.6180339887), n) if gcd(k, n) == 1)

    def sources(self) -> dict[str, str]:
        """What decides the images beside the recipe: content hashes of the files that it reads, by name."""
        return {f"hand_{side}": layer.model.source for side, layer in self._layers.items()}

    def make(self, index: int) -> SynthImage:
        """Image `index`, 0 and up."""
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, PRESETS.index(recipe.preset), index])
        # Golden-section steps through the full set: any first part of it is an even sample.
        cell = index * self._step % recipe.full_count
        side = recipe.sides[int(rng.integers(len(recipe.sides)))]
        group, angles, standpoint = self._plan(cell, rng)
        hand = _upright(self._layers[side], angles, rng)
        meshes = [
            Mesh(
                hand.vertices_m,
                hand.layer.closed_faces.astype(np.int32),
                skin_colors(hand.layer, rng),
                RIGHT_HAND if side == "right" else LEFT_HAND,
            )
        ]
        standpoints = [standpoint, *([cameras.beside(standpoint, rng)] if recipe.second_view else [])]
        light = random_light(rng)
        views = tuple(
            _view(hand, meshes, cameras.aim(s, hand.vertices_m, recipe.size_px, rng), light) for s in standpoints
        )
        return SynthImage(index, group, views)

    def _plan(self, cell: int, rng: np.random.Generator) -> tuple[int, F64, cameras.Standpoint]:
        """Group, posture and first standpoint of a cell of the preset's full set."""
        if self.recipe.preset == "grid":
            pose, view = divmod(cell, 216)
            return pose, self._poses.angles[pose], cameras.on_sphere(view, 216, float(rng.normal(0.0, 0.3)))
        if self.recipe.preset == "ang_render":
            pose = int(rng.integers(len(self._poses)))
            return pose, self._poses.swapped(pose, rng), cameras.ang_render(cell // 32, rng)
        pose, variant = divmod(cell, 64)
        angles = self._poses.swapped(pose, rng) if variant else self._poses.angles[pose]
        return pose, angles, cameras.anywhere(rng)


def _upright(layer: ManoLayer, angles: F64, rng: np.random.Generator) -> _Hand:
    """A hand with its wrist at the world's origin, fingers up, palm towards -y."""
    betas = rng.normal(0.0, 1.0, N_BETAS).clip(-_BETAS_LIMIT, _BETAS_LIMIT)
    goal = np.stack([np.cross([0.0, 0.0, 1.0], [0.0, -1.0, 0.0]), [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]], axis=-1)
    if layer.side == "left":
        goal[:, 0] *= -1.0
    R = goal @ hand_frame(layer, betas).axes.T
    pose = pose_from_angles(angles, layer.joint_frames)
    out = layer(rotation.log_so3(R)[None], pose[None], betas)
    wrist = out.joints_m[0, 0]
    return _Hand(layer, pose, betas, R, np.zeros(3), out.vertices_m[0] - wrist, out.joints_m[0] - wrist)


def _params(hand: _Hand, camera: Camera) -> HandParams:
    """The hand's parameters in the camera's frame; the global rotation turns about the shaped wrist joint."""
    to_camera = camera.T_cam_world
    R = to_camera[:3, :3] @ hand.R
    rest = hand.layer.model.J_regressor[0] @ (hand.layer.model.v_template + hand.layer.model.shapedirs @ hand.betas)
    wrist = to_camera[:3, :3] @ hand.wrist_m + to_camera[:3, 3]
    return HandParams(rotation.log_so3(R), hand.pose, hand.betas, wrist - rest, True)


def _view(hand: _Hand, meshes: list[Mesh], camera: Camera, light: Light) -> SynthView:
    picture = render(meshes, camera, light, supersample=2)
    joints = cam.transform(camera.T_cam_world, hand.joints_m)
    visible = cam.inside(camera, cam.project(camera, joints))
    return SynthView(
        picture.color,
        picture.depth_m,
        picture.segmentation,
        camera,
        hand.layer.side,
        joints,
        visible,
        cam.transform(camera.T_cam_world, hand.vertices_m),
        _params(hand, camera),
    )
