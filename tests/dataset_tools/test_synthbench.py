"""The synthetic benchmark: splits share nothing, what lies in a folder is named for what it is."""

import json
import shutil
from dataclasses import replace

import pytest

from dataset_tools.leaks import group_leaks
from dataset_tools.readers import _tiny_synth
from dataset_tools.readers import synthbench as reader
from dataset_tools.synth import synthbench
from dataset_tools.synth.sets import SET_FILE, read_set
from hoi_cli import data
from hoi_core.errors import ConfigError, DatasetError


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return reader.tiny(tmp_path_factory.mktemp("bench") / "synthbench")


@pytest.fixture
def root(made, tmp_path):
    return shutil.copytree(made, tmp_path / "synthbench")


def known(part, folder):
    """The part, as if what lies in a folder were what was recorded."""
    found = synthbench.content(folder, read_set(folder))
    return replace(
        part,
        recipe=read_set(folder).recipe,
        sha256=found.sha256,
        joints_m=tuple(found.joints_m),
        color=tuple(found.color),
    )


@pytest.fixture
def recorded(root, monkeypatch):
    parts = tuple(known(part, root / part.name) for part in synthbench.PARTS)
    monkeypatch.setattr(synthbench, "PARTS", parts)
    return root


def test_splits_have_seeds_of_their_own_and_images_in_pairs():
    for part in synthbench.PARTS:
        assert part.recipe.second_view
        others = [other.recipe.seed for other in synthbench.PARTS if other is not part]
        assert part.recipe.seed not in others
    counts = {
        split: sum(2 * p.recipe.count for p in synthbench.PARTS if p.split == split) for split in reader.INFO.splits
    }
    assert counts["val"] == 1000
    assert counts["test"] == 2000
    assert counts["train"] >= 5 * counts["test"]


def test_keys_of_a_split_come_from_its_parts(made):
    for split in synthbench.SPLITS:
        keys = reader.index(made, split)
        assert len(keys) == 2 * 2
        assert {key.split("_")[0] for key in keys} == {split}
        assert {key.split("/")[0] for key in keys} == {f"{split}_fingers", f"{split}_grasps"}
    assert group_leaks(reader, made) == []
    key = reader.index(made, "test")[0]
    assert reader.group(reader.other_view(made, key)) == reader.group(key)
    assert reader.visible(made, key).shape == (21,)
    assert reader.read(made, key).dataset == "synthbench"


def test_a_split_that_is_not_made_says_how_to_make_it(root):
    shutil.rmtree(root / "val_grasps")
    assert reader.index(root, "test")
    with pytest.raises(DatasetError, match="val_grasps"):
        reader.index(root, "val")
    assert synthbench.verify(root)["val_grasps"].state == "missing"


def test_what_is_as_recorded_is_exact(recorded):
    assert {part.state for part in synthbench.verify(recorded).values()} == {"exact"}
    assert reader.about(recorded) == f"synthbench {synthbench.VERSION}, exactly as recorded"


def test_another_seed_count_or_hand_is_told(recorded):
    part = synthbench.PARTS[0]
    for change, state in (
        ({"seed": 5}, "different"),
        ({"count": 3}, "trial"),
        ({"occluders": 0.5}, "different"),
    ):
        shutil.rmtree(recorded / part.name)
        _tiny_synth.write_set(recorded / part.name, replace(part.recipe, **change))
        assert synthbench.verify(recorded)[part.name].state == state
        assert reader.about(recorded).startswith("not synthbench")
    shutil.rmtree(recorded / part.name)
    _tiny_synth.write_set(recorded / part.name, part.recipe)
    values = json.loads((recorded / part.name / SET_FILE).read_text())
    values["sources"]["hand_right"] = "ab12"
    (recorded / part.name / SET_FILE).write_text(json.dumps(values, indent=2, sort_keys=True) + "\n")
    # Its shards now belong to another set, and so do not count as made.
    assert synthbench.verify(recorded)[part.name].state == "missing"


def test_rounding_is_told_from_other_images(recorded):
    part = synthbench.PARTS[0]
    found = synthbench.content(recorded / part.name, read_set(recorded / part.name))
    assert synthbench.compare(part, found) == "exact"
    other = replace(found, sha256="0" * 64)
    assert synthbench.compare(part, other) == "rounding"
    assert synthbench.compare(replace(part, sha256=""), found) == "not recorded"
    assert synthbench.compare(part, replace(other, joints_m=found.joints_m + 2e-5)) == "different"
    assert synthbench.compare(part, replace(other, color=found.color - 0.1)) == "different"


def test_the_hash_covers_every_image(recorded):
    part = synthbench.PARTS[0]
    there = read_set(recorded / part.name)
    before = synthbench.content(recorded / part.name, there).sha256
    shutil.rmtree(recorded / part.name)
    true_image = _tiny_synth.image

    def one_pixel(recipe, index):
        shown = true_image(recipe, index)
        if index == 0:
            color = shown.views[1].color.copy()
            color[-1, -1, 2] ^= 1
            shown = replace(shown, views=(shown.views[0], replace(shown.views[1], color=color)))
        return shown

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_tiny_synth, "image", one_pixel)
        _tiny_synth.write_set(recorded / part.name, part.recipe)
    assert synthbench.content(recorded / part.name, read_set(recorded / part.name)).sha256 != before


def test_the_command_makes_checks_and_refuses(tmp_path, monkeypatch, capsys):
    asked = []

    def draw(generator, folder, workers, tell):
        asked.append((folder.name, generator.recipe.count, workers))
        if not folder.exists():
            _tiny_synth.write_set(folder, generator.recipe)
        tell(generator.recipe.count, generator.recipe.count)

    monkeypatch.setattr(synthbench, "make_set", draw)
    monkeypatch.setattr(synthbench, "Generator", _Only)
    flags = ["--data", str(tmp_path), "--json", str(tmp_path / "f.json")]
    assert data.main(["synthbench", "--share", "0.0005", "--workers", "3", *flags]) == 0
    assert [name for name, _, _ in asked] == [part.name for part in synthbench.PARTS]
    assert {count for _, count, _ in asked} == {1, 2, 3}
    assert {workers for _, _, workers in asked} == {3}
    found = json.loads((tmp_path / "f.json").read_text())
    assert {part["state"] for part in found["parts"].values()} == {"trial"}
    assert "hoi-train --dataset synthbench" in " ".join(capsys.readouterr().out.split())
    asked.clear()
    assert data.main(["synthbench", "--check", *flags]) == 0
    assert asked == []
    for bad in (["--share", "0"], ["--share", "1.5"], ["--workers", "-1"]):
        assert data.main(["synthbench", *bad, "--data", str(tmp_path)]) == 2
    with pytest.raises(ConfigError):
        synthbench.recipe_of(synthbench.PARTS[0], 2.0)


class _Only:
    """A recipe and nothing that could make it."""

    def __init__(self, recipe):
        self.recipe = recipe
