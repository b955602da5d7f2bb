"""The benchmark times the steps that the loader takes, and its figures add up."""

import json
from pathlib import Path

import pytest

from dataset_tools.readers import _tiny_ours
from hoi_cli import bench
from learning import loader_bench
from learning.augment import Augment


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return _tiny_ours.write(tmp_path_factory.mktemp("tiny"), frames=4)


def test_rows_of_every_step_and_rate(root, tmp_path, capsys):
    out = tmp_path / "rows.json"
    command = ["loader", "--dataset", "ours", "--data", str(root), "--samples", "12", "--batch-size", "5"]
    assert bench.main([*command, "--workers", "1", "--size", "64", "--json", str(out)]) == 0
    rows = {row["engine"]: row for row in json.loads(out.read_text())}
    assert {row["case"] for row in rows.values()} == {"loader"}
    assert {row["input"] for row in rows.values()} == {64}
    timed = [row for row in rows.values() if "median_ms" in row]
    assert len(timed) == 11
    assert all(row["median_ms"] > 0 for row in timed)
    assert rows["blur"]["share"] == Augment().blurred
    assert rows["background"]["share"] == Augment().background  # every sample has a mesh
    for name in ("read anew", "kept in memory"):
        assert rows[name]["per_second"] > 0
        assert rows[name]["cpu_ms"] > 0
    assert "samples/s" in capsys.readouterr().out


def test_samples_kept_in_memory_are_not_read_again(root, monkeypatch):
    case = loader_bench.Case("ours", Path(root), 64, samples=6, batch_size=3, workers=0)
    read = []
    original = loader_bench.HandDataset.read

    def counted(self, number):
        read.append(number)
        return original(self, number)

    monkeypatch.setattr(loader_bench.HandDataset, "read", counted)
    loader_bench.rates(case)
    # One to compile, a short run and a long one anew, and each of the split's four once to be kept.
    assert len(read) == 1 + 3 + 4 * 6 + 4


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--dataset", "freihand"], "no data are given for freihand"),
        (["--dataset", "ours", "--data", "/nowhere"], "expected recordings in"),
        (["--dataset", "ours", "--data", "/nowhere", "--samples", "0"], "samples, batch size and size of 1 or more"),
        (["--dataset", "theirs", "--data", "/nowhere"], "no dataset named"),
    ],
)
def test_what_makes_no_sense_is_an_error(flags, message, capsys):
    assert bench.main(["loader", *flags]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
