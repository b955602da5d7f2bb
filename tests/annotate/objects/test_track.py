"""An object followed through a recorded play: put on the table, taken, carried, put back."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from annotate import hand as hands
from annotate.objects import fit_objects
from annotate.objects.mesh import load_mesh
from hoi_core import camera as cameras
from hoi_core import metrics
from hoi_core.errors import AssetError, FitError
from hoi_core.mano import ManoLayer
from hoi_core.mesh_file import write_obj
from hoi_core.scene import objects
from hoi_core.sequence import open_capture, open_truth
from hoi_core.types import PROBLEMS, STATUSES, ObjectPoints, ObjectTrack

MOMENTS = 75


@dataclass(frozen=True)
class Take:
    root: Path
    folder: Path
    thing: str
    points: ObjectPoints
    true: np.ndarray
    hand: hands.HandState

    def fit(self, **changes):
        with open_capture(self.folder) as capture:
            return fit_objects(self.root, capture, {self.thing: self.points}, {"right": self.hand}, **changes)


def make(root: Path, record, thing: str) -> Take:
    folder = root / "sequences" / "seq_001"
    record(folder, seed=2, thing=thing, start_s=1.6, moments=MOMENTS, scale=0.5)
    model = objects.make(thing)
    (root / "objects" / thing).mkdir(parents=True)
    write_obj(root / "objects" / thing / "mesh.obj", model.shape.vertices_m, model.faces)
    with open_truth(folder) as truth:
        revision = truth.load()
    true = revision.objects[thing].T_world_obj
    hand = revision.hands["right"]
    layer = ManoLayer.stand_in("right")
    state = hands.state_from_axis_angle(hands.from_mano(layer.model), hand.orient, hand.pose, hand.betas, hand.trans_m)
    return Take(root, folder, thing, clicks(folder, model.shape.vertices_m, true, (0,)), true, state)


def clicks(folder: Path, vertices_m: np.ndarray, true: np.ndarray, moments: tuple[int, ...]) -> ObjectPoints:
    rng = np.random.default_rng(0)
    rows = []
    with open_capture(folder) as capture:
        for m in moments:
            for view in capture.views:
                camera = capture.views[view].camera
                for point in vertices_m[np.linspace(0, len(vertices_m) - 1, 6).astype(int)]:
                    world = cameras.transform(true[m], point[None])
                    pixel = cameras.project(camera, cameras.transform(camera.T_cam_world, world))[0]
                    rows.append((m, view, pixel + rng.normal(size=2), point))
    moment, view, pixels, points = zip(*rows, strict=True)
    return ObjectPoints(np.array(moment), tuple(view), np.array(pixels), np.array(points))


@pytest.fixture(scope="module")
def box(tmp_path_factory, record) -> Take:
    return make(tmp_path_factory.mktemp("box"), record, "o01")


@pytest.fixture(scope="module")
def fitted(box):
    told = []
    return box.fit(on_progress=lambda share, what: told.append(share))["o01"], told


def test_a_box_that_is_taken(box, fitted):
    assert np.ptp(box.true[:, :3, 3], axis=0).max() > 0.05, "the play moves it"
    fit, told = fitted
    assert fit.track.valid.all()
    assert (fit.problems == 0).all()
    assert set(fit.track.status) == {STATUSES.index("auto")}
    away = metrics.add(fit.track.T_world_obj, box.true, load_mesh(box.root, "o01").vertices_m)
    assert away.mean() < 0.003
    assert away.max() < 0.008
    assert np.isfinite(fit.covariance).all()
    assert (np.linalg.eigvalsh(fit.covariance) > 0).all()
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


def test_an_object_at_rest_does_not_tremble(box, fitted):
    still = np.linalg.norm(np.diff(box.true[:, :3, 3], axis=0), axis=1) < 1e-5
    runs = np.flatnonzero(still[:-6] & still[6:])
    assert len(runs), "the play begins or ends at rest"
    fit, _ = fitted
    step = np.linalg.norm(np.diff(fit.track.T_world_obj[:, :3, 3], axis=0), axis=1)
    assert np.median(step[runs]) < 2e-4


def test_settled_poses_stay_bit_for_bit(box):
    status = np.zeros(MOMENTS, np.uint8)
    T = np.full((MOMENTS, 4, 4), np.nan)
    T[[10, 50]] = box.true[[10, 50]]
    T[10, 0, 3] += 0.004
    status[[10, 50]] = [STATUSES.index("edited"), STATUSES.index("accepted")]
    before = ObjectTrack(T, np.isfinite(T).all((1, 2)), status)
    fit = box.fit(before={"o01": before})["o01"]
    np.testing.assert_array_equal(fit.track.T_world_obj[[10, 50]], T[[10, 50]])
    np.testing.assert_array_equal(fit.track.status[[10, 50]], status[[10, 50]])
    assert fit.track.status[11] == STATUSES.index("auto")


def test_an_object_that_left_has_no_label(box):
    """Clicked where there is nothing but the table: far from any support the pose is not believed."""
    moved = box.true.copy()
    moved[:, :3, 3] += [0.25, 0.2, 0.0]
    model = objects.make("o01")
    wrong = clicks(box.folder, model.shape.vertices_m, moved, (0,))
    fit = replace(box, points=wrong).fit()["o01"]
    lost = ~fit.track.valid
    assert lost[40:].all()
    assert np.isnan(fit.track.T_world_obj[lost]).all()
    assert set(fit.problems[lost]) <= {PROBLEMS.index("no evidence"), PROBLEMS.index("no agreement")}


def test_clicks_alone_hold_for_half_a_second(box):
    """Without depth there is nothing to follow."""
    with open_capture(box.folder) as capture:
        for view in capture.views:
            del capture.streams[f"{view}/depth"]
        fit = fit_objects(box.root, capture, {"o01": box.points}, {})["o01"]
    assert fit.track.valid[:15].all()
    assert not fit.track.valid[16:].any()
    away = metrics.add(fit.track.T_world_obj[:2], box.true[:2], load_mesh(box.root, "o01").vertices_m)
    assert away.max() < 0.006


def test_no_mesh_and_no_clicks(box, tmp_path):
    with pytest.raises(AssetError, match="no mesh"):
        replace(box, root=tmp_path).fit()
    off = replace(box.points, point_m=box.points.point_m + 0.3)
    with pytest.raises(FitError, match="off its mesh"):
        replace(box, points=off).fit()
    with open_capture(box.folder) as capture:
        assert fit_objects(box.root, capture, {}, {}) == {}
