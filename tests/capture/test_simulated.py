"""The simulated rig: same seed, same images; truth that agrees with its own images; nothing lost on the way."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from capture.devices import simulated
from capture.rig import open_rig
from capture.simulation.clocks import DeviceClock, choose_drops
from capture.simulation.noise import DepthNoise, NoiseBanks, expose, measure_depth
from capture.simulation.truth import ClickNoise, click, joint_visibility
from capture.simulation.twin import HAND
from hoi_core import camera as cam
from hoi_core.conventions import fingertips
from hoi_core.errors import ConfigError, DeviceError
from hoi_core.render import render_depth

CONFIG = simulated.Config(seed=4, seconds=3.0, object="can")


@pytest.fixture(scope="module")
def rig():
    with simulated.open(CONFIG) as opened:
        yield opened


def test_same_seed_gives_the_same_images_and_truth(rig):
    with simulated.open(CONFIG) as other:
        for one in (rig, other):
            one.scene.draw(70)
        for name in simulated.DEVICES:
            np.testing.assert_array_equal(rig.scene.moments[name].vertices_m, other.scene.moments[name].vertices_m)
            for a, b in zip(rig.scene.develop(name, 70, 70), other.scene.develop(name, 70, 70), strict=True):
                np.testing.assert_array_equal(a, b)


def test_images_have_the_hand_and_noise_of_their_own(rig):
    rig.scene.draw(70)
    color, depth = rig.scene.develop("left", 70, 70)
    again, _ = rig.scene.develop("left", 70, 71)
    assert (color.shape, color.dtype, depth.dtype) == ((480, 640, 3), np.uint8, np.uint16)
    assert 0.5 < (color.astype(float) - again).std() < 6.0
    assert 0.01 < (depth == 0).mean() < 0.2
    gray, edge = rig.scene.develop("edge128", 70, 70)
    assert gray.shape == edge.shape == (128, 128)
    assert 0.05 < (edge > 0).mean() < 0.35


def test_visible_true_joints_fall_on_the_hand(rig):
    for view in ("left", "right"):
        moments = rig.scene.moments[view]
        for k in (0, 40, 80):
            pixels, seen = joint_visibility(rig.stage, view, moments, k)
            _, labels = rig.stage.labels(view, rig.stage.meshes(moments, k))
            u, v = np.rint(pixels[seen]).astype(int).T
            assert seen.sum() >= 4
            # Tips lie on the silhouette: the nearest pixel may be a neighbour's.
            near = [
                (labels[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] == HAND).any() for x, y in zip(u, v, strict=True)
            ]
            assert np.mean(near) > 0.9


def test_depth_of_the_hand_is_off_by_the_bias_and_little_else(rig):
    for view in ("left", "right"):
        rig.scene.draw(60)
        _, depth = rig.scene.develop(view, 60, 60)
        meshes = rig.stage.meshes(rig.scene.moments[view], 60)
        ideal, labels = render_depth(meshes, rig.cameras.true[f"{view}/depth"])
        ok = (labels == HAND) & (depth > 0)
        error = depth[ok] * 0.001 - ideal[ok]
        assert ok.sum() > 1000
        bias = CONFIG.depth.bias_m
        assert abs(np.median(error) - bias) < CONFIG.depth.bias_wave_m + 0.0005
        assert 0.0003 < np.quantile(np.abs(error - np.median(error)), 0.5) < 0.003


def test_calibration_is_wrong_by_what_was_asked_and_left_is_right(rig):
    true, said = rig.cameras.true, rig.cameras.calibrated
    for stream in ("left/color", "left/depth"):
        np.testing.assert_array_equal(true[stream].T_world_cam, said[stream].T_world_cam)
    for stream in ("right/color", "edge128/gray"):
        error = np.linalg.inv(true[stream].T_world_cam) @ said[stream].T_world_cam
        angle = np.arccos(np.clip((np.trace(error[:3, :3]) - 1) / 2, -1, 1))
        assert angle * true[stream].fx == pytest.approx(0.3, rel=1e-4)
        assert np.linalg.norm(error[:3, 3]) == pytest.approx(0.001, rel=1e-6)
    angle = np.arccos(true["left/color"].T_world_cam[:3, 2] @ true["right/color"].T_world_cam[:3, 2])
    assert 50.0 < np.rad2deg(angle) < 90.0


def test_streams_carry_the_calibrated_cameras(rig):
    infos = {info.name: info for device in rig.devices for info in device.streams}
    assert set(infos) == set(rig.cameras.true)
    for name, info in infos.items():
        np.testing.assert_allclose(info.camera.T_world_cam, rig.cameras.calibrated[name].T_world_cam, atol=1e-6)
        assert info.camera.fx == pytest.approx(rig.cameras.true[name].fx, rel=1e-6)


def test_every_frame_arrives_but_the_dropped_ones(tmp_path):
    config = simulated.Config(seed=1, seconds=0.6, drop_rate=0.2)
    got: dict[str, list[int]] = {}
    with simulated.open(config) as rig:
        ending = threading.Event()

        def read(device) -> None:
            while True:
                frames = device.read(0.1)
                for frame in frames:
                    got.setdefault(frame.stream, []).append(frame.frame_number)
                if ending.is_set() and not frames:
                    return

        readers = [threading.Thread(target=read, args=(device,)) for device in rig.devices]
        for reader in readers:
            reader.start()
        progress = []
        rig.start(lambda done, total: progress.append((done, total)))
        rig._player.finished.wait(20.0)
        ending.set()
        for reader in readers:
            reader.join()
        assert rig.finished
        assert progress[-1] == (18, 18)
        lost = {name: set(timeline.lost) for name, timeline in rig.timelines.items()}
        assert any(lost.values())
        for name in simulated.DEVICES:
            kinds = ("gray", "edge") if name == "edge128" else ("color", "depth")
            expected = [n for n in range(18) if n not in lost[name]]
            for kind in kinds:
                assert got[f"{name}/{kind}"] == expected
        rig.write_truth(tmp_path)
    from hoi_core.sequence import open_truth

    with open_truth(tmp_path) as truth:
        assert {(d.stream, d.frame_number) for d in truth.drops} == {
            (s, n) for s in rig.cameras.true for n in lost[s.split("/")[0]]
        }
        hand = truth.load().hands["right"]
        assert hand.joints_m.shape == (18, 21, 3)
        np.testing.assert_allclose(truth.vertices_m[:, 320], hand.joints_m[:, 8], atol=1e-6)
        step = np.diff(truth.clocks["right/color"][1])
        assert abs(np.median(step) - 1e9 / 30) < 1e5


def test_clicks_have_the_spread_asked_and_every_fifth_moment(rig):
    moments = {v: rig.scene.moments[v] for v in ("left", "right")}
    index = {v: np.arange(rig.config.frames) for v in moments}
    clicks = click(rig.stage, moments, index, ClickNoise(), seed=0)
    for view, points in clicks.items():
        clicked = np.isfinite(points[..., 0]).any(1)
        assert clicked[::5].all()
        assert not np.delete(clicked, np.s_[::5]).any()
        camera = rig.cameras.true[f"{view}/color"]
        exact = cam.project(camera, cam.transform(camera.T_cam_world, moments[view].joints_m[::5]))
        error = points[::5, :, :2] - exact
        sure = points[::5, :, 2] > 0.5
        assert np.nanstd(error[sure]) == pytest.approx(2.0, rel=0.3)
        assert np.nanstd(error[~sure]) > np.nanstd(error[sure])
        x = error[..., 0]
        both = np.isfinite(x[1:]) & np.isfinite(x[:-1]) & sure[1:] & sure[:-1]
        assert np.corrcoef(x[1:][both], x[:-1][both])[0, 1] > 0.6


def test_live_mode_shows_the_room_at_once_and_never_finishes():
    with simulated.open(simulated.Config(seed=2, live=True, seconds=1.0)) as rig:
        rig.start()
        frames = [frame for _ in range(4) for frame in rig.devices[0].read(2.0)]
        assert {frame.stream for frame in frames} == {"left/color", "left/depth"}
        assert not rig.finished
        assert not rig.whole


def test_a_breakdown_of_the_player_is_heard(monkeypatch):
    with simulated.open(simulated.Config(seed=2, live=True, seconds=0.2)) as rig:
        monkeypatch.setattr(rig.scene, "develop", lambda *_: 1 // 0)
        rig.start()
        rig._threads[1].join(20.0)
        with pytest.raises(DeviceError, match="cannot expose: ZeroDivisionError"):
            rig.devices[2].read(0.1)


def test_clock_shows_offset_and_drift():
    clock = DeviceClock(30.0, 4_000_000, 20.0, 10**12)
    numbers = np.array([0, 30, 30_000])
    true = clock.true_ns(numbers)
    shown = clock.device_ns(true)
    # Frames are regular by the device's own clock.
    np.testing.assert_allclose(shown - shown[0], numbers / 30.0 * 1e9, atol=2.0)
    assert (shown[2] - shown[0]) - (true[2] - true[0]) == pytest.approx(20e-6 * 1e12, rel=1e-3)


def test_first_and_last_frame_are_never_dropped():
    lost = choose_drops(np.random.default_rng(0), 100, 0.49)
    assert 30 < len(lost) < 70
    assert not {0, 99} & lost


def test_depth_noise_grows_with_the_square_of_the_distance_and_hides_what_one_eye_sees():
    banks = NoiseBanks(np.random.default_rng(0))
    noise = DepthNoise(hole_share=0.0, bias_m=0.0, bias_wave_m=0.0, disparity_step_px=1e-4)
    spread = []
    for z in (0.5, 1.0, 2.0):
        out = measure_depth(np.full((200, 300), z, np.float32), 384.0, noise, banks, np.random.default_rng(1))
        assert (out[:, : int(384.0 * 0.05 / z)] == 0).all()
        seen = out[out > 0] * 0.001
        spread.append(seen.std())
        assert seen.mean() == pytest.approx(z, rel=2e-3)
    expected = 0.07 / (384.0 * 0.05)
    assert spread[2] == pytest.approx(4.0 * expected, rel=0.15)
    assert spread[2] / spread[1] == pytest.approx(4.0, rel=0.2)
    scene = np.full((100, 300), 1.0, np.float32)
    scene[:, 150:200] = 0.5
    out = measure_depth(scene, 384.0, noise, banks, np.random.default_rng(1))
    # The near board hides 19.2 px of the wall to its left, and nothing to its right.
    assert (out[:, 132:148] == 0).all()
    assert (out[:, 202:220] > 0).mean() > 0.95


def test_colour_noise_has_the_spread_asked():
    banks = NoiseBanks(np.random.default_rng(0))
    image = np.full((300, 300, 3), 100, np.uint8)
    noisy = expose(image, 1.5, 2.0, banks, np.random.default_rng(1))
    assert noisy.astype(float).std() == pytest.approx(np.hypot(1.5, 2.0 * np.sqrt(100 / 255)), rel=0.1)
    assert noisy.mean() == pytest.approx(100.0, abs=0.1)


def test_by_default_the_truth_is_not_kinder_than_reality(rig):
    config = simulated.Config()
    assert (config.calibration_error_px, config.calibration_error_m) == (0.3, 0.001)
    assert 0.001 <= config.unkind.tip_m <= 0.002
    assert min(config.unkind.field_m, config.unkind.bone_share) > 0
    assert min(config.depth.bias_m, config.depth.flying, config.depth.edge_hole, config.depth.disparity_sigma_px) > 0
    assert config.clicks.correlation > 0.5
    assert config.clicks.occluded_factor > 1.0
    # And the player uses them: the true template lies off what the fit knows, tips by one to two millimetres.
    offset_m = rig.stage.cast.play.layer.model.v_template - rig.stage.cast.fitted.model.v_template
    assert 0.001 < np.linalg.norm(offset_m[list(fingertips())], axis=1).mean() < 0.002


def test_bad_configuration_is_refused():
    with pytest.raises(ConfigError, match="drop_rate"):
        simulated.Config(drop_rate=0.7)


def test_rig_needs_neither_torch_nor_qt():
    code = "import sys; from capture.devices import simulated; print(sorted({'torch', 'PyQt5'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["seconds", "drop_rate", "drift_ppm", "skew_ms", "jitter_ms"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e9])
def test_numbers_without_sense_are_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        simulated.Config(**{name: value})


def test_a_negative_seed_is_refused():
    with pytest.raises(ConfigError, match="seed 0 or more, got -1"):
        simulated.Config(seed=-1)


def test_streams_carry_the_cameras_of_a_calibration_and_images_those_of_truth(rig):
    true = rig.cameras.true
    moved = replace(true["right/color"], fx=600.0, T_world_cam=cam.rigid(np.eye(3), np.array([0.1, 0.2, 0.3])))
    sensor = replace(true["edge128/gray"], cx=60.0)
    cameras = {"right": moved, "edge128": sensor, "front": moved}
    config = simulated.Config(seed=4, seconds=3.0, object="can", cameras=cameras, calibration="2026-11-21_01")
    with simulated.open(config) as other:
        infos = {info.name: info.camera for device in other.devices for info in device.streams}
        assert other.calibration == "2026-11-21_01"
        assert infos["right/color"] == moved
        assert infos["edge128/edge"].cx == 60.0
        np.testing.assert_allclose(infos["left/color"].T_world_cam, true["left/color"].T_world_cam)
        np.testing.assert_allclose(
            infos["right/depth"].T_world_cam, moved.T_world_cam @ rig.cameras.T_color_depth, atol=1e-6
        )
        rig.scene.draw(70)
        other.scene.draw(70)
        for a, b in zip(rig.scene.develop("right", 70, 70), other.scene.develop("right", 70, 70), strict=True):
            np.testing.assert_array_equal(a, b)


def test_devices_say_what_is_set(rig):
    left, _, sensor = (device.settings for device in rig.devices)
    assert left["color"]["exposure_us"] == 8500.0
    assert left["stereo"]["emitter"] is True
    assert sensor["exposure_us"] == 8000.0


def test_a_rig_file_gives_every_option(tmp_path):
    path = tmp_path / "hard.yaml"
    path.write_text(
        "name: hard\ndevices:\n  - type: simulated\n    seconds: 4\n    scene: board\n    noise: cached\n"
        "    board: {squares_x: 5, squares_y: 7, square_m: 0.03, marker_m: 0.022}\n"
        "    faults:\n      stalls: [{device: left, at_s: 1, seconds: 0.5}]\n      latency_ms: {right: 20}\n"
    )
    with open_rig(str(path), tmp_path) as rig:
        assert rig.config.faults.stalls[0].device == "left"
        assert rig.config.faults.latency_ms == {"right": 20}
        assert rig.scene.board.squares_x == 5


def test_rewinding_a_running_preview_shows_the_play_from_its_start():
    with simulated.open(simulated.Config(seed=2, live=True, seconds=0.5, object="can")) as rig:
        rig.prepare()
        rig.start()
        sensor = rig.devices[2]
        while len(rig._shown) < 20:
            sensor.read(1.0)
        rig.rewind()
        while sensor.read(0.0):
            continue
        numbers = np.array([sensor.read(2.0)[0].frame_number for _ in range(4)])
        slots = rig._slots(numbers)
        # On a busy machine a few frames may have gone by, and between them too.
        assert slots[0] < 10
        assert (np.diff(slots) >= 1).all()
        began = int(numbers[0] - slots[0])
        assert rig._slots(np.array([began]))[0] == 0
        assert rig._slots(np.array([began - 1]))[0] > 3
