"""`hoi-data scan` on a turntable take of the simulated rig, written without playing it."""

import json

import numpy as np
import pytest

from capture.devices import simulated
from hoi_cli.data import main
from hoi_core.mesh_file import read_mesh
from hoi_core.scene import objects
from hoi_core.sequence import CaptureHeader, CaptureWriter, read_table
from hoi_core.types import Frame

pytest.importorskip("open3d")

SLOTS = range(0, 340, 14)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    config = simulated.Config(seed=2, scene="turntable", object="o01", seconds=12.0, drawn_s=12.0)
    folder = root / "sequences" / "scan_001"
    folder.mkdir(parents=True)
    with simulated.open(config) as rig:
        streams = [info for device in rig.devices for info in device.streams if info.kind == "camera"]
        header = CaptureHeader(sequence="scan_001", objects=("o01",))
        names = [info.name for info in streams]
        with CaptureWriter.create(folder / "capture.h5", header, streams) as writer:
            for m, slot in enumerate(SLOTS):
                rig.scene.draw(slot)
                t_ns = m * 33_333_333
                for view in ("left", "right"):
                    for kind, image in zip(("color", "depth"), rig.scene.develop(view, slot, m), strict=True):
                        writer.append(Frame(f"{view}/{kind}", m + 1, t_ns, t_ns, "hardware_clock", image))
                writer.sync(t_ns, dict.fromkeys(names, m), dict.fromkeys(names, 0))
            writer.close()
    return root


def test_a_take_becomes_a_mesh(root, tmp_path, capsys):
    arguments = ["scan", "scan_001", "--every", "1", "--voxel-mm", "3", "--data", str(root)]
    assert main([*arguments, "--json", str(tmp_path / "scan.json")]) == 0
    figures = json.loads((tmp_path / "scan.json").read_text())
    mesh = read_mesh(root / "objects" / "o01" / "mesh.obj")
    true_m = np.ptp(objects.make("o01").shape.vertices_m, axis=0)
    # The object stands turned on the board: compare its height and its diagonal.
    assert np.ptp(mesh.vertices[:, 2]) == pytest.approx(true_m[2], abs=0.006)
    reach = np.linalg.norm(mesh.vertices[:, :2], axis=-1).max()
    assert reach == pytest.approx(np.linalg.norm(true_m[:2]) / 2, abs=0.008)
    assert figures["seen_deg"] > 300
    # The rig's depth lies 1.5 mm too far, give or take its slow wave.
    assert figures["depth_bias_mm"]["left"] == pytest.approx(1.5, abs=1.0)
    assert read_table(root, "objects").set_index("object").loc["o01", "mesh"] == "objects/o01/mesh.obj"
    capsys.readouterr()
    assert main(arguments) == 2
    assert "has a mesh already" in " ".join(capsys.readouterr().err.split())


def test_mistakes_are_one_line(root, capsys):
    assert main(["scan", "scan_001", "--voxel-mm", "0", "--data", str(root)]) == 2
    assert "--voxel-mm from 0.3 to 10" in " ".join(capsys.readouterr().err.split())


def test_a_take_without_the_board_is_refused(root, tmp_path, capsys):
    board = tmp_path / "board.toml"
    board.write_text(
        "board_x = 5\nboard_y = 5\nsquare_length = 20\nmarker_length = 15\nmarker_bits = 7\ndict_size = 50\n"
    )
    assert main(["scan", "scan_001", "--object", "o09", "--board", str(board), "--data", str(root)]) == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "0 images" in message
    assert "Stand the object on the printed board" in message
