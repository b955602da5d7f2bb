"""Tzionas (HIC): both hands of a frame, fits that must lie on people's labels, and damage."""

import pickle
import shutil

import numpy as np
import pytest

from dataset_tools.readers import _tiny_tzionas, tzionas
from hoi_core.errors import DatasetError

FIT = f"{tzionas.FITS}/IJCV16___fakeGT___IJCV___01___Model_Hand_R___ncomps45/000.pkl"
LABEL = "01/1/joints_2D_GT/000.txt"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return tzionas.tiny(tmp_path_factory.mktemp("tzionas"))


@pytest.fixture
def root(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "tzionas")


def change(root, edit):
    fit = pickle.loads((root / FIT).read_bytes())  # noqa: S301 -- our own
    edit(fit)
    (root / FIT).write_bytes(pickle.dumps(fit, protocol=2))


def test_every_joint_and_the_mesh_are_where_they_were(root):
    keys = tzionas.index(root, "all")
    assert len(keys) == 6
    for key in keys:
        name, frame, side = key.split("/")
        sample, true = tzionas.read(root, key), _tiny_tzionas.hands_of(name, int(frame))[side]
        np.testing.assert_allclose(sample.vertices_m, true.vertices_m, atol=1e-12)
        np.testing.assert_allclose(sample.joints_m, true.joints_m, atol=0.005)
        inner = [0, 1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19]
        np.testing.assert_allclose(sample.joints_m[inner], true.joints_m[inner], atol=1e-12)
        assert sample.side == side


def test_parts(root):
    assert {tzionas.group(key) for key in tzionas.index(root, "train")} == {"01"}
    assert tzionas.index(root, "test") == ["15/000/right", "15/003/right"]


def swap_axes(fit):
    for name in ("v", "J_transformed"):
        fit[name] = fit[name] * [1, -1, 1] + [0, 0.15, 0]


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda fit: fit.pop("v"), "'v'"),
        (lambda fit: fit.update(v=fit["v"][:777]), r"\(778, 3\).*\(777, 3\)"),
        (lambda fit: fit.update(J_transformed=fit["J_transformed"][:15]), r"\(16, 3\).*\(15, 3\)"),
        (lambda fit: fit["v"].__setitem__((3, 1), np.nan), "no number"),
        (lambda fit: fit.update(v=1000 * fit["v"], J_transformed=1000 * fit["J_transformed"]), "beyond"),
        (lambda fit: fit.update(v=-fit["v"], J_transformed=-fit["J_transformed"]), "behind"),
        (lambda fit: fit.update(J_transformed=fit["J_transformed"][::-1]), "long"),
        (swap_axes, "beside what people labelled"),
    ],
)
def test_a_damaged_fit_is_named(root, edit, match):
    change(root, edit)
    with pytest.raises(DatasetError, match=match):
        tzionas.read(root, "01/000/right")


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_hostile_pickle_runs_nothing(root, tmp_path):
    written = tmp_path / "written"
    (root / FIT).write_bytes(pickle.dumps({"v": Hostile(str(written))}))
    with pytest.raises(DatasetError):
        tzionas.read(root, "01/000/right")
    assert not written.exists()


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_fit_is_not_read_in_part(root, kept):
    data = (root / FIT).read_bytes()
    (root / FIT).write_bytes(data[: int(kept * len(data))])
    with pytest.raises(DatasetError, match=r"000\.pkl"):
        tzionas.read(root, "01/000/right")


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda lines: lines[:-1], r"28 lines.*\(27, 3\)"),
        (lambda lines: ["0\tx\t3", *lines[1:]], "number, x and y"),
        (lambda lines: ["0\t3", *lines[1:]], "number, x and y"),
        (lambda lines: ["0\tnan\t3", *lines[1:]], "28 lines"),
        (lambda lines: lines[14:] + lines[:14], "beside what people labelled"),
    ],
)
def test_labels_of_people_are_checked(root, edit, match):
    path = root / LABEL
    path.write_text("\n".join(edit(path.read_text().splitlines())))
    with pytest.raises(DatasetError, match=match):
        tzionas.read(root, "01/000/right")
    (root / LABEL).unlink()
    assert tzionas.read(root, "01/000/right").side == "right"


def test_missing_files(root):
    (root / "01/1/rgb/005.png").unlink()
    with pytest.raises(DatasetError, match=r"01/1/rgb/005\.png"):
        tzionas.index(root, "train")
    with pytest.raises(DatasetError, match="nothing readable"):
        tzionas.read(root, "01/005/left")
    (root / FIT).unlink()
    with pytest.raises(DatasetError, match="no fit"):
        tzionas.read(root, "01/000/right")
    shutil.rmtree(root / tzionas.FITS)
    with pytest.raises(DatasetError, match="found no IJCV16"):
        tzionas.index(root, "test")
