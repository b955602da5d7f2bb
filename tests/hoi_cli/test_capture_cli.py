"""hoi-capture from the terminal with the simulated rig, and what it refuses."""

import json
import signal
import subprocess
import sys
import threading
import time
from datetime import date

import numpy as np
import pytest

from capture import rig
from capture.protocol import coverage, next_take, plan
from hoi_cli import capture, data, devices
from hoi_core.sequence import check_sequence, open_annotation, open_capture, open_truth, read_table, sequence_dir
from hoi_core.sequence.consent import Consent, set_consent


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """One second of the simulated rig with lost frames, recorded by the command.

    The simulator plays in real time: a machine too busy for that loses frames of its own, and tries again.
    """
    for _ in range(3):
        root = tmp_path_factory.mktemp("data")
        arguments = ["--headless", "--seconds", "1", "--sequence", "seq_001", "--object", "o01", "--seed", "3"]
        arguments += ["--drop-rate", "0.1", "--data", str(root), "--json", str(root / "figures.json")]
        assert capture.main(arguments) == 0
        folder = sequence_dir(root, "seq_001")
        with open_capture(folder) as recording, open_truth(folder) as truth:
            if len(recording.drops) <= len(truth.drops):
                break
    return root


def test_the_drop_table_is_exactly_what_the_simulator_withheld(recorded):
    folder = sequence_dir(recorded, "seq_001")
    with open_capture(folder) as recording, open_truth(folder) as truth:
        withheld = {(d.stream, d.frame_number) for d in truth.drops}
        assert withheld
        assert sorted((d.stream, d.frame_number) for d in recording.drops) == sorted(withheld)
        assert recording.complete
        for name, stream in recording.streams.items():
            assert len(stream) == 30 - sum(drop[0] == name for drop in withheld)
            index = recording.sync.index[name]
            assert len(index) == 30
            missing = {number for s, number in withheld if s == name}
            assert set(np.flatnonzero(index < 0)) == missing
    figures = json.loads((recorded / "figures.json").read_text())
    assert figures["drops"] == len(withheld)
    assert figures["moments"] == 30
    assert figures["duplicates"] == 0


def test_moments_lie_at_the_true_times(recorded):
    folder = sequence_dir(recorded, "seq_001")
    with open_capture(folder) as recording, open_truth(folder) as truth:
        index = recording.sync.index["left/color"]
        numbers = recording.views["left"].color.frame_number[index[index >= 0]]
        known, true_ns = truth.clocks["left/color"]
        error = recording.sync.t_ns[index >= 0] - true_ns[np.searchsorted(known, numbers)]
        # A constant is the least delay from exposure to arrival, which nobody can see from outside.
        assert np.ptp(error) < 1_000_000


def test_truth_and_clicks_lie_beside_the_recording(recorded):
    folder = sequence_dir(recorded, "seq_001")
    with open_annotation(folder) as annotation, open_capture(folder) as recording:
        assert annotation.revisions == ["r000"]
        clicks = annotation.load()
        assert annotation.binding.capture_hash == recording.content_hash()
        np.testing.assert_array_equal(clicks.t_ns, recording.sync.t_ns)
    assert (clicks.author, clicks.keypoint_source) == ("simulated", "clicked")
    assert set(clicks.keypoints["right"].by_view) == {"left", "right"}
    assert np.isfinite(clicks.keypoints["right"].by_view["left"]).any()
    assert read_table(recorded, "participants")["participant"].tolist() == ["p01"]


def test_depth_aligned_to_colour_shows_the_hand_where_the_truth_is(recorded):
    from hoi_core.camera import project, transform

    folder = sequence_dir(recorded, "seq_001")
    with open_capture(folder) as recording, open_truth(folder) as truth:
        view = recording.views["left"]
        depth_m = view.depth_in_color_m(int(recording.sync.index["left/depth"][-1]))
        camera = truth.cameras["left/color"]
        surface = transform(camera.T_cam_world, truth.vertices_m[-1].astype(np.float64))
    pixels = np.rint(project(camera, surface)).astype(int)
    inside = ((pixels >= 0) & (pixels < [640, 480])).all(-1)
    measured = depth_m[pixels[inside, 1], pixels[inside, 0]]
    # Vertices on the near side are what the depth camera sees; those behind lie further away.
    near = np.abs(measured - surface[inside, 2]) < 0.015
    assert inside.any()
    assert near.mean() > 0.25


def test_data_commands_on_the_recording(recorded, capsys):
    root = ["--data", str(recorded)]
    assert data.main(["list", *root, "--json", str(recorded / "list.json")]) == 0
    (row,) = json.loads((recorded / "list.json").read_text())
    assert (row["sequence"], row["status"], row["moments"]) == ("seq_001", "recorded", 30)
    assert data.main(["check", *root]) == 0
    assert data.main(["recover", "seq_001", *root]) == 0
    assert "needed no recovery" in capsys.readouterr().out
    assert data.main(["check", "seq_7", *root]) == 2
    assert "Did you mean seq_001" in capsys.readouterr().err


def test_a_sequence_is_never_recorded_twice(recorded, capsys):
    assert capture.main(["--headless", "--sequence", "seq_001", "--data", str(recorded)]) == 2
    assert "--sequence seq_002" in capsys.readouterr().err


def test_without_flags_the_next_take_of_the_protocol_is_recorded(tmp_path):
    plan(tmp_path, seed=1, catalogue="simulated")
    first = next(cell for cell in coverage(tmp_path).cells if cell.participant == "p03")
    filled = capture._with_next_take(capture.Config(participant="p03"), tmp_path)
    assert (filled.participant, filled.object) == ("p03", first.objects[0])
    assert (filled.scenario, filled.action) == (first.scenario, first.action)


def test_flags_that_no_planned_take_agrees_with_win(tmp_path):
    plan(tmp_path, seed=1, catalogue="simulated")
    asked = capture.Config(participant="p09", object="o08, o02", action="juggle")
    filled = capture._with_next_take(asked, tmp_path)
    assert (filled.participant, filled.object, filled.scenario, filled.action) == ("p09", "o08, o02", "s1", "juggle")


def test_the_simulated_rig_does_not_tick_off_real_things(tmp_path):
    plan(tmp_path)
    simulated = capture._with_next_take(capture.Config(), tmp_path)
    assert (simulated.participant, simulated.object, simulated.scenario) == ("p01", "o01", "s1")
    cell = next_take(tmp_path)
    real = capture._with_next_take(capture.Config(rig="lab"), tmp_path)
    assert (real.object, real.scenario, real.action) == (cell.objects[0], cell.scenario, cell.action)


def test_without_consent_nothing_is_opened(tmp_path, capsys, monkeypatch):
    set_consent(tmp_path, "p02", Consent("1", ("record",), date(2020, 1, 1), None))
    monkeypatch.setattr(rig, "open_rig", lambda *_args, **_options: pytest.fail("the rig was opened"))
    assert capture.main(["--headless", "--data", str(tmp_path)]) == 2
    assert "no consent of p01" in capsys.readouterr().err
    assert not list(tmp_path.glob("sequences/*"))


def test_unknown_rigs_and_bad_options_are_one_line(tmp_path, capsys):
    root = ["--headless", "--data", str(tmp_path)]
    assert capture.main(["--rig", "simulatd", *root]) == 2
    assert "Did you mean 'simulated'" in capsys.readouterr().err
    assert capture.main(["--drop-rate", "0.9", *root]) == 2
    assert "drop_rate" in capsys.readouterr().err
    assert capture.main(["--sequence", "a/b", *root]) == 2
    assert "letters, digits" in capsys.readouterr().err
    rigs = tmp_path / "rigs"
    rigs.mkdir()
    (rigs / "lab.yaml").write_text("devices:\n  - type: realsense\n    serial: '77'\n    wiew: left\n")
    assert capture.main(["--rig", "lab", *root]) == 2
    assert "Did you mean 'view'" in capsys.readouterr().err
    (rigs / "lab.yaml").write_text("devices:\n  - type: realsense\n    serial: '77'\n    view: left\n")
    assert capture.main(["--rig", "lab", *root]) == 2
    assert "camera" in capsys.readouterr().err
    (rigs / "lab.yaml").write_text("calibration: c9\ndevices:\n  - type: realsense\n")
    assert capture.main(["--rig", "lab", *root]) == 2
    assert "calibrations/c9.json" in capsys.readouterr().err
    assert not list((tmp_path / "sequences").glob("*"))


def test_a_hand_model_that_cannot_be_read_is_refused_before_recording(tmp_path, capsys, monkeypatch):
    (tmp_path / "MANO_RIGHT.pkl").write_bytes(b"not a pickle")
    monkeypatch.setenv("HOI_MANO", str(tmp_path))
    assert capture.main(["--headless", "--data", str(tmp_path / "data")]) == 2
    assert "MANO_RIGHT.pkl" in capsys.readouterr().err
    assert not list((tmp_path / "data").glob("sequences/*"))


def test_headless_loads_neither_qt_nor_torch(tmp_path):
    code = (
        "import sys; from hoi_cli.capture import main; "
        f"code = main(['--headless', '--seconds', '0.2', '--data', {str(tmp_path)!r}]); "
        "sys.exit(code or 10 * any(m in sys.modules for m in ('PyQt5', 'torch', 'pyqtgraph')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_devices_lists_what_rig_files_may_name(capsys, tmp_path):
    assert devices.main(["--json", str(tmp_path / "d.json")]) == 0
    out = capsys.readouterr().out
    assert "realsense" in out
    assert "simulated" in out


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_headless_take_and_keeps_it(tmp_path, number, code):
    """The command itself, in a process of its own."""
    (tmp_path / "rigs").mkdir()
    (tmp_path / "rigs" / "short.yaml").write_text(
        "name: short\ndevices:\n  - type: simulated\n    seconds: 120\n    drawn_s: 0.5\n"
    )
    command = [sys.executable, "-c", "import sys; from hoi_cli.capture import main; sys.exit(main())"]
    command += ["--headless", "--rig", "short", "--seconds", "120", "--sequence", "seq_001", "--data", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    folder = sequence_dir(tmp_path, "seq_001")
    try:
        deadline = time.monotonic() + 120.0
        while not (folder / "capture.h5").exists() or (folder / "capture.h5").stat().st_size < 3_000_000:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline, "it did not begin to record"
            threading.Event().wait(0.02)
        process.send_signal(number)
        said = process.communicate(timeout=60.0)[1]
    finally:
        process.kill()
    assert process.returncode == code, said
    assert "kept what was recorded as seq_001" in " ".join(said.split())
    with open_capture(folder) as recording:
        assert (recording.complete, recording.never_closed) == (False, False)
        assert recording.views["left"].color[-1].shape == (480, 640, 3)
        assert len(recording.sync) > 0
        assert recording.drops == []
    assert check_sequence(folder) == []
    assert read_table(tmp_path, "protocol").loc[0, "status"] == "incomplete"
