"""hoi-train, hoi-eval, hoi-export and hoi-bench as a user types them."""

import csv
import json
import shutil

import cv2
import numpy as np
import pytest

from dataset_tools.readers import _tiny_ours, freihand, ho3d_v3
from hoi_cli import bench, export, train
from hoi_cli import eval as evaluate
from hoi_core.conventions import JOINT_NAMES

SMALL = ["--width", "8", "--head-channels", "32", "--batch-size", "4", "--device", "cpu"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    import torch

    torch.set_num_threads(1)
    base = tmp_path_factory.mktemp("cli")
    data = str(_tiny_ours.write(base / "data", frames=2))
    assert (
        train.main([*SMALL, "--data", data, "--steps", "4", "--out", str(base / "f"), "--json", str(base / "t.json")])
        == 0
    )
    assert train.main(["--qat", "--from", str(base / "f"), "--steps", "2", "--out", str(base / "q")]) == 0
    assert export.main([str(base / "f"), "--data", data, "--out", str(base / "f.onnx")]) == 0
    assert export.main([str(base / "q"), "--int8", "--data", data, "--out", str(base / "q.onnx")]) == 0
    return base


def test_training_reports(made):
    figures = json.loads((made / "t.json").read_text())
    assert figures["step"] == 4
    assert figures["run"] == str(made / "f")
    assert figures["parameters"] > 0


@pytest.mark.parametrize("model", ["f", "q", "f.onnx", "q.onnx"])
def test_eval_writes_the_keys_of_the_contract(made, model):
    out = made / f"{model}.eval.json"
    assert (
        evaluate.main([str(made / model), "--dataset", "ours", "--data", str(made / "data"), "--json", str(out)]) == 0
    )
    keys = "xyz_mm xyz_auc xyz_pa_mm xyz_pa_auc mesh_mm mesh_auc mesh_pa_mm mesh_pa_auc f5 f15 f5_pa f15_pa n"
    assert set(keys.split()) <= json.loads(out.read_text()).keys()


@pytest.mark.parametrize(("split", "samples"), [("train", 2), ("test", 2), ("all", 4)])
def test_eval_of_each_split_counts_its_samples(made, split, samples):
    out = made / f"{split}.json"
    assert (
        evaluate.main([str(made / "f.onnx"), "--data", str(made / "data"), "--split", split, "--json", str(out)]) == 0
    )
    assert json.loads(out.read_text())["n"] == samples


def test_eval_shows_where_a_model_errs(made):
    page, table, pictures, out = (made / name for name in ("e.html", "e.csv", "e.png", "e.json"))
    asked = [str(made / "f"), "--data", str(made / "data"), "--split", "all"]
    assert evaluate.main([*asked, "--report", str(page), "--samples", str(table), "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    rows = list(csv.DictReader(table.open()))
    assert len(rows) == figures["n"] == 4
    for name in ("xyz_mm", "xyz_pa_mm", "mpjpe_mm", "depth_rr_mm", "f15_pa"):
        assert np.mean([float(row[name]) for row in rows]) == pytest.approx(figures[name], rel=1e-3), name
        low, high = figures["ci95"][name]
        assert low <= figures[name] <= high
    # Moments of one recording are of one group, here there are two.
    assert figures["groups"] == len({row["group"] for row in rows}) == 2
    text = page.read_text()
    worst = max(rows, key=lambda row: float(row["xyz_pa_mm"]))
    assert text.index(f"ours/{worst['key']}") == min(text.index(f"ours/{row['key']}") for row in rows)
    assert "seen from" in text
    assert all(f"<td>{name}</td>" in text for name in JOINT_NAMES)
    assert evaluate.main([*asked, "--report", str(pictures)]) == 0
    assert cv2.imread(str(pictures)).shape[1] > 2 * 3 * 2 * 128


def test_bench_writes_rows(made):
    out = made / "bench.json"
    files = [str(made / "f.onnx"), str(made / "q.onnx")]
    assert bench.main(["model", *files, "--repeats", "3", "--json", str(out)]) == 0
    rows = json.loads(out.read_text())
    assert [row["engine"] for row in rows] == ["ort_fp32", "ort_int8"]
    assert all(row["median_ms"] > 0 and row["threads"] == 1 for row in rows)


def test_config_of_a_run_repeats_it(made):
    again = ["--config", str(made / "f" / "config.yaml"), "--steps", "2", "--out", str(made / "again")]
    assert train.main(again) == 0
    assert "width: 8" in (made / "again" / "config.yaml").read_text()


def test_dry_run_writes_nothing(made):
    assert train.main([*SMALL, "--data", str(made / "data"), "--out", str(made / "dry"), "--dry-run"]) == 0
    assert not (made / "dry").exists()


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        (train, ["--model", "splitt"], "no model named 'splitt'"),
        (train, ["--dataset", "hours"], "no dataset named 'hours'"),
        (train, ["--data", "/nowhere"], "expected recordings in /nowhere"),
        (train, ["--lr", "nan"], "--lr and --clip above 0"),
        (train, ["--clip", "-1"], "--lr and --clip above 0"),
        (train, ["--freeze", "2"], "--freeze from 0 to 1"),
        (train, ["--seed", "-1"], "--seed >= 0"),
        (train, ["--qat"], "--qat needs the float run"),
        (train, ["--qat", "--from", "/nowhere"], "expected a run"),
        (evaluate, ["/nowhere"], "expected a run's folder or an .onnx file"),
        (evaluate, ["/nowhere.onnx"], "expected a model file"),
        (evaluate, ["/nowhere", "--workers", "-1"], "--workers >= 0"),
        (export, ["/nowhere"], "expected a run"),
        (bench, ["model", "/nowhere.onnx"], "expected a model file"),
        (bench, ["model", "/nowhere.onnx", "--threads", "0"], "--threads >= 1"),
        (bench, ["model", "/nowhere.onnx", "--sparsity", "nan"], "--sparsity"),
        (bench, ["model", "/nowhere.onnx", "--seed", "-1"], "--seed >= 0"),
    ],
)
def test_bad_input_ends_with_code_2_and_one_line(command, arguments, message, capsys):
    assert command.main(arguments) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
    assert len(shown.strip().splitlines()) == 1


def test_help_shows_the_models_own_options(capsys):
    with pytest.raises(SystemExit):
        train.main(["--model", "splite", "--help"])
    assert "--spiral-length" in capsys.readouterr().out


@pytest.mark.parametrize("file", ["model.safetensors", "state.pt"])
def test_a_damaged_checkpoint_is_one_line(made, tmp_path, capsys, file):
    run = tmp_path / "run"
    shutil.copytree(made / "f", run, symlinks=True)
    (run / "checkpoints" / "last" / file).write_bytes(b"\x10" * 100)
    assert train.main(["--resume", "--out", str(run), "--steps", "9"]) == 2
    shown = [line for line in capsys.readouterr().err.splitlines() if line.startswith("hoi-train: ")]
    assert len(shown) == 1
    assert "damaged" in shown[0]


def test_an_export_that_finds_no_space_leaves_the_one_before(made, tmp_path, capsys, monkeypatch):
    from learning import export as exporting

    out = tmp_path / "my model.onnx"
    for end in (".onnx", ".json"):
        out.with_suffix(end).write_bytes((made / "f").with_suffix(end).read_bytes())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(network, path, *_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "write_onnx", full)
    assert export.main([str(made / "f"), "--data", str(made / "data"), "--out", str(out)]) == 2
    assert "my model.onnx: No space left on device" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_submission_measures_as_its_model_does(made, tmp_path, capsys):
    freihand.tiny(tmp_path / "freihand")
    model, root, pred = str(made / "f.onnx"), str(tmp_path), str(tmp_path / "pred.zip")
    assert evaluate.main([model, "--dataset", "freihand", "--data", root, "--submission", pred]) == 0
    assert "hoi-eval --predictions" in capsys.readouterr().out
    assert evaluate.main([model, "--dataset", "freihand", "--data", root, "--json", f"{root}/model.json"]) == 0
    truth = ["--truth", f"{root}/freihand", "--protocol", "freihand"]
    assert evaluate.main(["--predictions", pred, *truth, "--json", f"{root}/file.json"]) == 0
    by_model, by_file = (json.loads((tmp_path / name).read_text()) for name in ("model.json", "file.json"))
    # Where a model errs is told of images, which a file of predictions does not have.
    assert by_file.keys() - by_model.keys() <= {"groups", "datasets"}
    assert by_model.keys() - by_file.keys() <= {"groups", "datasets"}
    # A model is measured in the frame of its crop, whose axis is not the camera's: depths differ, distances do not.
    for key in (by_model.keys() & by_file.keys()) - {"ci95", "depth_mm", "depth_rr_mm"}:
        assert by_file[key] == pytest.approx(by_model[key], abs=1e-3), key


def test_ho3d_has_a_figure_more(made, tmp_path):
    ho3d_v3.tiny(tmp_path / "ho3d_v3")
    pred = str(tmp_path / "pred.zip")
    model = str(made / "f.onnx")
    assert evaluate.main([model, "--dataset", "ho3d_v3", "--data", str(tmp_path), "--submission", pred]) == 0
    truth = ["--truth", str(tmp_path / "ho3d_v3"), "--protocol", "ho3d", "--json", str(tmp_path / "e.json")]
    assert evaluate.main(["--predictions", pred, *truth]) == 0
    assert {"xyz_sc_tr_mm", "xyz_sc_tr_auc"} < json.loads((tmp_path / "e.json").read_text()).keys()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected a model or --predictions"),
        (["f.onnx", "--predictions", "pred.json"], "expected a model or --predictions"),
        (["--predictions", "pred.json"], "--truth"),
        (["f.onnx", "--dataset", "rhd", "--submission", "a.zip"], "takes no submission"),
        (["f.onnx", "--submission", "a.zip"], "needs the dataset"),
        (["f", "--dataset", "freihand", "--submission", "a.zip"], "expected an exported model"),
        (["f.onnx", "--dataset", "freihand", "--split", "train", "--submission", "a.zip"], "whole test split"),
    ],
)
def test_flags_that_do_not_go_together(arguments, message, capsys):
    assert evaluate.main(arguments) == 2
    assert message in " ".join(capsys.readouterr().err.split())
