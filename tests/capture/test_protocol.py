from __future__ import annotations

import csv
from collections import Counter
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.catalogue import Catalogue, Thing, deal, read_catalogue
from capture.protocol import coverage, next_take, plan, reject_take
from hoi_core.errors import ConfigError, ConsentError, SequenceError
from hoi_core.sequence import CaptureHeader, read_table, register_recording, set_row
from hoi_core.sequence.consent import Consent, check_pseudonym, read_consent, require_consent, set_consent

SCENARIOS = 4


def take(root, name, participant, objects, scenario="", action="", status="recorded"):
    header = CaptureHeader(name, participant, tuple(objects.split()), scenario, action, created="2026-03-01T10:00:00Z")
    register_recording(root, header, seconds=6.0, drops=0, status=status)


def test_the_next_take_agrees_with_what_is_asked_for(tmp_path):
    cells = plan(tmp_path, seed=2).cells
    wanted = cells[57]
    assert next_take(tmp_path, objects=wanted.objects) == wanted
    assert next_take(tmp_path, scenario=wanted.scenario) == next(c for c in cells if c.scenario == wanted.scenario)
    assert next_take(tmp_path, wanted.participant, action=wanted.action).action == wanted.action
    assert next_take(tmp_path, "p99", objects=wanted.objects) is None
    assert next_take(tmp_path, "") == cells[0]


def test_the_default_is_a_hundred_cells_of_a_hundred_categories(tmp_path):
    cells = plan(tmp_path).cells
    assert len(cells) == 100
    assert Counter(cell.participant for cell in cells) == {f"p{n:02d}": 5 for n in range(1, 21)}
    assert set(Counter(cell.objects for cell in cells).values()) == {1}
    assert sorted(Counter(cell.scenario for cell in cells).values()) == [25] * SCENARIOS
    objects = read_table(tmp_path, "objects")
    assert objects["object"].tolist() == [f"o{n:03d}" for n in range(1, 101)]
    assert len(set(objects["category"])) == 100
    assert (objects["action"] != "").all()
    assert read_table(tmp_path, "participants")["participant"].tolist() == [f"p{n:02d}" for n in range(1, 21)]


def test_everybody_sees_every_scenario_and_changes_it_as_seldom_as_possible(tmp_path):
    found = plan(tmp_path, seed=5)
    for participant in found.participants:
        scenes = [cell.scenario for cell in found.of(participant)]
        assert len(set(scenes)) == SCENARIOS
        assert sum(a != b for a, b in pairwise(scenes)) == SCENARIOS - 1
        assert [cell.order for cell in found.of(participant)] == [1, 2, 3, 4, 5]


def test_the_order_is_random_but_for_its_seed(tmp_path):
    a, b, c = (plan(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert a == b
    assert a != c
    assert {cell.objects for cell in a.cells} == {cell.objects for cell in c.cells}


@settings(max_examples=40)
@given(people=st.integers(1, 12), each=st.integers(1, 9), scenarios=st.integers(1, 4), per=st.integers(1, 7))
def test_dealing_is_fair(people, each, scenarios, per):
    things = tuple(Thing(f"o{k}", f"c{k}", f"s{k // per}", "lift") for k in range(scenarios * per))
    catalogue = Catalogue(people, each, things)
    if each > len(things):
        with pytest.raises(ConfigError, match="different objects"):
            deal(catalogue, 0)
        return
    hands = deal(catalogue, 3)
    assert [len(hand) for hand in hands] == [each] * people
    assert all(len(set(hand)) == each for hand in hands)
    uses = Counter(thing for hand in hands for thing in hand)
    if people * each <= len(things):
        assert max(uses.values()) == 1
    else:
        assert len(uses) == len(things)


def test_a_recording_fills_its_planned_row_and_the_next_one_is_proposed(tmp_path):
    plan(tmp_path)
    first = next_take(tmp_path, "p07")
    assert first is not None
    take(tmp_path, "seq_001", "p07", first.objects[0], first.scenario, first.action)
    table = read_table(tmp_path, "protocol")
    assert len(table) == 100
    row = table[table["sequence"] == "seq_001"].iloc[0]
    assert (row["participant"], row["objects"], row["order"], row["status"]) == (
        "p07",
        first.objects[0],
        "1",
        "recorded",
    )
    assert coverage(tmp_path).done == 1
    second = next_take(tmp_path, "p07")
    assert second is not None
    assert second.order == 2
    assert next_take(tmp_path).participant == "p01"


def test_a_take_without_scenario_and_action_takes_them_from_the_plan(tmp_path):
    plan(tmp_path)
    cell = next_take(tmp_path, "p02")
    take(tmp_path, "seq_001", "p02", cell.objects[0])
    done = next(c for c in coverage(tmp_path).of("p02") if c.sequence)
    assert (done.scenario, done.action, done.order) == (cell.scenario, cell.action, 1)


def test_another_scenario_is_a_cell_of_its_own(tmp_path):
    plan(tmp_path)
    cell = next_take(tmp_path, "p02")
    take(tmp_path, "seq_001", "p02", cell.objects[0], "garden")
    found = coverage(tmp_path)
    assert len(found.cells) == 101
    assert next_take(tmp_path, "p02") == cell


def test_a_redo_is_a_new_sequence_and_the_old_take_is_rejected(tmp_path):
    plan(tmp_path)
    cell = next_take(tmp_path, "p01")
    take(tmp_path, "seq_001", "p01", cell.objects[0], cell.scenario, cell.action)
    again = reject_take(tmp_path, "seq_001", "hand out of view")
    assert (again.objects, again.status, again.order) == (cell.objects, "rejected", 1)
    assert next_take(tmp_path, "p01") == again
    take(tmp_path, "seq_002", "p01", cell.objects[0], cell.scenario, cell.action)
    done = coverage(tmp_path).of("p01")[0]
    assert (done.status, done.sequence, done.takes, done.order) == ("recorded", "seq_002", 2, 1)
    assert len(coverage(tmp_path).cells) == 100
    table = read_table(tmp_path, "protocol").set_index("sequence")
    assert table.loc["seq_001", "status"] == "rejected"
    assert table.loc["seq_001", "notes"] == "hand out of view"


def test_an_incomplete_take_leaves_its_cell_open(tmp_path):
    plan(tmp_path)
    cell = next_take(tmp_path, "p01")
    take(tmp_path, "seq_001", "p01", cell.objects[0], status="incomplete")
    assert next_take(tmp_path, "p01").order == 1
    assert coverage(tmp_path).done == 0


def test_rejecting_what_is_not_there_names_what_is(tmp_path):
    plan(tmp_path)
    take(tmp_path, "seq_001", "p01", "o001")
    with pytest.raises(ConfigError, match="seq_010") as error:
        reject_take(tmp_path, "seq_010")
    assert "seq_001" in error.value.hint
    with pytest.raises(ConfigError):
        reject_take(tmp_path, "")


def test_any_other_protocol_by_editing_the_table(tmp_path):
    rows = "participant;objects;scenario;action\np01;mug spoon;s1;stir\np01;mug spoon;s1;stir\np2;mug;s1;drink\n"
    (tmp_path / "protocol.csv").write_text("\ufeffSequence;" + rows.replace("\np", "\n;p"), encoding="utf-8")
    cells = coverage(tmp_path).cells
    assert [(c.participant, c.objects, c.status) for c in cells] == [
        ("p01", ("mug", "spoon"), "planned"),
        ("p01", ("mug", "spoon"), "planned"),
        ("p2", ("mug",), "planned"),
    ]


def test_the_same_can_be_wanted_several_times(tmp_path):
    lines = ["sequence,participant,objects,notes", ",p01,mug,first", ",p01,mug,second", ",p01,mug,third"]
    (tmp_path / "protocol.csv").write_text("\n".join(lines) + "\n")
    take(tmp_path, "seq_001", "p01", "mug")
    take(tmp_path, "seq_002", "p01", "mug", status="incomplete")
    found = coverage(tmp_path)
    assert Counter(cell.status for cell in found.cells)["recorded"] == 1
    assert found.done == 1
    assert next_take(tmp_path, "p01") is not None
    take(tmp_path, "seq_003", "p01", "mug")
    assert coverage(tmp_path).done == 2


MESSY = {
    "byte order mark": "\ufeffsequence,participant,objects,status\nseq_001,p01,mug,recorded\n,p01,cup,planned\n",
    "semicolons": "sequence;participant;objects;status;;\nseq_001;p01;mug;recorded;;\n;p01;cup;planned;;\n",
    "tabs": "sequence\tparticipant\tobjects\tstatus\nseq_001\tp01\tmug\trecorded\n\tp01\tcup\tplanned\n",
    "blank lines": "\n\nsequence,participant,objects,status\n\nseq_001,p01,mug,recorded\n,,,\n,p01,cup,planned\n\n",
    "twice": "sequence,participant,objects,status\n" + 2 * "seq_001,p01,mug,recorded\n" + ",p01,cup,planned\n",
    "spaces and capitals": 'Sequence , PARTICIPANT,"objects",Status\n seq_001 ,p01, mug,Recorded\n,p01,cup,\n',
    "windows line ends": "sep=,\r\nsequence,participant,objects,status\r\nseq_001,p01,mug,recorded\r\n,p01,cup,\r\n",
    "unknown columns": "sequence,room,participant,objects,status\nseq_001,2,p01,mug,recorded\n,2,p01,cup,planned\n",
    "short rows": "sequence,participant,objects,status\nseq_001,p01,mug\n,p01,cup\n",
}


@pytest.mark.parametrize("how", MESSY)
def test_tables_as_spreadsheets_leave_them(tmp_path, how):
    (tmp_path / "protocol.csv").write_text(MESSY[how], encoding="utf-8", newline="")
    found = [(c.objects, c.status, c.sequence) for c in coverage(tmp_path).cells]
    assert found == [(("mug",), "recorded", "seq_001"), (("cup",), "planned", "")]
    take(tmp_path, "seq_002", "p01", "cup")
    assert coverage(tmp_path).done == 2
    if how == "unknown columns":
        assert read_table(tmp_path, "protocol")["room"].tolist() == ["2", "2"]


def test_umlauts_of_an_ansi_table_are_kept(tmp_path):
    (tmp_path / "objects.csv").write_bytes("object;name\no01;Löffel\n".encode("cp1252"))
    set_row(tmp_path, "objects", {"object": "o02", "name": "Gabel"})
    assert read_table(tmp_path, "objects")["name"].tolist() == ["Löffel", "Gabel"]


CELL = st.text(st.sampled_from('ab ä;,"\t|'), max_size=6).map(str.strip)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(CELL, CELL), max_size=5),
    sep=st.sampled_from(",;\t"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
)
def test_no_cell_of_the_users_own_is_lost(tmp_path_factory, rows, sep, encoding):
    root = tmp_path_factory.mktemp("table")
    with (root / "objects.csv").open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=sep)
        writer.writerow(["Object", "shelf", "notes"])
        writer.writerows([f"o{k}", *cells] for k, cells in enumerate(rows))
    set_row(root, "objects", {"object": "new", "notes": "x"})
    found = read_table(root, "objects")
    assert found["shelf"].tolist() == [*(shelf for shelf, _ in rows), ""]
    assert found["notes"].tolist() == [*(notes for _, notes in rows), "x"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sequence,participant\nseq_001,p01,mug,extra\n", "more cells than there are columns"),
        ("sequence,sequence\nseq_001,p01\n", "twice"),
        ("participant,objects\np01,mug\n", "no column 'sequence'"),
        ('sequence,participant\n"seq_001,p01\n', "not a CSV"),
        ("", "empty"),
        ("sequence,participant,objects,status\nseq_001,p01,mug,fine\n", "status 'fine'"),
        ("sequence,participant,objects,order\n,p01,mug,first\n", "whole number"),
    ],
)
def test_what_cannot_be_understood_is_refused(tmp_path, text, says):
    (tmp_path / "protocol.csv").write_text(text)
    with pytest.raises(SequenceError, match=says):
        coverage(tmp_path)


def test_planning_twice_needs_a_word_and_keeps_the_takes(tmp_path):
    plan(tmp_path)
    cell = next_take(tmp_path, "p04")
    take(tmp_path, "seq_001", "p04", cell.objects[0], cell.scenario, cell.action)
    with pytest.raises(ConfigError, match="99 planned cells already"):
        plan(tmp_path)
    again = plan(tmp_path, replace=True)
    assert len(again.cells) == 100
    assert again.done == 1
    other = plan(tmp_path, seed=9, replace=True)
    assert other.done == 1
    assert read_table(tmp_path, "objects")["object"].tolist() == [f"o{n:03d}" for n in range(1, 101)]


def test_objects_that_are_there_already_keep_their_names(tmp_path):
    set_row(tmp_path, "objects", {"object": "o001", "name": "our own"})
    set_row(tmp_path, "objects", {"object": "o05", "category": "mug", "scenario": "kitchen", "name": "blue mug"})
    plan(tmp_path)
    objects = read_table(tmp_path, "objects").set_index("object")
    assert objects.loc["o001", ["name", "category"]].tolist() == ["our own", ""]
    assert objects.loc["o05", ["name", "action"]].tolist() == ["blue mug", "lift by the handle and drink"]
    assert len(objects) == 101
    assert Counter(cell.objects for cell in coverage(tmp_path).cells)[("o05",)] == 1


def test_a_catalogue_of_ones_own(tmp_path):
    path = tmp_path / "ours.yaml"
    path.write_text("participants: 2\nobjects_each: 1\nscenarios: {bench: {saw: cut, o77: {name: vice, action: turn}}}")
    assert {cell.objects for cell in plan(tmp_path / "data", catalogue=path).cells} == {("o001",), ("o77",)}
    path.write_text("participants: 0\nobjects_each: 1\nscenarios: {bench: {saw: cut}}")
    with pytest.raises(ConfigError, match="participants must be"):
        read_catalogue(path)
    path.write_text("participants: 1\nobjects_each: 1\nscenarios: [saw]")
    with pytest.raises(ConfigError, match="scenarios"):
        read_catalogue(path)


def test_the_simulated_rig_has_a_protocol_of_its_objects(tmp_path):
    from hoi_core.scene import objects

    found = plan(tmp_path, catalogue="simulated")
    assert {name for cell in found.cells for name in cell.objects} == set(objects.NAMES)


@pytest.mark.parametrize("name", ["anna", "Anna Meyer", "anna@lab.org", "p1 anna", "pMeyer", "../p01", "", "p01\n"])
def test_identifiers_that_tell_who_it_is_are_refused_and_not_repeated(tmp_path, name):
    with pytest.raises(ConsentError, match="pseudonym") as error:
        check_pseudonym(tmp_path, name)
    if name:
        assert name not in str(error.value)


def test_the_pattern_of_identifiers_can_be_changed(tmp_path):
    check_pseudonym(tmp_path, "p01")
    (tmp_path / "dataset.json").write_text('{"participant_pattern": "S[0-9]{3}"}')
    check_pseudonym(tmp_path, "S004")
    with pytest.raises(ConsentError):
        check_pseudonym(tmp_path, "p01")
    (tmp_path / "dataset.json").write_text('{"participant_pattern": "("}')
    with pytest.raises(ConfigError, match="malformed"):
        check_pseudonym(tmp_path, "p01")


DAY = date(2026, 3, 10)


def test_without_any_consent_data_recording_goes_on_with_a_warning(tmp_path):
    plan(tmp_path)
    assert "no consent" in require_consent(tmp_path, "p01", DAY)


def test_once_there_are_consent_data_everybody_needs_consent(tmp_path):
    set_consent(tmp_path, "p01", Consent("2.1", ("record", "publish"), date(2026, 3, 1), date(2026, 3, 10)))
    assert require_consent(tmp_path, "p01", DAY) == ""
    assert read_consent(tmp_path, "p01").version == "2.1"
    for participant, day, says in (
        ("p02", DAY, "no consent of p02"),
        ("p01", date(2026, 3, 11), "ended on 2026-03-10"),
        ("p01", date(2026, 2, 28), "begins on 2026-03-01"),
        ("", DAY, "needs a participant"),
    ):
        with pytest.raises(ConsentError, match=says):
            require_consent(tmp_path, participant, day)
    with pytest.raises(ConsentError, match="not to share"):
        require_consent(tmp_path, "p01", DAY, scope=("record", "share"))


@pytest.mark.parametrize("text", ["2026-03-01", "2026/03/01", "01.03.2026", "20260301", "2026-03-01 00:00:00"])
def test_dates_as_spreadsheets_rewrite_them(tmp_path, text):
    set_row(tmp_path, "participants", {"participant": "p01", "consent_date": text})
    assert read_consent(tmp_path, "p01").given == date(2026, 3, 1)
    assert require_consent(tmp_path, "p01", DAY) == ""


@pytest.mark.parametrize("text", ["01/03/2026", "3/1/26", "March", "2026-13-01"])
def test_dates_that_can_be_misread_stop_a_recording(tmp_path, text):
    set_row(tmp_path, "participants", {"participant": "p01", "consent_date": text})
    with pytest.raises(ConsentError, match="two ways"):
        require_consent(tmp_path, "p01", DAY)


def test_consent_that_makes_no_sense_is_not_entered(tmp_path):
    with pytest.raises(ConsentError, match="got everything"):
        set_consent(tmp_path, "p01", Consent("1", ("everything",), DAY, None))
    with pytest.raises(ConsentError, match="ends after"):
        set_consent(tmp_path, "p01", Consent("1", ("record",), DAY, date(2026, 1, 1)))
    assert not (tmp_path / "participants.csv").exists()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(st.integers(0, 15), st.sampled_from(["recorded", "incomplete", "rejected"])), max_size=8)
)
def test_takes_never_add_or_lose_planned_cells(tmp_path_factory, steps):
    root = tmp_path_factory.mktemp("plan")
    cells = plan(root, catalogue="simulated").cells
    for k, (which, status) in enumerate(steps):
        cell = cells[which]
        take(root, f"seq_{k:03d}", cell.participant, cell.objects[0], cell.scenario, cell.action, status)
    found = coverage(root)
    assert len(found.cells) == len(cells)
    assert found.done == len({which for which, status in steps if status == "recorded"})
    assert sum(cell.takes for cell in found.cells) == len(steps)


def test_a_recording_without_consent_in_force_never_starts(rigs, tmp_path):
    from capture.session import CaptureSession

    set_consent(tmp_path, "p01", Consent("1", ("record",), date(2020, 1, 1), date(2020, 12, 31)))
    rig = rigs.FakeRig(rigs.FakeDevice("left", 10), whole=True)
    session = CaptureSession(rig, tmp_path)
    try:
        for participant, says in (("p01", "ended on 2020-12-31"), ("p02", "no consent"), ("anna", "pseudonym")):
            with pytest.raises(ConsentError, match=says):
                session.start_recording(CaptureHeader("seq_001", participant, ("o01",)))
        assert not session.recording
        assert not (tmp_path / "sequences").exists()
    finally:
        session.stop()
