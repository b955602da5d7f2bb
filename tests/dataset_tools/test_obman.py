"""ObMan: axes, the object's scale, channels of the segmentation, and files that are damaged."""

import os
import pickle

import cv2
import numpy as np
import pytest

from dataset_tools.readers import obman
from hoi_core.errors import DatasetError

KEY = "train/00000107"


@pytest.fixture
def root(tmp_path):
    return obman.tiny(tmp_path / "obman")


def meta_of(root):
    return root / "train" / "meta" / "00000107.pkl"


def native(root):
    return pickle.loads(meta_of(root).read_bytes())  # noqa: S301 -- our own fake


def change(root, **entries):
    meta_of(root).write_bytes(pickle.dumps({**native(root), **entries}, protocol=3))


def test_splits(root):
    assert obman.index(root, "train") == ["train/00000000", KEY]
    assert obman.index(root, "val") == ["val/00000003"]
    assert len(obman.index(root, "all")) == 4


def test_native_axes_are_turned(root):
    sample = obman.read(root, KEY)
    np.testing.assert_allclose(sample.joints_m, native(root)["coords_3d"] * [1, -1, -1])
    np.testing.assert_allclose(sample.vertices_m, native(root)["verts_3d"] * [1, -1, -1])
    assert (native(root)["coords_3d"][:, 2] < 0).all()


def test_the_mesh_of_the_object_lies_where_the_native_transform_puts_it(root):
    corners = np.random.default_rng(0).uniform(-0.5, 0.5, (8, 3))
    affine = native(root)["affine_transform"]
    placed = (corners @ affine[:3, :3].T + affine[:3, 3]) * [1, -1, -1]
    (shown,) = obman.read(root, KEY).objects
    T = shown.T_cam_obj
    np.testing.assert_allclose(shown.scale * corners @ T[:3, :3].T + T[:3, 3], placed, atol=1e-6)
    assert shown.scale == pytest.approx(native(root)["obj_scale"])
    assert shown.visible == 0.75
    assert shown.mesh is None
    mesh = root / "ShapeNetCore.v2" / shown.name / "models" / "model_normalized.obj"
    mesh.parent.mkdir(parents=True)
    mesh.touch()
    assert obman.read(root, KEY).objects[0].mesh == mesh


def test_what_is_seen_is_the_first_channel_of_cv2(root):
    packed = np.zeros((256, 256, 3), np.uint8)
    packed[0, :6, 0] = [22, 24, 21, 23, 100, 7]
    packed[1, :2] = [(0, 22, 0), (0, 0, 100)]
    cv2.imwrite(str(root / "train" / "segm" / "00000107.png"), packed)
    found = obman.segmentation(root, KEY)
    assert found[0, :6].tolist() == [1, 1, 0, 0, 2, 0]
    assert not found[1].any()
    change(root, side="left")
    assert obman.segmentation(root, KEY)[0, :6].tolist() == [0, 0, 1, 1, 2, 0]


class Evil:
    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return os.system, (f"touch {self.flag}",)


def test_a_hostile_pickle_does_not_run(root, tmp_path):
    flag = tmp_path / "ran"
    change(root, side=Evil(flag))
    for function in (obman.read, obman.segmentation):
        with pytest.raises(DatasetError, match="unsafe"):
            function(root, KEY)
    assert not flag.exists()


SHEAR = np.eye(4)
SHEAR[:3, 3], SHEAR[0, 1] = (0, 0, -0.6), 0.3


@pytest.mark.parametrize(
    ("name", "edit", "match"),
    [
        ("coords_3d", lambda v: v[:20], "of shape"),
        ("coords_3d", lambda v: np.where(v == v[3, 2], np.nan, v), "no number"),
        ("coords_3d", lambda v: v * [1, -1, -1], "behind the camera"),
        ("coords_3d", lambda v: v * 1000, "beyond 3.0 m"),
        ("coords_3d", lambda v: v[::-1], "palm|bone|beside"),
        ("coords_3d", lambda v: v + np.array([0.02, 0, 0]), "beside their own pixels"),
        ("coords_2d", lambda v: v.T, "of shape"),
        ("verts_3d", lambda v: None, "verts_3d"),
        ("affine_transform", lambda v: SHEAR, "no pose"),
        ("affine_transform", lambda v: v * [[-1], [1], [1], [1]], "no pose"),
        ("affine_transform", lambda v: v * [[1], [1], [-1], [1]], "no pose"),
        ("affine_transform", lambda v: np.zeros((4, 4)), "no pose"),
        ("class_id", lambda v: "../..", "a name"),
        ("side", lambda v: "both", "right or left"),
    ],
)
def test_labels_that_cannot_be_are_refused(root, name, edit, match):
    change(root, **{name: edit(native(root)[name])})
    with pytest.raises(DatasetError, match=match):
        obman.read(root, KEY)


@pytest.mark.parametrize("kept", [0, 0.4, 0.99])
def test_truncated_labels(root, kept):
    data = meta_of(root).read_bytes()
    meta_of(root).write_bytes(data[: int(kept * len(data))])
    with pytest.raises(DatasetError, match="damaged"):
        obman.read(root, KEY)


@pytest.mark.parametrize("kind", ["rgb", "meta"])
def test_a_label_or_a_picture_is_missing(root, kind):
    next((root / "train" / kind).glob("*107.*")).unlink()
    with pytest.raises(DatasetError, match="a label for each picture") as caught:
        obman.index(root, "train")
    assert "00000107" in caught.value.hint


def test_pictures_of_another_kind(root):
    cv2.imwrite(str(root / "train" / "segm" / "00000107.png"), np.zeros((256, 256), np.uint8))
    with pytest.raises(DatasetError, match="expected"):
        obman.segmentation(root, KEY)
    cv2.imwrite(str(root / "train" / "rgb" / "00000107.jpg"), np.zeros((128, 256, 3), np.uint8))
    with pytest.raises(DatasetError, match="256x128"):
        obman.read(root, KEY)
