"""The proof of learning as machinery: what is run in which order, how it goes on, and what it concludes."""

import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dataset_tools.readers import _tiny_synth
from dataset_tools.synth import Recipe
from hoi_core import config
from learning.config import TrainConfig
from learning.data import HandDataset
from learning.items import DataConfig
from learning.models import splite

FOLDER = Path(__file__).parents[2] / "benchmarks"
ERROR_MM = {
    "mean_hand": 14.0,
    "splite": 10.0,
    "splite_dense": 9.5,
    "mobrecon_resnet18": 10.2,
    "splite_qat": 10.05,
    "splite_ptq": 12.0,
}
JOBS = {"hoi-train": "learning.command", "hoi-export": "hoi_cli.export", "hoi-eval": "hoi_cli.eval"}
KEYS = [f"test/{n // 2:06d}/{n:07d}/a" for n in range(60)]


@pytest.fixture
def proof(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("learning_proof")


def taken(name, arguments):
    """What a command reads out of its flags; it fails where the command would refuse them."""
    module, found = importlib.import_module(JOBS[name]), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "job", found.append)
        assert module.main(arguments) == 0, arguments
    return found[0]


class Shell:
    """Does what the commands would leave behind, with errors that the case's name decides."""

    def __init__(self):
        self.lines = []

    def __call__(self, name, arguments, log):
        self.lines.append((name, arguments))
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as out:
            out.write(f"$ {name} {' '.join(arguments)}\n")
        asked = taken(name, arguments)
        if name == "hoi-train":
            self.trained(asked, asked.steps)
            if asked.json:
                asked.json.write_text(json.dumps({"steps_per_second": 0.5 if "dense" in str(asked.out) else 2.0}))
        elif name == "hoi-export":
            asked.out.write_bytes(b"0" * 2_000_000)
        else:
            self.measured(asked.model, asked.samples, asked.json, asked.input)

    def trained(self, settings, steps):
        run = settings.out
        (run / "checkpoints" / f"step_{steps:06d}").mkdir(parents=True)
        last = run / "checkpoints" / "last"
        last.unlink(missing_ok=True)
        last.symlink_to(f"step_{steps:06d}")
        (run / "metrics.jsonl").write_text("".join(json.dumps({"step": n, "loss": 1 / n}) + "\n" for n in range(1, 9)))
        (run / "config.yaml").write_text(config.to_yaml(settings))
        (run / "env.json").write_text('{"commit": "abc"}')

    def measured(self, model, samples, figures, shown):
        case = model.parent.name
        rng = np.random.default_rng(0)
        own = np.random.default_rng(len(case)).normal(0.0, 0.05, len(KEYS))
        error = ERROR_MM.get(case, 11.0) + rng.normal(0.0, 3.0, len(KEYS)) + own
        rows = [f"synthbench,{key},{key[:11]}" + 4 * f",{value:.5g}" for key, value in zip(KEYS, error, strict=True)]
        samples.write_text("\n".join(["dataset,key,group,xyz_pa_mm,mpjpe_mm,depth_mm,depth_rr_mm", *rows]) + "\n")
        names = ("xyz_pa_mm", "mesh_pa_mm", "mpjpe_mm", "xyz_mm", "depth_rr_mm", "depth_mm", "f15_pa")
        mean = float(error.mean())
        found = dict.fromkeys(names, mean) | {"n": len(KEYS), "groups": 30, "datasets": {"synthbench": "version 1"}}
        figures.write_text(json.dumps(found | {"ci95": {name: [mean - 1, mean + 1] for name in names}}))

    def mean_hand(self, folder, datasets, root, size):
        folder.mkdir()
        assert (datasets, size) == ("synthbench", 128)
        self.measured(folder / "none", folder / "rgb.csv", folder / "rgb.json", "rgb")


@pytest.fixture
def shell(proof, monkeypatch):
    found = Shell()
    monkeypatch.setattr(proof, "command", found)
    monkeypatch.setattr(proof, "measure_mean_hand", found.mean_hand)
    return found


SOME = ["--cases", "splite", "splite_dense", "mobrecon_resnet18", "splite_qat", "splite_ptq"]


def test_cases_are_trained_alike_exported_and_compared(proof, shell, tmp_path, capsys):
    asked = [str(tmp_path / "cpu"), "--steps", "40", "--seed", "3", "--flags", "--width 8 --lr 2e-3", *SOME]
    proof.main([*asked, "--splite", "--head-channels 32"])
    capsys.readouterr()
    trainings = [arguments for name, arguments in shell.lines if name == "hoi-train"]
    assert len(trainings) == 4
    for arguments in trainings:
        assert arguments[arguments.index("--width") + 1] == "8"
        assert ("--head-channels" in arguments) == ("mobrecon" not in arguments)
        assert arguments[arguments.index("--seed") + 1] == "3"
    steps = [arguments[arguments.index("--steps") + 1] for arguments in trainings]
    assert steps == ["40", "40", "40", "10"]
    qat = trainings[-1]
    assert qat[qat.index("--from") + 1] == str(tmp_path / "cpu" / "splite" / "run")
    assert [taken("hoi-train", arguments).lr for arguments in trainings] == [2e-3, 2e-3, 2e-3, 1e-4]
    exports = [arguments for name, arguments in shell.lines if name == "hoi-export"]
    assert [Path(arguments[0]).parent.name for arguments in exports] == ["splite_qat", "splite"]
    assert [taken("hoi-export", arguments).ptq > 0 for arguments in exports] == [False, True]
    values = json.loads((tmp_path / "cpu" / "learning_cpu.json").read_text())
    by_name = {row["name"]: row for row in values["comparisons"]}
    sparse = by_name["sparse against dense encoder"]
    assert sparse["mean"] == pytest.approx(0.5, abs=0.03)
    assert sparse["low"] < sparse["mean"] < sparse["high"]
    # Each hand's own difficulty, thirty times as large, cancels.
    assert sparse["high"] - sparse["low"] < 0.1
    assert sparse["verdict"] == "not met"
    assert by_name["SPLite against MobRecon with ResNet-18"]["verdict"] == "met"
    assert by_name["SPLite against the mean hand, joints aligned"]["verdict"] == "better"
    assert by_name["QAT, edges out of colours"]["verdict"] == "met"
    assert by_name["post-training quantisation, edges out of colours"]["verdict"] == "worse"
    assert not any("DenseStack" in name or "second" in name for name in by_name)
    page = (tmp_path / "cpu" / "learning_cpu.md").read_text()
    assert page.count("\nhoi-train ") == 4
    assert "version 1" in page
    assert "| splite_ptq | edge |" in page
    assert "<svg" in (tmp_path / "cpu" / "learning_cpu.svg").read_text()


def test_the_same_line_goes_on_where_it_was(proof, shell, tmp_path, capsys):
    asked = [str(tmp_path / "cpu"), "--steps", "40", "--cases", "splite", "splite_dense"]
    proof.main(asked)
    first, shell.lines = shell.lines, []
    proof.main(asked)
    assert shell.lines == []
    # Killed while it trained the second case, and before it measured the first with the edge image alone.
    run = tmp_path / "cpu" / "splite_dense" / "run"
    shutil.rmtree(run)
    shell.trained(TrainConfig(net=splite.Config(), steps=40, out=run), 25)
    for file in (tmp_path / "cpu" / "splite" / "edge.json", tmp_path / "cpu" / "splite_dense" / "rgb.json"):
        file.unlink()
    proof.main(asked)
    capsys.readouterr()
    assert [name for name, _ in shell.lines] == ["hoi-eval", "hoi-train", "hoi-eval"]
    assert shell.lines[1][1] == ["--resume", "--out", str(run)]
    assert len(first) == 5
    with pytest.raises(SystemExit, match="another budget"):
        proof.main([*asked[:2], "41", *asked[3:]])


def test_minutes_buy_the_steps_of_the_slowest_case(proof, shell, tmp_path, capsys):
    asked = [str(tmp_path / "cpu"), "--minutes-per-case", "2", "--cases", "splite", "splite_dense"]
    proof.main(asked)
    capsys.readouterr()
    assert json.loads((tmp_path / "cpu" / "budget.json").read_text())["steps"] == 60
    shell.lines = []
    proof.main(asked)
    assert shell.lines == []


def test_cases_of_other_samples_are_not_compared(proof, shell, tmp_path, capsys):
    asked = [str(tmp_path / "cpu"), "--steps", "40", "--cases", "splite", "splite_dense"]
    proof.main(asked)
    table = tmp_path / "cpu" / "splite_dense" / "rgb.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(ValueError, match="different samples"):
        proof.main(asked)
    capsys.readouterr()


def test_the_mean_hand_is_measured_as_a_model_is(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(FOLDER))
    constant = importlib.import_module("learning_proof_constant")
    _tiny_synth.write_set(tmp_path / "synth" / "one", Recipe(count=24, size_px=64))
    folder = tmp_path / "mean_hand"
    constant.measure_mean_hand(folder, "synth", tmp_path, 64)
    figures = json.loads((folder / "rgb.json").read_text())
    samples = HandDataset("synth", tmp_path, "test", DataConfig(64))
    taught = HandDataset("synth", tmp_path, "train", DataConfig(64))
    mean = np.mean([taught[n, 0].joints_m for n in range(len(taught))], axis=0)
    apart = [np.linalg.norm(samples[n, 0].joints_m - mean, axis=1).mean() * 1e3 for n in range(len(samples))]
    assert figures["n"] == len(samples) > 0
    assert figures["xyz_mm"] == pytest.approx(np.mean(apart), rel=1e-5)
