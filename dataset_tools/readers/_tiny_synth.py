"""Writes two small sets of the stand-in hand through the true packer, drawn as strokes instead of rendered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from dataset_tools.readers._tiny_hands import TinyHand, depth, hand, labels, picture
from dataset_tools.synth.recipe import Recipe
from dataset_tools.synth.sets import SET_FILE, SynthSet, shard_path
from dataset_tools.synth.shard_pack import Packer
from dataset_tools.synth.types import LEFT_HAND, OBJECT, OCCLUDER, RIGHT_HAND, SynthImage, SynthView
from hoi_core import camera as cameras
from hoi_core.conventions import SIDES
from hoi_core.rotation import exp_so3, log_so3
from hoi_core.types import F64, Camera, HandParams, ObjectPose

_SIZE = 128
_OBJECT_M = (0.13, 0.13, 0.55)
_TURN = np.array([0.0, 0.12, 0.05])  # of the second camera, rad, about the middle of the hand
GROUPS = (3, 19, 39)
"""Of the images; the last two are for testing."""


def write(folder: Path) -> Path:
    """Write them and return their root."""
    root = Path(folder)
    write_set(root / "single", Recipe(count=3, size_px=_SIZE))
    write_set(root / "pairs", Recipe(preset="grasps", count=3, size_px=_SIZE, second_view=True))
    return root


def write_set(folder: Path, recipe: Recipe) -> None:
    """Write a set of one image for each of `GROUPS`, again and again."""
    folder.mkdir(parents=True)
    made = SynthSet(recipe, {"hand_right": "stand-in", **_objects(recipe)}, "tiny")
    (folder / SET_FILE).write_text(made.text, encoding="utf8")
    for number, head in enumerate(made.heads):
        packer = Packer(head, recipe.to_json())
        for index in range(head.first, head.first + head.images):
            packer.add(image(recipe, index))
        shard_path(folder, number).write_bytes(packer.close())


def _objects(recipe: Recipe) -> dict[str, str]:
    """What a set says of its objects: a built-in one is its own digest."""
    return {"object_mug": "mug"} if recipe.preset == "grasps" else {}


def image(recipe: Recipe, index: int) -> SynthImage:
    """An image, which depends on the recipe and its number alone."""
    side = SIDES[index % 2]
    first = Camera(recipe.size_px, recipe.size_px, 200.0, 200.0, 63.5, 63.5)
    shown = hand(side, index + 7 * recipe.seed, (0.0, 0.0, 0.5))
    views = [_view(first, shown, grasped=recipe.preset == "grasps")]
    if recipe.second_view:
        views.append(_view(_beside(first, shown.joints_m.mean(0)), shown, grasped=recipe.preset == "grasps"))
    return SynthImage(index, GROUPS[index % len(GROUPS)], tuple(views))


def _beside(camera: Camera, middle_m: F64) -> Camera:
    """A camera that looks at the same point from another side."""
    placed = np.eye(4)
    placed[:3, :3] = exp_so3(_TURN)
    placed[:3, 3] = middle_m - placed[:3, :3] @ middle_m
    return replace(camera, T_world_cam=placed)


def _view(camera: Camera, shown: TinyHand, *, grasped: bool) -> SynthView:
    seen = _moved(camera.T_cam_world, shown)
    place = cameras.transform(camera.T_cam_world, np.array([_OBJECT_M]))[0]
    shown_in_camera = labels(camera, [seen], place.tolist() if grasped else None)
    segmentation = np.array([0, RIGHT_HAND if shown.side == "right" else LEFT_HAND, OBJECT], np.uint8)[shown_in_camera]
    segmentation[:6, :6] = OCCLUDER
    pose = camera.T_cam_world.copy()
    pose[:3, 3] = place
    return SynthView(
        picture(camera, [seen]),
        np.nan_to_num(depth(camera, [seen])),
        segmentation,
        camera,
        seen.side,
        seen.joints_m,
        cameras.inside(camera, cameras.project(camera, seen.joints_m)),
        seen.vertices_m,
        seen.params,
        (ObjectPose("mug", pose, Path("meshes/mug.obj"), 1.0, 0.9),) if grasped else (),
    )


def _moved(T: F64, shown: TinyHand) -> TinyHand:
    """The hand in the frame of another camera."""
    params = shown.params
    joints_m = cameras.transform(T, shown.joints_m)
    orient = log_so3(T[:3, :3] @ exp_so3(params.orient))
    # The hand turns about its shaped wrist, so the wrist tells how far the template moves.
    trans_m = joints_m[0] - (shown.joints_m[0] - params.trans_m)
    moved = HandParams(orient, params.pose, params.betas, trans_m, params.flat_hand_mean)
    return TinyHand(shown.side, moved, joints_m, cameras.transform(T, shown.vertices_m))
