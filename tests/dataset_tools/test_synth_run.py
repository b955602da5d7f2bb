"""Making a set: the same bytes for any number of workers and however often it was killed; nothing else touched."""

import importlib
import multiprocessing
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from dataset_tools.readers import synth as reader
from dataset_tools.synth import Generator, Recipe, bench, run, sets
from dataset_tools.synth.shard_pack import Packer
from hoi_core.errors import DatasetError, StorageError

COMMAND = "import sys; from hoi_cli.data import main; sys.exit(main())"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """Small images before one small photograph: painting backgrounds takes longer than all else here."""
    folder = tmp_path_factory.mktemp("photographs")
    cv2.imwrite(str(folder / "a.png"), np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8))
    return Recipe(count=96, size_px=32, backgrounds=folder)


@pytest.fixture(scope="module")
def generator(recipe):
    return Generator(recipe)


@pytest.fixture(scope="module")
def expected(generator, recipe):
    """Bytes of each shard, made here, one image after another."""
    found = {}
    for number, head in enumerate(sets.describe(generator).heads):
        packer = Packer(head, recipe.to_json())
        for index in range(head.first, head.first + head.images):
            packer.add(generator.make(index))
        found[f"shard_{number:05d}.h5"] = packer.close()
    return found


@contextmanager
def largest_file(size):
    """The system refuses to write more than so many bytes into a file, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def folder_of(package):
    return Path(importlib.import_module(package).__file__).parent


def shards(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.h5")}


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_set_that_was_killed_again_and_again_is_the_same_to_the_byte(tmp_path, generator, expected):
    folder = tmp_path / "synth" / "a"
    flags = ["synth", "--count", "96", "--size", "32", "--workers", "2", "--out", str(folder)]
    flags += ["--backgrounds", str(generator.recipe.backgrounds)]
    command = subprocess.Popen([sys.executable, "-c", COMMAND, *flags], stderr=subprocess.DEVNULL)
    try:
        while command.poll() is None and not shards(folder):
            time.sleep(0.005)
        workers = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
    finally:
        command.send_signal(signal.SIGKILL)
        command.wait()
    assert len(workers) >= 2
    deadline = time.monotonic() + 30
    while any(running(pid) for pid in workers):
        assert time.monotonic() < deadline, "workers outlive the command that was killed"
        time.sleep(0.02)
    left = shards(folder)
    assert 0 < len(left) < len(expected)
    assert left.items() <= expected.items()
    with pytest.raises(DatasetError, match="not made yet"):
        reader.index(tmp_path / "synth", "all")

    def kill_worker(done, total):
        for child in multiprocessing.active_children():
            child.kill()

    with pytest.raises(DatasetError, match="killed by signal 9") as caught:
        run.make_set(generator, folder, 1, kill_worker)
    assert "same command" in caught.value.hint
    first = folder / min(left)
    first.write_bytes(left[first.name][:1000])
    told = []
    made = run.make_set(generator, folder, 1, lambda done, total: told.append((done, total)))
    assert shards(folder) == expected
    assert {path.name for path in folder.iterdir()} == {"set.json", *expected}
    assert (made.images, made.damaged) == (96, 1)
    assert told[-1] == (96, 96)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(reader.index(tmp_path / "synth", "all")) == 96
    assert run.make_set(generator, folder, 2).made == 0


def test_a_full_disk_is_said_and_leaves_no_half_file(tmp_path, generator):
    wanted = sets.describe(generator)
    line, _other = multiprocessing.Pipe()
    with largest_file(1000), pytest.raises(StorageError, match="what is finished is kept"):
        run._make_shard(line, generator, wanted, tmp_path, 2)
    assert not list(tmp_path.iterdir())
    with largest_file(10), pytest.raises(StorageError, match="cannot write"):
        sets.begin(tmp_path, wanted)
    assert not list(tmp_path.iterdir())


def test_a_set_that_will_not_fit_is_not_begun(tmp_path, generator, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(StorageError, match="are free"):
        run.make_set(generator, tmp_path, 1)


def test_a_folder_that_cannot_be_written_is_one_error(generator):
    with pytest.raises(StorageError, match="cannot write /dev/null/a"):
        run.make_set(generator, Path("/dev/null/a"), 1)


def test_two_runs_do_not_write_to_one_folder(tmp_path, generator):
    with run._alone(tmp_path), pytest.raises(DatasetError, match="another run"):
        run.make_set(generator, tmp_path, 1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"recipe": Recipe(count=97)}, "count 96 instead of 97"),
        ({"recipe": Recipe(count=96, seed=3)}, "seed 0 instead of 3"),
        ({"recipe": Recipe(count=96, second_view=True)}, "second_view False instead of True"),
        ({"sources": {"hand_right": "mano"}}, "another hand_right"),
        ({"code": "newer"}, "another version of this program"),
    ],
)
def test_another_recipe_hand_or_program_does_not_mix_with_a_set(tmp_path, change, said):
    there = sets.SynthSet(Recipe(count=96), {"hand_right": "stand-in"}, "now")
    sets.begin(tmp_path, there)
    assert sets.read_set(tmp_path) == there
    sets.begin(tmp_path, there)
    with pytest.raises(DatasetError, match=said):
        sets.begin(tmp_path, replace(there, **change))


def test_shards_of_another_set_are_made_again(tmp_path, expected, generator, recipe):
    wanted = sets.describe(generator)
    for name, content in expected.items():
        (tmp_path / name).write_bytes(content)
    assert sets.missing(tmp_path, wanted) == ([], [])
    other = replace(wanted, recipe=replace(recipe, seed=1))
    assert sets.missing(tmp_path, other) == ([], [0, 1, 2])
    (tmp_path / "shard_00001.h5").unlink()
    assert sets.missing(tmp_path, wanted) == ([1], [])


def test_a_folder_with_something_else_is_left_alone(tmp_path, generator):
    mine = tmp_path / "thesis.part"
    mine.write_text("mine")
    with pytest.raises(DatasetError, match=r"thesis\.part"):
        run.make_set(generator, tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.part"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "hoi-synth", "format_version": "9.0"}'])
def test_a_damaged_description_is_one_error(tmp_path, text):
    (tmp_path / "set.json").write_text(text)
    with pytest.raises(DatasetError, match=r"set\.json"):
        sets.read_set(tmp_path)


@pytest.mark.parametrize(
    ("count", "size", "files"), [(1, 32, 1), (1000, 32, 32), (57280, 1024, 56), (328320, 1024, 321)]
)
def test_shards_are_many_enough_for_workers_and_hold_every_image_once(count, size, files):
    heads = sets.SynthSet(Recipe(count=count), {}, "").heads
    assert len(heads) == files
    assert [head.first for head in heads] == list(range(0, count, size))
    assert sum(head.images for head in heads) == count


def test_an_estimate_is_near(generator, expected):
    assert run.estimate(generator).bytes == pytest.approx(sum(map(len, expected.values())), rel=0.3)
    assert run.estimate(generator).cpu_s > 0


def test_the_benchmark_says_where_the_time_goes(generator):
    spent = bench.profile(generator)
    assert set(spent) == {"render", "background", "label", "encode"}
    assert spent["render"] > 0
    assert spent["encode"] > 0
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_the_benchmark_looks_at_files_that_are_there():
    there = {path.name for package in ("dataset_tools", "hoi_core") for path in folder_of(package).rglob("*.py")}
    assert {name for names in bench.PARTS.values() for name in names} <= there
