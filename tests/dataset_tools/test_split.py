"""Splits keep apart what they say; planted leaks are found, one by one."""

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools import leaks
from dataset_tools.readers import freihand
from dataset_tools.split import STANDARD, Take, read_splits, split, takes_of, write_splits
from hoi_cli import data
from hoi_core import sequence as sequences
from hoi_core.errors import DatasetError
from hoi_core.types import Camera, Frame, StreamInfo


def take(n, participant="p01", objects=("o01",), scenario="s1", action="use"):
    return Take(f"seq_{n:03d}", participant, tuple(objects), scenario, action, ("left", "right"))


def record(root, header, seed, created=""):
    """Three frames of noise from two views."""
    camera = Camera(8, 6, 10.0, 10.0, 4.0, 3.0)
    streams = [StreamInfo(f"{v}/color", "camera", (6, 8, 3), "uint8", 30.0, camera, v) for v in ("left", "right")]
    folder = sequences.new_sequence_dir(root, header.sequence)
    writer = sequences.CaptureWriter.create(folder / "capture.h5", header, streams)
    rng = np.random.default_rng(seed)
    for m in range(3):
        t = m * 33_333_333
        for stream in streams:
            image = rng.integers(0, 255, (6, 8, 3)).astype(np.uint8)
            writer.append(Frame(stream.name, m, t, t, "hardware_clock", image))
        writer.sync(t, {stream.name: m for stream in streams}, {stream.name: 0 for stream in streams})
    writer.close()
    sequences.register_recording(root, header, seconds=6.0, drops=0, status="recorded")
    if created:
        sequences.set_row(root, "protocol", {"sequence": header.sequence, "created": created})


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Four participants, two objects each, four scenarios; one minute apart."""
    root = tmp_path_factory.mktemp("data")
    for n in range(8):
        header = sequences.CaptureHeader(
            f"seq_{n:03d}",
            participant=f"p{n // 2:02d}",
            objects=(f"o{n:02d}",),
            scenario=f"s{n % 4}",
            action="use",
        )
        record(root, header, seed=n, created=f"2026-01-02T10:{n:02d}:00+00:00")
    return root


@pytest.fixture
def root(recorded, tmp_path):
    """The recordings (linked), with tables and dataset.json of its own."""
    (tmp_path / "sequences").mkdir()
    for folder in (recorded / "sequences").iterdir():
        (tmp_path / "sequences" / folder.name).symlink_to(folder)
    for table in recorded.glob("*.csv"):
        (tmp_path / table.name).write_bytes(table.read_bytes())
    return tmp_path


def enter(root, by, **parts):
    """Splits of one set, as a person would write them."""
    described = {"splits": parts, "split_rules": {"": {"by": by, "seed": 0}}}
    (root / "dataset.json").write_text(json.dumps(described))


class TestSplit:
    @given(
        people=st.lists(st.integers(0, 9), min_size=12, max_size=60),
        things=st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=2), min_size=60, max_size=60),
        seed=st.integers(0, 99),
        by=st.sampled_from(["sequence", "participant", "object"]),
    )
    def test_every_take_is_in_one_part_and_nothing_is_shared(self, people, things, seed, by):
        takes = [take(n, f"p{p}", [f"o{o}" for o in things[n]], action=f"a{n}") for n, p in enumerate(people)]
        try:
            parts = split(takes, by, (0.6, 0.2, 0.2), seed)
        except DatasetError:
            return  # so few groups: refused, see below
        entries = [entry for held in parts.values() for entry in held]
        assert sorted(entries) == sorted(t.sequence for t in takes)
        assert all(parts.values())
        of = {t.sequence: set(t.values(by)) for t in takes}
        for a, b in combinations(parts.values(), 2):
            assert not set().union(*map(of.get, a)) & set().union(*map(of.get, b))

    def test_shares_are_kept_where_groups_allow(self):
        takes = [take(n, f"p{n // 5:02d}", action=f"a{n}") for n in range(100)]
        parts = split(takes, "participant", (0.7, 0.1, 0.2), seed=3)
        assert [len(parts[name]) for name in ("train", "val", "test")] == [70, 10, 20]
        assert parts == split(takes, "participant", (0.7, 0.1, 0.2), seed=3)
        assert parts != split(takes, "participant", (0.7, 0.1, 0.2), seed=4)

    def test_a_redo_stays_with_its_take(self):
        takes = [take(n, action=f"a{n // 2}") for n in range(20)]
        for held in split(takes, "sequence", (0.5, 0.25, 0.25)).values():
            numbers = {int(entry[-3:]) for entry in held}
            assert {n ^ 1 for n in numbers} == numbers

    def test_views(self):
        parts = split([take(0), take(1)], "view", (0.5, 0.0, 0.5))
        assert sorted(parts) == ["test", "train"]
        views = {name: {entry.partition("/")[2] for entry in held} for name, held in parts.items()}
        assert views["train"] | views["test"] == {"left", "right"}
        assert not views["train"] & views["test"]
        assert all(len(held) == 2 for held in parts.values())

    @pytest.mark.parametrize(
        ("takes", "by", "shares", "match"),
        [
            ([take(0), take(1)], "participant", (0.8, 0.1, 0.1), "found 1"),
            (
                [take(0), take(1, participant="")],
                "participant",
                (0.5, 0.0, 0.5),
                "do not say their participant: seq_001",
            ),
            ([take(0), take(1, objects=())], "object", (0.5, 0.0, 0.5), "do not say their object"),
            ([take(0)], "sequence", (0.9, 0.0, 0.0), "sum to 1"),
            ([take(0)], "sequence", (1.1, -0.1, 0.0), "sum to 1"),
            ([take(0, objects=("a", "b")), take(1, objects=("b",))], "object", (0.5, 0, 0.5), "found 1"),
        ],
    )
    def test_what_cannot_be_split_is_refused(self, takes, by, shares, match):
        with pytest.raises(DatasetError, match=match):
            split(takes, by, shares)

    def test_rejected_takes_do_not_count(self, root):
        sequences.set_row(root, "protocol", {"sequence": "seq_003", "status": "rejected"})
        names = [t.sequence for t in takes_of(root)]
        assert "seq_003" not in names
        assert len(names) == 7

    def test_other_sets_and_keys_of_dataset_json_stay(self, root):
        (root / "dataset.json").write_text(json.dumps({"name": "mine", "splits": {"s1_train": ["seq_000"]}}))
        write_splits(root, "", "sequence", {"train": ["seq_001"], "test": ["seq_002"]}, 5)
        values = json.loads((root / "dataset.json").read_text())
        assert values["name"] == "mine"
        assert values["splits"] == {"s1_train": ["seq_000"], "train": ["seq_001"], "test": ["seq_002"]}
        assert read_splits(root).rules == {"": "sequence"}
        for broken in ("[]", "{", '{"splits": []}', '{"splits": {"a": 3}}', '{"split_rules": {"": {"by": "taste"}}}'):
            (root / "dataset.json").write_text(broken)
            with pytest.raises(DatasetError, match=r"dataset\.json"):
                read_splits(root)


class TestLeaks:
    def kinds(self, root):
        return [leak.kind for leak in leaks.find_leaks(root)]

    @pytest.mark.parametrize("by", ["sequence", "participant", "object", "scenario", "view"])
    def test_splits_of_our_own_do_not_leak(self, root, by):
        shares = (0.5, 0.0, 0.5)
        write_splits(root, "s9", by, split(takes_of(root), by, shares), 0)
        assert leaks.find_leaks(root) == []

    def test_one_sequence_in_two_parts(self, root):
        enter(root, "sequence", train=["seq_000", "seq_001"], test=["seq_001"])
        assert self.kinds(root) == ["sequence"]

    def test_one_sequence_twice_in_a_part(self, root):
        enter(root, "sequence", train=["seq_000", "seq_000"], test=["seq_001"])
        assert self.kinds(root) == ["twice"]
        enter(root, "sequence", train=["seq_000", "seq_000/left"], test=["seq_001"])
        assert self.kinds(root) == ["twice"]

    def test_views_of_one_instant(self, root):
        enter(root, "sequence", train=["seq_000/left"], test=["seq_000/right"])
        assert self.kinds(root) == ["instant"]

    def test_one_participant(self, root):
        enter(root, "participant", train=["seq_000"], test=["seq_001"])
        assert self.kinds(root) == ["participant"]

    def test_one_object(self, root):
        enter(root, "object", train=["seq_000"], test=["seq_001"])
        assert self.kinds(root) == []
        self.again(root, "seq_008", participant="p09", objects=("o05", "o00"))
        enter(root, "object", train=["seq_000"], test=["seq_008"])
        assert self.kinds(root) == ["object"]

    def test_one_scenario(self, root):
        enter(root, "scenario", train=["seq_000"], test=["seq_004"])
        assert self.kinds(root) == ["scenario"]

    def test_one_view(self, root):
        enter(root, "view", train=["seq_000/left", "seq_001/right"], test=["seq_002/right"])
        assert self.kinds(root) == ["view"]
        enter(root, "view", train=["seq_000/left"], test=["seq_002"])
        assert self.kinds(root) == ["view"]

    def test_a_redo_of_the_same_take(self, root):
        self.again(root, "seq_008", participant="p00", objects=("o00",), scenario="s0")
        enter(root, "sequence", train=["seq_000"], test=["seq_008"])
        assert self.kinds(root) == ["redo"]

    def test_the_same_images_under_another_name(self, root):
        self.again(root, "seq_008", participant="p77", objects=("o77",), seed=3)
        enter(root, "participant", train=["seq_003"], test=["seq_008"])
        assert self.kinds(root) == ["frames"]

    def test_one_person_at_one_time(self, root):
        self.again(root, "seq_008", participant="p00", objects=("o77",), created="2026-01-02T10:00:03+00:00")
        enter(root, "object", train=["seq_000"], test=["seq_008"])
        assert self.kinds(root) == ["overlap"]

    def test_a_participant_that_is_not_known(self, root):
        self.again(root, "seq_008", participant="", objects=("o77",))
        enter(root, "participant", train=["seq_000"], test=["seq_008"])
        assert self.kinds(root) == ["unknown"]

    def test_a_recording_that_is_gone(self, root):
        enter(root, "sequence", train=["seq_000"], test=["seq_099"])
        with pytest.raises(DatasetError, match="seq_099"):
            leaks.find_leaks(root)

    def test_the_copies_of_freihand_are_never_parted(self, tmp_path):
        home = freihand.tiny(tmp_path / "freihand")
        assert leaks.group_leaks(freihand, home) == []
        parted = leaks.group_leaks(freihand, home, ("train_gs", "train_hom"))
        assert [leak.what for leak in parted] == ["both have training/00000000", "both have training/00000001"]

    @staticmethod
    def again(root, name, *, participant, objects, scenario="s0", seed=99, created="2026-01-02T12:00:00+00:00"):
        """One more recording of the linked dataset."""
        header = sequences.CaptureHeader(
            name, participant=participant, objects=tuple(objects), scenario=scenario, action="use"
        )
        record(root, header, seed=seed, created=created)


class TestCommand:
    def test_makes_and_checks(self, root, capsys):
        assert data.main(["split", "--by", "participant", "--shares", "0.5", "0.25", "0.25", "--data", str(root)]) == 0
        assert {len(held) for held in read_splits(root).parts.values()} == {4, 2}
        assert data.main(["split", "--data", str(root), "--json", str(root / "f.json")]) == 0
        assert json.loads((root / "f.json").read_text())["splits"]["train"] == {"entries": 4, "by": "participant"}

    def test_all(self, root, capsys):
        assert data.main(["split", "--by", "all", "--data", str(root)]) == 0
        rules = read_splits(root).rules
        assert rules == {name: by for name, by in STANDARD.items() if by != "view"}
        assert "s2 left out" in capsys.readouterr().out

    def test_a_leak_fails_loudly(self, root, capsys):
        enter(root, "participant", train=["seq_000"], test=["seq_001"])
        assert data.main(["split", "--data", str(root)]) == 2
        assert "p00" in capsys.readouterr().err

    def test_nothing_to_check(self, root):
        assert data.main(["split", "--data", str(root)]) == 2


def test_values_of_a_take():
    whole = take(3)
    assert whole.values("object") == ("o01",)
    assert replace(whole, participant="").cell == ()
    assert replace(whole, participant="").values("sequence") == ("seq_003",)
