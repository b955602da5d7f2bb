"""The runtime around a made-up network whose answer is known: where it looks, and how answers move back."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core import runtime
from hoi_core.edges import EdgeParams
from hoi_core.errors import AssetError
from hoi_core.types import Camera

CAMERA = Camera(640, 480, 600.0, 605.0, 322.0, 238.0, (0.05, -0.1, 0.001, 0.0, 0.0), "inverse_brown_conrady")
SIDE = (200.0, 150.0, 300.0, 290.0)


def write(folder, outputs=runtime.HandModel.OUTPUTS, *, uv=0.0, root=1.0, offset=(0.1, 0.2, 0.3)):
    """A network that says the same of every image: all joints at `uv`, all vertices at `offset` from the wrist."""
    depth = np.zeros((1, 22), np.float32)
    depth[0, 21] = root
    said = {
        outputs[0]: np.full((1, 21, 2), uv, np.float32),
        outputs[1]: depth,
        outputs[2]: np.tile(np.float32(offset), (1, 778, 1)),
        outputs[3]: np.full((1, 21), 0.5, np.float32),
    }
    nodes = [helper.make_node("Constant", [], [k], value=numpy_helper.from_array(v)) for k, v in said.items()]
    infos = [helper.make_tensor_value_info(k, TensorProto.FLOAT, v.shape) for k, v in said.items()]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 128, 128])
    graph = helper.make_graph(nodes, "fixed", [image], infos)
    path = folder / "fixed.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    path.with_suffix(".json").write_text(json.dumps(sidecar(path).to_dict()))
    return path


def sidecar(path):
    return runtime.Sidecar(
        model="fixed", precision="fp32", sha256=runtime.file_hash(path), size=128, edges=EdgeParams(),
        crop_scale=1.3, length_unit_m=0.2, root_unit_m=crops.ROOT_UNIT_M, joint_order="openpose21", tips="smplx",
        side="right", hand_model="stand-in", licence="none", training={"dataset": "ours"},
    )  # fmt: skip


def image():
    return np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)


def test_an_edge_image_is_cut_like_a_picture_and_fills_all_channels(tmp_path):
    """All but what is below the threshold, which cutting makes beside every edge."""
    eye = Camera(128, 128, 150.0, 150.0, 63.5, 63.5, distortion_model="none")
    edge = np.zeros((128, 128), np.uint8)
    edge[:, 40], edge[70] = 200, 90
    model = runtime.load(write(tmp_path))
    shown, crop = model.cut(edge, eye, (30.0, 30.0, 90.0, 90.0), None)
    picture = crops.warp(np.repeat(edge[..., None], 3, axis=2), eye, crop)[..., 0]
    expected = np.where(picture < EdgeParams().threshold_sobel, 0, picture)
    assert 0 < (expected > 0).sum() < (picture > 0).sum()
    np.testing.assert_array_equal(np.rint(shown[0] * 255), [expected] * 3)
    assert np.isfinite(model.predict(edge, eye).joints_m).all()
    with pytest.raises(ValueError, match="as its camera says"):
        model.cut(edge[:64], eye, None, None)
    of_colours = runtime.HandModel(model.session, replace(model.sidecar, input="rgb"))
    with pytest.raises(ValueError, match=r"must be \(128, 128, 3\) uint8"):
        of_colours.cut(edge, eye, None, None)


@pytest.mark.parametrize("side", ["right", "left", None])
def test_the_crops_centre_comes_back_as_the_boxs_centre(tmp_path, side):
    hand = runtime.load(write(tmp_path)).predict(image(), CAMERA, SIDE, side=side)
    np.testing.assert_allclose(hand.joints_px, np.tile([250.0, 220.0], (21, 1)), atol=1e-6)
    np.testing.assert_allclose(cameras.project(CAMERA, hand.joints_m), hand.joints_px, atol=1e-9)
    # Root output 1: distance = unit * focal / size, here along the ray through the box's centre.
    crop = crops.around(CAMERA, SIDE, 128)
    np.testing.assert_allclose(np.linalg.norm(hand.joints_m, axis=1), crops.ROOT_UNIT_M * crop.focal_px / 128)
    np.testing.assert_allclose(hand.confidence, 0.5)


def test_vertices_lie_at_the_wrist_and_mirror_with_it(tmp_path):
    model = runtime.load(write(tmp_path))
    right, left = (model.predict(image(), CAMERA, SIDE, side=side) for side in ("right", "left"))
    crop = crops.around(CAMERA, SIDE, 128)
    offset = 0.2 * np.array([0.1, 0.2, 0.3])
    np.testing.assert_allclose(right.vertices_m[5] - right.joints_m[0], crop.R_cam_crop @ offset, atol=1e-7)
    flipped = crop.R_cam_crop @ (offset * [-1, 1, 1])
    np.testing.assert_allclose(left.vertices_m[5] - left.joints_m[0], flipped, atol=1e-7)


def test_an_answer_off_the_centre_goes_the_right_way(tmp_path):
    hand = runtime.load(write(tmp_path, uv=0.5)).predict(image(), CAMERA, SIDE)
    assert (hand.joints_px > [250.0, 220.0]).all()


def test_without_a_box_the_whole_image_is_seen(tmp_path):
    hand = runtime.load(write(tmp_path)).predict(image(), CAMERA)
    np.testing.assert_allclose(hand.joints_px[0], [319.5, 239.5], atol=1e-6)


def test_wrong_images_are_refused(tmp_path):
    model = runtime.load(write(tmp_path))
    with pytest.raises(ValueError, match="as its camera says"):
        model.predict(image()[:100], CAMERA)
    with pytest.raises(ValueError, match="uint8"):
        model.predict(image().astype(np.float32), CAMERA)


def test_foreign_outputs_are_refused(tmp_path):
    with pytest.raises(AssetError, match="expected the outputs uv"):
        runtime.load(write(tmp_path, ("a", "b", "c", "d")))


def test_a_model_of_another_task_is_refused(tmp_path):
    path = write(tmp_path)
    beside = path.with_suffix(".json")
    beside.write_text(json.dumps(json.loads(beside.read_text()) | {"task": "keypoints"}))
    with pytest.raises(AssetError, match="one of keypoints"):
        runtime.load(path)


def test_a_network_of_colours_is_shown_colours(tmp_path):
    path = write(tmp_path)
    beside = path.with_suffix(".json")
    beside.write_text(json.dumps(json.loads(beside.read_text()) | {"input": "rgb"}))
    shown, _ = runtime.load(path).cut(np.full_like(image(), (0, 51, 255)), CAMERA, SIDE, None)
    np.testing.assert_allclose(shown[0, :, 60, 60], [-1.0, -0.6, 1.0], atol=1e-6)


def test_sidecar_round_trip_and_versions(tmp_path):
    described = sidecar(write(tmp_path))
    assert runtime.Sidecar.from_dict(json.loads(json.dumps(described.to_dict())), "here") == described
    for bad in ({"format_version": "2.0"}, {"format": "x"}):
        with pytest.raises(AssetError, match="hoi-model"):
            runtime.Sidecar.from_dict(described.to_dict() | bad, "here")
    with pytest.raises(AssetError, match="incomplete"):
        runtime.Sidecar.from_dict(described.to_dict() | {"edges": {"blur": 1}}, "here")


@pytest.mark.parametrize(
    "bad",
    [
        {"input": "sound"},
        {"size": -5},
        {"size": "x"},
        {"length_unit_m": "a"},
        {"crop_scale": None},
        {"side": "up"},
        {"edges": 3},
    ],
    ids=str,
)
def test_a_sidecar_whose_values_make_no_sense_is_refused(tmp_path, bad):
    described = sidecar(write(tmp_path)).to_dict()
    with pytest.raises(AssetError, match="incomplete"):
        runtime.Sidecar.from_dict(described | bad, "here")


@pytest.mark.parametrize(("key", "value"), [("length_unit_m", 0.1), ("root_unit_m", 0.36), ("joint_order", "mano21")])
def test_a_sidecar_in_other_units_or_another_joint_order_is_refused(tmp_path, key, value):
    path = write(tmp_path)
    beside = path.with_suffix(".json")
    beside.write_text(json.dumps(json.loads(beside.read_text()) | {key: value}))
    with pytest.raises(AssetError, match=key):
        runtime.load(path)
