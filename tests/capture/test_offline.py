"""A take that is written without being played: what it holds agrees with its own truth."""

from __future__ import annotations

import numpy as np
import pytest

from capture.devices import simulated
from capture.simulation.faults import Faults
from capture.simulation.offline import write_take
from capture.simulation.truth import ClickNoise
from capture.simulation.twin import HAND, OTHER_HAND
from hoi_core import camera as cam
from hoi_core.conventions import fingertips
from hoi_core.errors import ConfigError
from hoi_core.scene import objects
from hoi_core.sequence import (
    CaptureHeader,
    check_sequence,
    open_annotation,
    open_capture,
    open_truth,
    read_table,
)

CONFIG = simulated.Config(seed=3, seconds=0.7, object="box", drop_rate=0.1)


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    root = tmp_path_factory.mktemp("offline")
    with simulated.open(CONFIG) as rig:
        return write_take(rig, root, CaptureHeader("seq_001", "p01"), colour=False)


def test_the_recording_is_sound_and_its_times_are_the_true_ones(take):
    check_sequence(take)
    with open_capture(take) as capture, open_truth(take) as truth:
        assert len(capture.sync) == CONFIG.frames
        for name, stream in capture.streams.items():
            numbers, true_ns = truth.clocks[name]
            expected = true_ns[np.searchsorted(numbers, stream.frame_number)]
            said = capture.clocks[name].to_common_ns(stream.t_device_ns)
            # A float64 of a drift and whole nanoseconds on either side.
            assert np.abs(said - expected).max() <= 2
        assert len(capture.drops) == len([drop for drop in truth.drops if drop.stream in capture.streams]) > 0


def test_depth_shows_the_true_hand(take):
    with open_capture(take) as capture, open_truth(take) as truth:
        view = capture.views["left"]
        camera = truth.cameras["left/depth"]
        true = truth.vertices_m[int(view.depth.frame_number[5])]
        local = cam.transform(camera.T_cam_world, true.astype(np.float64))
        pixels = np.rint(cam.project(camera, local)).astype(int)
        depth_m = view.depth[5] * 0.001
        inside = (pixels >= 0).all(1) & (pixels < [640, 480]).all(1)
        seen = depth_m[pixels[inside, 1], pixels[inside, 0]]
        near = np.abs(seen - local[inside, 2])[seen > 0]
        # Vertices on the far side are a hand's thickness behind what the camera sees.
        assert np.quantile(near, 0.3) < 0.004


def test_a_person_clicks_points_of_the_mesh_where_they_are_seen(take):
    model = objects.make("box")
    with open_annotation(take) as annotation, open_truth(take) as truth, open_capture(take) as capture:
        points = annotation.load().object_points["o01"]
        true = truth.load()
        numbers = {v: capture.views[v].color.frame_number for v in ("left", "right")}
        index = {v: capture.sync.index[f"{v}/color"] for v in ("left", "right")}
        errors = []
        for m, view, px, point in zip(points.moment, points.view, points.point_px, points.point_m, strict=True):
            assert np.linalg.norm(model.shape.vertices_m - point, axis=1).min() < 1e-9
            assert index[view][m] >= 0
            row = int(numbers[view][index[view][m]])
            camera = truth.cameras[f"{view}/color"]
            world = cam.transform(true.objects["o01"].T_world_obj[row], point[None])
            errors.append(cam.project(camera, cam.transform(camera.T_cam_world, world))[0] - px)
    assert len(errors) == 36
    assert 1.2 < np.std(errors) < 2.8


def test_the_dataset_gets_the_mesh_of_the_object(take):
    root = take.parents[1]
    table = read_table(root, "objects").set_index("object")
    lines = (root / table.loc["o01", "mesh"]).read_text().splitlines()
    vertices = np.array([line.split()[1:] for line in lines if line.startswith("v ")], float)
    faces = np.array([line.split()[1:] for line in lines if line.startswith("f ")], int)
    model = objects.make("box")
    np.testing.assert_allclose(vertices, model.shape.vertices_m, atol=1e-6)
    np.testing.assert_array_equal(faces - 1, model.faces)


def test_what_plays_without_end_cannot_be_written(tmp_path):
    with simulated.open(simulated.Config(live=True)) as rig, pytest.raises(ConfigError, match="fixed length"):
        write_take(rig, tmp_path, CaptureHeader("seq_001"))


def test_both_hands_are_drawn_clicked_and_in_the_truth(tmp_path):
    config = simulated.Config(seed=5, seconds=0.3, object="box", hands="both", clicks=ClickNoise(every=2))
    with simulated.open(config) as rig:
        take = write_take(rig, tmp_path, CaptureHeader("seq_001", "p01"), colour=False)
        _, labels = rig.stage.labels("left", rig.stage.meshes(rig.scene.moments["left"], 4))
    assert {HAND, OTHER_HAND} <= set(np.unique(labels))
    with open_annotation(take) as annotation, open_truth(take) as truth, open_capture(take) as capture:
        clicks, true = annotation.load(), truth.load()
        assert set(clicks.keypoints) == set(true.hands) == {"left", "right"}
        tips = list(fingertips())
        for side, hand in true.hands.items():
            # Tips are vertices: each hand's own surface goes with its joints.
            np.testing.assert_allclose(truth.surface_m(side)[:, tips], hand.joints_m[:, [4, 8, 12, 16, 20]], atol=1e-6)
            seen = clicks.keypoints[side].by_view["left"]
            assert np.isnan(seen[1::2]).all()
            camera = truth.cameras["left/color"]
            pixels = cam.project(camera, cam.transform(camera.T_cam_world, hand.joints_m[4]))
            assert np.nanmedian(np.abs(seen[4, :, :2] - pixels)) < 4.0
        apart = np.linalg.norm(true.hands["left"].joints_m - true.hands["right"].joints_m, axis=-1)
        assert apart.min() > 0.05
        camera = truth.cameras["left/depth"]
        surface = truth.surface_m("left")[4].astype(np.float64)
        local = cam.transform(camera.T_cam_world, surface)
        pixels = np.rint(cam.project(camera, local)).astype(int)
        inside = (pixels >= 0).all(1) & (pixels < [640, 480]).all(1)
        depth_m = capture.views["left"].depth[4] * 0.001
        near = np.abs(depth_m[pixels[inside, 1], pixels[inside, 0]] - local[inside, 2])
        # The table lies 8 cm further away.
        assert np.quantile(near, 0.3) < 0.01


def test_a_faster_play_is_the_same_play_in_less_time():
    slow, fast = (simulated.Config(seed=6, seconds=2.0 / pace, pace=pace, object="box") for pace in (1.0, 2.0))
    with simulated.open(slow) as one, simulated.open(fast) as other:
        a, b = (rig.stage.cast.play.at for rig in (one, other))
        times = other.clocks["left"].true_ns(np.arange(20)) * 1e-9
        np.testing.assert_allclose(other.scene.moments["left"].joints_m[:20], a(2.0 * times).joints_m, atol=1e-9)
        np.testing.assert_allclose(a(times).joints_m, b(times).joints_m, atol=1e-12)


def test_measured_clocks_agree_with_the_true_ones(tmp_path):
    faults = Faults(latency_ms={"left": 4.0, "right": 4.0}, delay_jitter_ms=0.5)
    config = simulated.Config(seed=7, seconds=1.0, object="box", drift_ppm=50.0, skew_ms=16.0, faults=faults)
    with simulated.open(config) as rig:
        take = write_take(rig, tmp_path, CaptureHeader("seq_001", "p01"), colour=False, measured=True)
    with open_capture(take) as capture:
        skew_ns = capture.sync.skew_ns["right/color"]
        assert np.abs(np.median(skew_ns) - 16e6) < 1e6
        assert capture.clocks["left/color"].to_common_ns(capture.streams["left/color"].t_device_ns)[0] > 3e6
