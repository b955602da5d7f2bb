"""A run from its rehearsal to its page: validation, running average, early end, and what may end it before."""

import json
import re
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from dataset_tools.readers import _tiny_ours
from hoi_core.errors import ConfigError, ExportError, FitError, StorageError
from learning import evaluate, losses, rehearsal, report, runs, validation
from learning.config import LossWeights, TrainConfig
from learning.models import splite
from learning.train import train


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    torch.set_num_threads(1)
    data = _tiny_ours.write(tmp_path_factory.mktemp("life"), frames=3)
    return TrainConfig(
        net=splite.Config(width=8, head_channels=16),
        data=data, size=64, batch_size=4, steps=4, log_every=1, device="cpu", check=False, validate_every=0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def validated(settings, tmp_path_factory):
    """A run that keeps an average and is validated after two steps and four."""
    out = tmp_path_factory.mktemp("validated") / "run"
    watched = replace(settings, out=out, ema=0.9, validate_every=2, validate_split="test", watch="xyz_pa_mm")
    return out, train(watched)


def _lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_validation_says_what_evaluation_says_of_the_checkpoint(validated, settings):
    run, told = validated
    lines = {line["step"]: line for line in _lines(run) if "val_loss" in line}
    assert list(lines) == [2, 4]
    best = min(lines, key=lambda step: lines[step]["val_xyz_pa_mm"])
    assert told.best == {"step": best, "xyz_pa_mm": lines[best]["val_xyz_pa_mm"]}
    assert runs.best_step(run) == best
    figures = evaluate.evaluate(evaluate.open_model(run), "ours", settings.data, "test").figures()
    for key in ("xyz_mm", "xyz_pa_mm", "mesh_mm", "mesh_pa_mm", "mpjpe_mm", "depth_mm", "f5_pa", "xyz_auc"):
        assert lines[best][f"val_{key}"] == pytest.approx(figures[key], rel=1e-4, abs=1e-6), key


def test_the_average_is_what_is_saved_and_read(validated):
    """a_t = d a_(t-1) + (1 - d) w_t with d = (1 + t) / (10 + t): far behind the weights of the last step."""
    run, _ = validated
    last = run / "checkpoints" / "last"
    average = load_file(last / "model.safetensors")
    weights = torch.load(last / "state.pt", weights_only=True)["weights"]
    assert any(not torch.equal(average[name], value) for name, value in weights.items())
    (run / "checkpoints" / "best").unlink()
    network = runs.load_run(run).model
    (run / "checkpoints" / "best").symlink_to(last.resolve().name)
    assert all(torch.equal(value, average[name]) for name, value in network.state_dict().items())


def test_the_page_of_a_run_shows_what_it_did(validated):
    run, _ = validated
    page = report.write(run).read_text(encoding="utf8")
    assert [p.name for p in (run / "pictures").iterdir()] == ["step_000004.jpg"]
    for part in ("4</", "steps trained", "xyz_pa_mm", "the best", "<svg", "data:image/", "At step 4.", "head_channels"):
        assert part in page, part
    assert not re.search(r'(src|href)="https?:', page)  # stands alone


def test_patience_ends_a_run_and_the_best_checkpoint_stays(settings, tmp_path, monkeypatch):
    found = iter([3.0, 2.0, 2.5, float("nan"), 1.0])
    monkeypatch.setattr(validation, "validate", lambda *_: validation.Found({"loss": next(found)}, None))
    eager = replace(settings, steps=9, validate_every=1, validate_split="test", patience=2, save_every=9, keep=1)
    told = train(replace(eager, out=tmp_path / "run"))
    assert (told.stopped, told.step, told.best) == (True, 4, {"step": 2, "loss": 2.0})
    names = {name: (tmp_path / "run" / "checkpoints" / name).resolve().name for name in ("best", "last")}
    assert names == {"best": "step_000002", "last": "step_000004"}
    assert runs.load_run(tmp_path / "run").step == 2
    with pytest.raises(ConfigError, match="no figure named 'xyz'"):
        train(replace(eager, out=tmp_path / "other", watch="xyz"))


ENDS = {
    "Ctrl-C": (KeyboardInterrupt(), KeyboardInterrupt, ""),
    "memory": (torch.OutOfMemoryError("CUDA out of memory"), ConfigError, "--batch-size 2"),
    "worker": (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), ConfigError, "fewer --workers"),
    "NaN": (None, FitError, "smaller --lr"),
}


@pytest.mark.parametrize("end", list(ENDS))
def test_what_ends_a_run_loses_no_step_and_says_how_to_go_on(settings, tmp_path, monkeypatch, caplog, end):
    error, kind, remedy = ENDS[end]
    real, calls = losses.total, []

    def third_fails(*arguments, **more):
        calls.append(1)
        value, parts = real(*arguments, **more)
        if len(calls) == 3:
            if error is not None:
                raise error
            value = value * float("nan")
        return value, parts

    monkeypatch.setattr(losses, "total", third_fails)
    ended = replace(settings, out=tmp_path / "run")
    with pytest.raises(kind) as caught:
        train(ended)
    assert remedy in getattr(caught.value, "hint", "")
    assert f"hoi-train --resume --out {tmp_path / 'run'}" in caplog.text
    saved = runs.load_run(tmp_path / "run")
    assert saved.step == 2
    assert all(value.isfinite().all() for value in saved.model.state_dict().values())
    if end == "NaN":
        assert train(replace(ended, resume=True)).step == 4


def test_a_disk_that_fills_up_keeps_the_checkpoint_before(settings, tmp_path, monkeypatch, caplog):
    write, calls = torch.save, []

    def second_fails(*arguments):
        calls.append(1)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        write(*arguments)

    monkeypatch.setattr(runs.torch, "save", second_fails)
    with pytest.raises(StorageError, match="No space left"):
        train(replace(settings, out=tmp_path / "run", save_every=1))
    assert runs.load_run(tmp_path / "run").step == 1
    assert "step 1 is saved. Go on with: hoi-train --resume" in caplog.text


def test_a_rehearsal_finds_what_would_fail_later(settings, tmp_path, monkeypatch, caplog):
    tried = replace(settings, out=tmp_path / "run", check=True, dry_run=True)
    with pytest.raises(FitError, match="loss of the first batch is inf, by their weights"):
        train(replace(tried, loss=LossWeights(pose=float("inf"))))

    def refuse(*_):
        raise ExportError("no such operator.", "Report this.")

    monkeypatch.setattr(rehearsal, "write_onnx", refuse)
    alone = dict.fromkeys(LossWeights.__dataclass_fields__, 0.0)
    with pytest.raises(ExportError, match="no such operator"):
        train(replace(tried, loss=LossWeights(**{**alone, "smooth": 1.0})))
    assert "weights get no gradient, such as depth_hidden.weight" in caplog.text
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(StorageError, match="0 MB are free"):
        train(tried)
    assert not (tmp_path / "run").exists()
