"""Tables and pictures of an evaluation whose errors are known: a model that says the truth, moved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest

from dataset_tools.readers import _tiny_ours
from hoi_core.errors import ConfigError, StorageError
from hoi_core.types import F64, Batch
from learning import eval_report, grasp_report
from learning.data import HandDataset, loader
from learning.evaluate import Evaluation, measure
from learning.grasp_errors import SaidGrasps, object_errors
from learning.grasps import GraspBatch, GraspDataset
from learning.hand_errors import hand_errors
from learning.items import DataConfig
from learning.order import InOrder

_FAR_M = 0.02


def _task(shifts_m: list[float]) -> Any:
    """A task whose network says the truth, with each object so far beside its place; NaN says nothing of it."""

    def grasps(raw: tuple[F64, ...], batch: GraspBatch) -> SaidGrasps:
        T = batch.T_crop_obj.double().numpy().copy()
        T[:, 0, 3] += shifts_m
        T[np.isnan(T[:, 0, 3])] = np.nan
        return SaidGrasps(batch.joints_m.double().numpy(), batch.vertices_m.double().numpy(), T)

    def errors(raw: tuple[F64, ...], batch: GraspBatch, *, allow_reflection: bool) -> dict[str, F64]:
        said = grasps(raw, batch)
        hands = hand_errors(
            said.joints_m, said.joints_m, said.vertices_m, said.vertices_m, allow_reflection=allow_reflection
        )
        return hands | object_errors(said, batch)

    def pixels(raw: tuple[F64, ...], batch: Batch) -> F64:
        return np.asarray(batch.joints_px.double().numpy())

    return SimpleNamespace(grasps=grasps, errors=errors, pixels=pixels)


def _evaluated(root: Path, shifts_m: list[float]) -> Evaluation:
    samples = GraspDataset("ours", root, "all", DataConfig(size=64, input="rgb"))
    batches = loader(samples, InOrder(len(samples), 8), 0)
    return measure(lambda batch: (), _task(shifts_m), samples, batches)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _tiny_ours.write(tmp_path_factory.mktemp("tiny"), frames=2)


@pytest.fixture(scope="module")
def found(root: Path) -> Evaluation:
    return _evaluated(root, [0.0, _FAR_M, 0.0, np.nan])


def test_the_table_counts_what_is_right_and_how_far_corners_are(found: Evaluation) -> None:
    row, average = grasp_report.per_object(found)
    assert row.n == average.n == 4
    assert row.symmetric  # a box without a print
    assert row.add01d == pytest.approx(0.5)  # one too far, one not found
    assert row.mce_mm == pytest.approx((0.0 + 1e3 * _FAR_M + 0.0) / 3, abs=1e-3)
    assert average.name == grasp_report.AVERAGE
    assert average.add01d == row.add01d
    assert [len(line) for line in grasp_report.lines([row, average])] == [len(grasp_report.lines([row])[0])] * 3
    figures = found.figures()
    assert figures["object_found"] == pytest.approx(0.75)
    assert figures["object_add01d"] == pytest.approx(0.5)


def test_contact_only_leaves_the_others_out(found: Evaluation) -> None:
    near = found.in_contact()
    inside = found.errors["true_distance_mm"] <= 10.0
    assert near.figures()["in_contact"] == inside.sum() > 0
    kept = grasp_report.per_object(near)
    assert kept[0].n == inside.sum()
    np.testing.assert_array_equal(np.isfinite(near.errors["xyz_mm"]).all(1), inside)
    with pytest.raises(ConfigError, match="nothing of objects"):
        replace(found, grasps=None).in_contact()


def test_the_sheet_shows_hand_and_object_over_the_images(found: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    assert grasp_report.write_sheet(path, found) == 4
    sheet = cv2.imread(str(path))
    assert sheet.shape[1] > 4 * 64
    missing, there = grasp_report.picture(found, 3), grasp_report.picture(found, 2)
    blue = [int(((image[..., 2] > image[..., 0] + 40) & (image[..., 2] > 90)).sum()) for image in (missing, there)]
    assert blue[1] > blue[0] + 20  # the object's colour, where there is a pose
    with pytest.raises(StorageError):
        grasp_report.write_sheet(tmp_path, found)
    with pytest.raises(ConfigError, match="nothing of objects"):
        grasp_report.write_sheet(path, replace(found, grasps=None))
    hands = cast("Any", HandDataset("ours", found.samples.root, "all", DataConfig(size=64, input="rgb")))
    with pytest.raises(ConfigError, match="no objects"):
        grasp_report.picture(replace(found, samples=hands), 0)


def test_the_page_has_the_table_and_the_table_of_samples_its_columns(found: Evaluation, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    eval_report.write_report(page, found, found.figures(), "a model", "xyz_pa_mm")
    text = page.read_text(encoding="utf8")
    assert "<h2>Objects</h2>" in text
    assert "(S)" in text
    table = tmp_path / "samples.csv"
    eval_report.write_samples(table, found)
    head = table.read_text().splitlines()[0].split(",")
    assert {"object_add_mm", "penetration_mm", "contact", "intersection_cm3"} <= set(head)
