"""A small network all the way: 20 steps, quantisation-aware training, ONNX, ONNX Runtime, the torch-free runtime."""

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import load_file, save_file

from dataset_tools.readers import _tiny_ours, ours
from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core import runtime
from hoi_core.errors import AssetError, ConfigError, ExportError, StorageError
from learning import evaluate, models, runs
from learning.augment import Augment
from learning.bench import time_models
from learning.config import TrainConfig
from learning.export import export
from learning.int8_proof import prove
from learning.loop import learning_rate
from learning.models import splite
from learning.qdq import integer_network
from learning.scheme import Scheme
from learning.track import track
from learning.train import train

STILL = Augment(roll_deg=0.0, scale_jitter=0.0, shift_jitter=0.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Data, a float run of 20 steps, a QAT run of 6, and both exports."""
    torch.set_num_threads(1)  # small layers; a second thread would wait more than work
    base = tmp_path_factory.mktemp("pipeline")
    data = _tiny_ours.write(base / "data", frames=4)
    settings = TrainConfig(
        net=splite.Config(width=8, head_channels=32),
        data=data,
        out=base / "float",
        steps=20,
        batch_size=4,
        lr=3e-3,
        augment=STILL,
        log_every=5,
        save_every=10,
    )
    report = train(settings)
    quantised = train(replace(settings, qat=True, from_run=base / "float", out=base / "int8", steps=6, lr=None))
    fp32 = export(base / "float", base / "fp32.onnx", int8=False, data=data)
    int8 = export(base / "int8", base / "int8.onnx", int8=True, data=data)
    return {
        "base": base,
        "data": data,
        "settings": settings,
        "report": report,
        "qat": quantised,
        "fp32": fp32,
        "int8": int8,
    }


def test_loss_falls(made):
    assert made["report"].loss_last < 0.75 * made["report"].loss_first


def test_run_folder(made):
    run = made["base"] / "float"
    made_files = {p.name for p in run.iterdir()}
    assert made_files == {"config.yaml", "command.txt", "env.json", "metrics.jsonl", "tensorboard", "checkpoints"}
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [5, 10, 15, 20]
    assert all(np.isfinite(list(line.values())).all() for line in lines)
    assert (run / "checkpoints" / "last").resolve().name == "step_000020"
    assert runs.read_settings(run) == made["settings"]
    torch.load(run / "checkpoints" / "last" / "state.pt", weights_only=True)


def test_qat_starts_from_the_float_weights(made):
    assert made["qat"].loss_first < made["report"].loss_first


def test_float_export_is_the_model(made):
    parity = made["fp32"].sidecar.parity
    assert parity["joints_max_mm"] < 0.01
    assert parity["vertices_max_mm"] < 0.01


def test_the_checkpoint_that_validated_best_is_exported_and_named(made, tmp_path):
    run = shutil.copytree(made["base"] / "float", tmp_path / "run", symlinks=True)
    best = run / "checkpoints" / "step_000007"
    shutil.copytree((run / "checkpoints" / "last").resolve(), best)
    weights = load_file(best / "model.safetensors")
    save_file({name: value * 0.9 for name, value in weights.items()}, best / "model.safetensors")
    (run / "checkpoints" / "best").symlink_to(best.name)
    told = export(run, tmp_path / "best.onnx", int8=False, data=made["data"], samples=1).sidecar.training
    assert told["step"] == 7
    assert told["weights_sha256"] == hashlib.sha256((best / "model.safetensors").read_bytes()).hexdigest()


def test_int8_export_agrees_with_the_fake_quant_model(made):
    parity = made["int8"].sidecar.parity
    assert parity["joints_mean_mm"] < 1.0
    assert parity["vertices_mean_mm"] < 1.0


def test_int8_file_computes_in_int8(made):
    proof = prove(made["int8"].path)
    assert proof.integer_share == 1.0
    assert proof.in_float == ()
    assert made["int8"].sidecar.training["int8"]["modules_kept_in_float"] == ["soft_argmax", "gather"]
    assert made["int8"].sidecar.weight_bits == 8
    assert made["int8"].megabytes < 0.5 * made["fp32"].megabytes
    assert prove(made["fp32"].path).integer_share == 0.0


def test_a_float_run_is_quantised_by_calibration(made, tmp_path):
    about = {"int8": True, "data": made["data"], "samples": 2}
    ptq = export(made["base"] / "float", tmp_path / "ptq.onnx", calibrate=4, scheme=Scheme(7, "float"), **about)
    told = ptq.sidecar.training["int8"]
    assert told["how"] == "ranges of 4 samples"
    assert told["float_layers"] == ["heatmap", "depth_out", "decoder.head.conv.conv", "decoder.head.conv.mix"]
    assert told["modules_kept_in_float"] == ["soft_argmax", "gather", "heatmap", "depth_out", "decoder.head"]
    weights = [numpy_helper.to_array(t) for t in onnx.load(ptq.path).graph.initializer if t.data_type == 3]
    assert max(np.abs(w.astype(int)).max() for w in weights) == 64
    assert (ptq.sidecar.weight_bits, runtime.read_sidecar(ptq.path).weight_bits) == (7, 7)
    # What the rounding costs, beside whether the file rounds as it was simulated.
    assert 0.0 < ptq.sidecar.parity["against_float_joints_mean_mm"] < 5.0
    assert ptq.sidecar.parity["against_float_joints_mean_mm"] > ptq.sidecar.parity["joints_mean_mm"]
    assert ptq.sidecar.training["licences"] == {"ours": ours.INFO.licence}
    assert ptq.sidecar.parity["joints_mean_mm"] < 1.0
    assert prove(ptq.path).integer_share > 0.95
    with pytest.raises(ExportError, match="go with --ptq"):
        export(made["base"] / "int8", tmp_path / "x.onnx", scheme=Scheme(7), **about)
    for run, int8 in (("float", False), ("int8", True)):
        with pytest.raises(ExportError, match="--ptq quantises a float run"):
            export(made["base"] / run, tmp_path / "x.onnx", int8=int8, data=made["data"], calibrate=4)


def test_the_sidecar_says_what_goes_in_and_what_comes_out(made):
    sidecar = runtime.read_sidecar(made["int8"].path)
    assert "128 x 128 px" in sidecar.preprocessing
    assert "edge maps" in sidecar.preprocessing
    assert list(sidecar.outputs) == list(runtime.HandModel.OUTPUTS)
    assert all("unit" in sidecar.outputs[name] for name in ("depth", "vertices"))
    assert [training["run"] for training in sidecar.training["lineage"]] == ["int8", "float"]
    assert (made["fp32"].sidecar.weight_bits, len(made["fp32"].sidecar.training["lineage"])) == (None, 1)


def test_any_batch_size(made):
    model = runtime.load(made["int8"].path)
    uv, depth, vertices, confidence = model.run(np.zeros((3, 3, 128, 128), np.float32))
    assert uv.shape == (3, 21, 2)
    assert depth.shape == (3, 22)
    assert vertices.shape == (3, 778, 3)
    assert ((confidence >= 0) & (confidence <= 1.001)).all()


def test_figures_of_run_and_file_agree(made):
    figures = [
        evaluate.evaluate(evaluate.open_model(made["base"] / name), "ours", made["data"], "all").figures()
        for name in ("float", "fp32.onnx")
    ]
    for key in (
        "xyz_mm",
        "xyz_auc",
        "xyz_pa_mm",
        "xyz_pa_auc",
        "mesh_mm",
        "mesh_auc",
        "mesh_pa_mm",
        "mesh_pa_auc",
        "f5",
    ):
        assert figures[0][key] == pytest.approx(figures[1][key], rel=1e-3, abs=1e-4), key
    assert figures[0]["n"] == 8
    assert {"f15", "f5_pa", "f15_pa"} <= figures[0].keys()
    model = evaluate.open_model(made["base"] / "fp32.onnx")
    sensor = evaluate.evaluate(model, "ours", made["data"], "all", edge_alone=True).figures()
    assert sensor["n"] == 8
    assert sensor["xyz_pa_mm"] != pytest.approx(figures[1]["xyz_pa_mm"], rel=1e-6)


def test_runtime_predicts_in_the_frame_of_the_whole_image(made):
    """The same numbers as the network on the crop, moved back by the crop's own geometry; left hands mirrored."""
    model = runtime.load(made["fp32"].path)
    network = runs.load_run(made["base"] / "float").model
    for key in ("seq_001/left/000000", "seq_002/left/000000"):
        sample = ours.read(made["data"], key)
        box = crops.box_of(cameras.project(sample.camera, sample.joints_m))
        hand = model.predict(sample.image, sample.camera, box, side=sample.side)
        np.testing.assert_allclose(cameras.project(sample.camera, hand.joints_m), hand.joints_px)
        from learning.data import collate
        from learning.items import DataConfig, make_item

        image = collate([make_item(sample, DataConfig())]).image
        with torch.no_grad():
            uv, depth, _, _ = (x.double().numpy() for x in network(image))
        crop = crops.around(sample.camera, box, 128, crops.Placement(mirror=sample.side == "left"))
        expected = crops.from_crop(crop, crops.camera_space(uv, depth, np.array([crop.focal_px]), 128)[0])
        np.testing.assert_allclose(hand.joints_m, expected, atol=2e-5)
        assert hand.vertices_m.shape == (778, 3)
    whole = model.predict(sample.image, sample.camera)
    assert np.isfinite(whole.joints_m).all()


def test_runtime_needs_no_torch(made):
    code = f"""
import sys
sys.modules["torch"] = None
import numpy as np
from hoi_core import runtime
from hoi_core.types import Camera
model = runtime.load({str(made["int8"].path)!r})
hand = model.predict(np.zeros((240, 320, 3), np.uint8), Camera(320, 240, 300.0, 300.0, 159.5, 119.5), (90, 60, 200, 99))
assert np.isfinite(hand.joints_m).all() and hand.vertices_m.shape == (778, 3)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr


def test_damaged_models_say_so(made, tmp_path):
    good, sidecar = made["fp32"].path, made["fp32"].path.with_suffix(".json")
    copy = tmp_path / "m.onnx"
    with pytest.raises(AssetError, match="expected a model file"):
        runtime.load(copy)
    copy.write_bytes(good.read_bytes())
    with pytest.raises(AssetError, match="no sidecar"):
        runtime.load(copy)
    beside = copy.with_suffix(".json")
    beside.write_text("{")
    with pytest.raises(AssetError, match="not JSON"):
        runtime.load(copy)
    beside.write_text('{"format": "other"}')
    with pytest.raises(AssetError, match="hoi-model"):
        runtime.load(copy)
    values = json.loads(sidecar.read_text())
    beside.write_text(json.dumps({k: v for k, v in values.items() if k != "size"}))
    with pytest.raises(AssetError, match="incomplete"):
        runtime.load(copy)
    beside.write_text(json.dumps(values))
    copy.write_bytes(good.read_bytes()[:-100])
    with pytest.raises(AssetError, match="hashes differ"):
        runtime.load(copy)
    beside.write_text(json.dumps(values | {"sha256": runtime.file_hash(copy)}))
    with pytest.raises(AssetError, match="not a model"):
        runtime.load(copy)


@pytest.mark.parametrize("qat", [False, True])
def test_resume_continues_where_it_stopped(made, qat):
    """Bit for bit: the same samples, the same weights, and with --qat ranges that freeze at the same step."""
    run = made["base"] / f"resumed_{qat}"
    settings = replace(made["settings"], out=run, steps=8, save_every=4)
    if qat:
        settings = replace(settings, qat=True, from_run=made["base"] / "float")
    train(settings)
    (run / "checkpoints" / "last").unlink()
    (run / "checkpoints" / "last").symlink_to("step_000004")
    straight = runs.load_file(run / "checkpoints" / "step_000008" / "model.safetensors")
    report = train(replace(settings, resume=True))
    assert report.step == 8
    again = runs.load_file(run / "checkpoints" / "last" / "model.safetensors")
    for name, value in straight.items():
        assert torch.equal(again[name], value), name
    with pytest.raises(ConfigError, match="has all of its 8 steps"):
        train(replace(settings, resume=True))


def test_tensorboard_shows_what_the_lines_say(made):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    shown = accumulator.EventAccumulator(str(made["base"] / "float" / "tensorboard")).Reload()
    lines = [json.loads(line) for line in (made["base"] / "float" / "metrics.jsonl").read_text().splitlines()]
    assert [event.step for event in shown.Scalars("loss")] == [line["step"] for line in lines]
    assert [event.value for event in shown.Scalars("loss/pose")] == pytest.approx([line["loss_pose"] for line in lines])


def test_the_log_works_without_tensorboard_and_takes_back_what_was_not_saved(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    lines = [json.dumps({"step": step, "loss": 1.0}) + "\n" for step in (5, 10, 15)]
    (tmp_path / "metrics.jsonl").write_text("".join(lines) + '{"step": 20, "lo')
    with track(tmp_path, 10) as figures:
        figures.add(12, {"loss": 2.0})
    assert (tmp_path / "metrics.jsonl").read_text() == "".join(lines[:2]) + '{"step": 12, "loss": 2.0}\n'
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_an_existing_run_is_not_overwritten(made):
    settings = replace(made["settings"], steps=1)
    assert train(settings).folder == made["base"] / "float_2"


def test_a_run_that_died_before_it_saved_gives_its_folder_back(made, caplog):
    settings = replace(made["settings"], out=made["base"] / "killed", steps=1, log_every=1)
    runs.describe(settings.out, settings, {})
    (settings.out / "metrics.jsonl").write_text('{"step": 1, "loss": 9.0}\n')
    (settings.out / "checkpoints" / "step_000001.part").mkdir(parents=True)
    with runs.held(settings.out):  # another process trains there
        assert runs.new_folder(settings) == made["base"] / "killed_2"
        with pytest.raises(ConfigError, match="no checkpoint"):
            train(replace(settings, resume=True))
    assert train(settings).folder == settings.out
    assert "used again" in caplog.text
    (line,) = (settings.out / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["loss"] != 9.0
    assert runs.new_folder(settings) == made["base"] / "killed_2"
    with runs.held(settings.out), pytest.raises(ConfigError, match="another process trains"):
        train(replace(settings, resume=True, steps=2))


def test_a_folder_that_is_no_run_is_left_alone(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("notes", "file"):
        settings = TrainConfig(net=splite.Config(), out=tmp_path / name)
        assert runs.new_folder(settings) == tmp_path / f"{name}_2"


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    model = torch.nn.Linear(1, 1)
    for step in (2, 4):
        runs.save_checkpoint(tmp_path, step, model, {})
    monkeypatch.setattr(runs.torch, "save", full)
    with pytest.raises(StorageError, match="No space left"):
        runs.save_checkpoint(tmp_path, 9, model, {})
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["last", "step_000004"]
    assert (tmp_path / "checkpoints" / "last").resolve().name == "step_000004"
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot write"):
        runs.describe(tmp_path / "file" / "below", TrainConfig(net=splite.Config()), {})


def test_an_older_checkpoint_makes_room_on_a_full_disk(tmp_path, monkeypatch, caplog):
    model, write = torch.nn.Linear(1, 1), torch.save
    for step in (2, 4):
        runs.save_checkpoint(tmp_path, step, model, {})

    def fits_without_the_first(*arguments):
        if (tmp_path / "checkpoints" / "step_000002").exists():
            raise OSError(28, "No space left on device")
        write(*arguments)

    monkeypatch.setattr(runs.torch, "save", fits_without_the_first)
    runs.save_checkpoint(tmp_path, 6, model, {})
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["last", "step_000004", "step_000006"]
    assert "disk was full" in caplog.text


def test_the_newest_and_the_best_checkpoints_stay(tmp_path):
    model = torch.nn.Linear(1, 1)
    for step in range(1, 6):
        runs.save_checkpoint(tmp_path, step, model, {}, best=step == 2, keep=2)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == [
        "best", "last", "step_000002", "step_000004", "step_000005",
    ]  # fmt: skip
    assert runs.best_step(tmp_path) == 2
    assert runs.chosen_checkpoint(tmp_path).resolve().name == "step_000002"
    assert runs.last_checkpoint(tmp_path).resolve().name == "step_000005"


def test_errors_of_export_and_loading(made, tmp_path):
    with pytest.raises(ExportError, match="not trained with --qat"):
        export(made["base"] / "float", tmp_path / "x.onnx", int8=True, data=made["data"])
    with pytest.raises(ExportError, match="trained with --qat"):
        export(made["base"] / "int8", tmp_path / "x.onnx", int8=False, data=made["data"])
    with pytest.raises(ExportError, match=r"ends in \.onnx"):
        export(made["base"] / "float", tmp_path / "x", int8=False, data=made["data"])
    with pytest.raises(ConfigError, match="expected a run"):
        runs.load_run(tmp_path)
    with pytest.raises(ConfigError, match="no model named 'splitt'") as caught:
        models.build("splitt")
    assert "'splite'" in caught.value.hint
    with pytest.raises(ConfigError, match="no key in splite named 'widht'"):
        models.build("splite", widht=8)
    with pytest.raises(ConfigError, match="another model"):
        train(replace(made["settings"], net=splite.Config(width=16), from_run=made["base"] / "float", dry_run=True))


def test_integer_network_agrees_with_fake_quantisation(made):
    """Only the rounding of biases differs, which turns a last bit here and there: far less than a wrong scale would."""
    loaded = runs.load_run(made["base"] / "int8")
    image = torch.from_numpy(HandItem.first(made["data"]))
    with torch.no_grad():
        a, b = loaded.model(image), integer_network(loaded.model)(image)
    for x, y in zip(a, b, strict=True):
        assert (x - y).abs().mean() < 0.003
        assert (x - y).abs().max() < 0.03


class HandItem:
    """The first sample's network input."""

    @staticmethod
    def first(root):
        from learning.data import collate
        from learning.items import DataConfig, make_item

        return collate([make_item(ours.read(root, ours.index(root, "all")[0]), DataConfig())]).image.numpy()


def test_bench_rows(made):
    rows = time_models([made["fp32"].path, made["int8"].path], repeats=3)
    assert [r.engine for r in rows] == ["ort_fp32", "ort_int8"]
    assert all(r.median_ms > 0 for r in rows)
    assert rows[0].to_dict()["net"] == "splite"
    with pytest.raises(ConfigError):
        time_models([])


def test_learning_rate():
    settings = TrainConfig(net=splite.Config(), steps=100)
    rates = [learning_rate(settings, s) for s in range(100)]
    assert max(rates) == pytest.approx(1e-3, rel=0.01)
    assert rates[0] < rates[2]
    assert rates[-1] < 2e-5
    stepped = replace(settings, schedule="step", qat=True, from_run=settings.data or "x")
    assert learning_rate(stepped, 50) == pytest.approx(1e-4)
    assert learning_rate(stepped, 90) == pytest.approx(1e-5)


def test_impossible_settings_are_refused():
    for bad in (
        {"steps": 0}, {"size": 100}, {"qat": True}, {"resume": True}, {"batch_size": 3, "processes": 2},
        {"processes": 0}, {"log_every": 0}, {"save_every": 0}, {"workers": -1},
    ):  # fmt: skip
        with pytest.raises(ConfigError):
            TrainConfig(net=splite.Config(), **bad)
    with pytest.raises(ConfigError):
        splite.Config(part=0.0)
