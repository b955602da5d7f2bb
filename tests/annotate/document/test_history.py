"""Any series of steps can be taken back bit for bit, done again, and survives a kill at every point."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotate.document import edits, object_edits
from annotate.document.document import JOURNAL, Document
from annotate.document.flat import flatten, unflatten
from annotate.document.journal import Journal
from annotate.document.patch import apply, decode, difference, encode, reverse
from hoi_core.errors import HoiError, SequenceError, StorageError
from hoi_core.sequence import Binding, open_annotation, write_revision
from hoi_core.types import HandKeypoints, HandTrack, ObjectPoints, ObjectTrack, Revision

MOMENTS = 7


def hand(rng: np.random.Generator, moments: int = MOMENTS) -> HandTrack:
    joints = rng.normal(size=(moments, 21, 3))
    joints[::3] = np.nan
    return HandTrack(
        orient=rng.normal(size=(moments, 3)),
        pose=rng.normal(size=(moments, 45)),
        betas=rng.normal(size=10),
        trans_m=rng.normal(size=(moments, 3)),
        joints_m=joints,
        joint_cov_m2=np.full((moments, 21, 3, 3), np.nan),
        valid=np.arange(moments) % 3 > 0,
        status=(np.arange(moments) % 3 > 0).astype(np.uint8),
        joint_source=np.zeros((moments, 21), np.uint8),
    )


def labels(seed: int = 0, moments: int = MOMENTS) -> Revision:
    rng = np.random.default_rng(seed)
    track = ObjectTrack(rng.normal(size=(moments, 4, 4)), np.ones(moments, bool), np.ones(moments, np.uint8))
    return replace(
        unlabelled(moments),
        hands={"right": hand(rng, moments), "left": hand(rng, moments)},
        objects={"o01": track},
        keypoints={
            "right": HandKeypoints({"left": rng.normal(size=(moments, 21, 3))}),
            "left": HandKeypoints({}),
        },
        residuals={"reprojection_px": rng.random(moments), "left/reprojection_px": rng.random(moments)},
        problems={"right": np.zeros(moments, np.uint8)},
        object_points={"o01": ObjectPoints(np.arange(2), ("left", "left"), rng.random((2, 2)), np.ones((2, 3)))},
        comments={3: "ünïcode – sleeve"},
        author="auto",
    )


def unlabelled(moments: int = MOMENTS) -> Revision:
    index = {"left": np.arange(moments), "right": np.arange(moments)}
    return Revision(np.arange(moments) * 33_333_333, {}, {}, {}, index, keypoint_source="clicked")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sequence's folder with one revision."""
    path = tmp_path / "seq_001"
    path.mkdir()
    write_revision(path, labels(), binding=Binding("a" * 64))
    return path


@pytest.fixture
def open_document() -> Callable[..., Document]:
    """Opens the document of a folder."""

    def opened(folder: Path, moments: int = MOMENTS, **options: bool) -> Document:
        return Document(folder, Binding("a" * 64), unlabelled(moments), **options)

    return opened


def bits(revision: Revision) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Everything that a step may change, bit for bit."""
    return {path: (a.dtype.str, a.shape, a.tobytes()) for path, a in flatten(revision).items()}


frames = st.integers(0, MOMENTS - 1)
some_frames = st.lists(frames, min_size=1, max_size=3)
sides = st.sampled_from(["right", "left"])
views = st.sampled_from(["left", "right"])
joints = st.integers(0, 20)
places = st.none() | st.tuples(st.floats(0, 640), st.floats(0, 480))
Edit = Callable[[Revision], Revision]


def edit_of(name: str, *values: st.SearchStrategy) -> st.SearchStrategy[Edit]:
    functions = {
        "status": lambda at, status, side: lambda now: edits.set_status(now, at, status, side),
        "comment": lambda frame, text: lambda now: edits.set_comment(now, frame, text),
        "keypoint": lambda side, f, v, j, px: lambda now: edits.set_keypoint(now, side, (f, v, j), px),
        "occluded": lambda side, f, v, j, on: lambda now: edits.set_occluded(now, side, (f, v, j), on=on),
        "locked": lambda side, f, j, on: lambda now: edits.set_locked(now, side, f, [j], on=on),
        "copy": lambda side, f, source: lambda now: edits.copy_from(now, side, f, source),
        "delete": lambda side, at: lambda now: edits.delete_label(now, side, at),
        "swap": lambda at: lambda now: edits.swap_hands(now, at),
        "fit": lambda seed: lambda now: edits.adopt(now, labels(seed)),
        "first hand": lambda seed: lambda now: replace(now, hands={"left": hand(np.random.default_rng(seed))}),
        "no hands": lambda: lambda now: replace(now, hands={}, keypoints={}, residuals={}),
        "object": lambda f: lambda now: object_edits.set_object_pose(now, "o01", f, np.eye(4)),
        "click": lambda f, v: (
            lambda now: object_edits.add_object_point(now, "o02", (f, v), (1.0, 2.0), (0.0, 0.0, 1.0))
        ),
        "unclick": lambda k: lambda now: object_edits.remove_object_point(now, "o01", k),
    }
    return st.builds(functions[name], *values)


an_edit = st.one_of(
    edit_of("status", some_frames, st.sampled_from(["auto", "edited", "accepted", "rejected"]), st.none() | sides),
    edit_of("comment", frames, st.text(max_size=8)),
    edit_of("keypoint", sides, frames, views, joints, places),
    edit_of("occluded", sides, frames, views, joints, st.booleans()),
    edit_of("locked", sides, frames, joints, st.booleans()),
    edit_of("copy", sides, frames, frames),
    edit_of("delete", sides, some_frames),
    edit_of("swap", some_frames),
    edit_of("fit", st.integers(1, 3)),
    edit_of("first hand", st.integers(1, 3)),
    edit_of("no hands"),
    edit_of("object", frames),
    edit_of("click", frames, views),
    edit_of("unclick", st.integers(0, 2)),
)
an_action = an_edit | st.sampled_from(["undo", "redo", "save", "work", "reopen"])
quick = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def act(document: Document, action: object) -> None:
    """Do one thing; what is refused changes nothing."""
    before = bits(document.revision)
    try:
        if action == "save":
            document.save("maria")
        elif action == "work":
            document.work(1, 2.5)
        elif isinstance(action, str):
            getattr(document, action)()
        else:
            document.change("a step", action(document.revision))
    except HoiError:
        assert bits(document.revision) == before


@quick
@given(actions=st.lists(an_action, max_size=14))
def test_any_series_undone_is_the_beginning_and_redone_the_end(folder, open_document, tmp_path_factory, actions):
    copy = shutil.copytree(folder, tmp_path_factory.mktemp("copy") / "seq")
    document = open_document(copy)
    first, worked = bits(document.revision), 0.0
    for action in actions:
        if action == "reopen":
            document.close()
            document = open_document(copy)
            assert not document.warnings
        else:
            act(document, action)
            worked += 2.5 * (action == "work")
    last = bits(document.revision)
    done = 0
    while document.undo_step is not None:
        document.undo()
        done += 1
    assert bits(document.revision) == first
    for _ in range(done):
        document.redo()
    assert bits(document.revision) == last
    held = document.revision.work_s
    assert (0.0 if held is None else held.sum()) == pytest.approx(worked)
    document.close()


@quick
@given(actions=st.lists(an_edit | st.sampled_from(["undo", "redo"]), min_size=1, max_size=6), torn=st.floats(0, 1))
def test_a_kill_loses_at_most_the_last_step(folder, open_document, tmp_path_factory, actions, torn):
    """Cut the journal after every record, and within every record: the labels are those after a whole record."""
    copy = shutil.copytree(folder, tmp_path_factory.mktemp("copy") / "seq")
    document = open_document(copy)
    states = {0: bits(document.revision)}
    for action in actions:
        act(document, action)
        if (copy / JOURNAL).exists():
            states[(copy / JOURNAL).stat().st_size] = bits(document.revision)
    document.close()
    if not (copy / JOURNAL).exists():
        return
    whole = (copy / JOURNAL).read_bytes()
    sizes = sorted(states)
    for size, following in zip(sizes, [*sizes[1:], None], strict=True):
        cuts = {size} if following is None else {size, size + int(torn * (following - size - 1)), following - 1}
        for cut in cuts:
            (copy / JOURNAL).write_bytes(whole[:cut])
            opened = open_document(copy)
            assert bits(opened.revision) == states[size]
            opened.close()
            opened = open_document(copy)  # what was torn is gone for good
            assert bits(opened.revision) == states[size]
            assert not opened.warnings
            opened.close()


@quick
@given(first=an_edit, second=an_edit)
def test_patches_come_back_from_bytes(first, second):
    old = labels()
    try:
        new = second(first(old))
    except HoiError:
        return
    before, after = flatten(old), flatten(new)
    patch = decode(encode(difference(before, after)))
    there = unflatten(apply(before, patch), old)
    assert bits(there) == bits(new)
    assert bits(unflatten(apply(flatten(there), reverse(patch)), old)) == bits(old)


def accept(document: Document, frame: int) -> None:
    document.change(f"Accept frame {frame}", edits.set_status(document.revision, [frame], "accepted"))


def test_a_step_says_what_it_changes(folder, open_document):
    document = open_document(folder)
    accept(document, 4)
    assert (document.undo_step.text, document.undo_step.frames) == ("Accept frame 4", (4, 4))
    assert document.undo() == document.redo_step
    assert document.undo_step is None
    assert not document.dirty
    with pytest.raises(SequenceError, match="nothing to undo"):
        document.undo()


def test_nothing_done_is_no_step_and_leaves_no_journal(folder, open_document):
    document = open_document(folder)
    assert document.change("nothing", document.revision) is None
    assert not (folder / JOURNAL).exists()


def test_history_goes_on_past_saves_and_openings(folder, open_document):
    document = open_document(folder)
    start = bits(document.revision)
    accept(document, 1)
    document.work(1, 4.0)
    assert document.save("maria", "checked") == "r001"
    assert not document.dirty
    accept(document, 2)
    document.close()
    document = open_document(folder)
    assert (document.recovered, document.dirty, document.base) == (True, True, "r001")
    document.undo()
    assert not document.dirty
    document.undo()
    assert document.dirty
    assert bits(document.revision) == start
    document.save("maria")
    with open_annotation(folder) as annotation:
        stored = [annotation.load(name) for name in ("r000", "r001", "r002")]
    assert [r.parent for r in stored] == ["", "r000", "r001"]
    assert (stored[1].author, stored[1].comment, stored[1].human_seconds) == ("maria", "checked", 4.0)
    assert stored[1].work_s[1] == 4.0
    assert stored[2].human_seconds == 0.0
    assert bits(stored[2]) == bits(stored[0])
    document.redo()
    assert bits(document.revision) == bits(stored[1])


def test_a_kill_between_the_revision_and_its_mark_is_no_unsaved_work(folder, open_document):
    document = open_document(folder)
    accept(document, 1)
    size = (folder / JOURNAL).stat().st_size
    document.save("maria")
    document.close()
    os.truncate(folder / JOURNAL, size)
    document = open_document(folder)
    assert (document.dirty, document.recovered, document.base) == (False, False, "r001")
    document.undo()
    assert document.dirty


def test_a_revision_of_others_becomes_a_step(folder, open_document):
    document = open_document(folder)
    accept(document, 1)
    document.save("maria")
    mine = bits(document.revision)
    document.close()
    write_revision(folder, replace(labels(7), author="auto", parent="r001"))
    document = open_document(folder)
    assert (document.base, document.dirty) == ("r002", False)
    assert bits(document.revision) == bits(labels(7))
    assert document.undo().text == "Revision r002 by auto"
    assert bits(document.revision) == mine


def test_unsaved_work_outlives_a_revision_of_others(folder, open_document):
    document = open_document(folder)
    accept(document, 1)
    mine = bits(document.revision)
    document.close()
    write_revision(folder, replace(labels(7), author="auto"))
    document = open_document(folder)
    assert document.recovered
    assert "r001 by auto" in document.warnings[0]
    assert bits(document.revision) == mine
    assert document.save("maria") == "r002"
    with open_annotation(folder) as annotation:
        assert annotation.load().parent == "r000"


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def test_damage_within_keeps_what_came_before_and_the_file(folder, open_document):
    document = open_document(folder)
    accept(document, 1)
    kept = bits(document.revision)
    accept(document, 2)
    accept(document, 4)
    document.close()
    journal = Journal(folder / JOURNAL, writable=False)
    damaged = journal.records[2]
    journal.close()
    flip(folder / JOURNAL, damaged.at + damaged.size // 2)
    document = open_document(folder)
    assert bits(document.revision) == kept
    assert "2 records" in document.warnings[0]
    assert (folder / f"{JOURNAL}.damaged1").exists()


def test_damaged_history_before_a_save_ends_the_undo_not_the_labels(folder, open_document):
    document = open_document(folder)
    accept(document, 1)
    document.save("maria")
    accept(document, 2)
    document.close()
    journal = Journal(folder / JOURNAL, writable=False)
    first = journal.records[1]
    journal.close()
    flip(folder / JOURNAL, first.at)
    document = open_document(folder)
    document.undo()
    now = bits(document.revision)
    with pytest.raises(SequenceError, match="checksum"):
        document.undo()
    assert bits(document.revision) == now


def test_looking_changes_no_file(folder, open_document):
    document = open_document(folder)
    accept(document, 1)
    document.close()
    with (folder / JOURNAL).open("ab") as file:
        file.write(b"HOIJ torn")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    document = open_document(folder, writable=False)
    assert document.revision.hands["right"].status[1] == 3
    for forbidden in (document.undo, lambda: document.save("x"), lambda: accept(document, 4)):
        with pytest.raises(SequenceError, match="look at only"):
            forbidden()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("what", ["capture_hash", "version", "revision"])
def test_a_foreign_journal_is_refused(folder, open_document, what):
    begin = {"version": 1, "capture_hash": "a" * 64, "revision": "r000"}
    journal = Journal(folder / JOURNAL, writable=True)
    journal.append("begin", {**begin, what: {"version": 9, "capture_hash": "b", "revision": "r012"}[what]})
    journal.close()
    with pytest.raises(SequenceError, match=r"another recording|newer version|r012"):
        open_document(folder)


def test_a_full_disk_refuses_the_step_and_keeps_the_rest(folder, open_document, monkeypatch):
    document = open_document(folder)
    accept(document, 1)
    kept, size = bits(document.revision), (folder / JOURNAL).stat().st_size
    real = os.pwrite

    def half(file: int, data: bytes, at: int) -> int:
        if len(data) > 40:
            return real(file, data[:40], at)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", half)
    with pytest.raises(StorageError, match="no space"):
        accept(document, 2)
    monkeypatch.undo()
    assert bits(document.revision) == kept
    assert (folder / JOURNAL).stat().st_size == size
    accept(document, 2)
    document.close()
    assert open_document(folder).revision.hands["right"].status[2] == 3


def test_a_draft_of_an_earlier_version_becomes_a_step(folder, open_document):
    draft = folder / "annotation.draft.h5"
    write_revision(draft, replace(labels(5), parent="r000"), binding=Binding("a" * 64))
    document = open_document(folder)
    assert document.recovered
    assert bits(document.revision) == bits(labels(5))
    assert not draft.exists()
    document.undo()
    assert bits(document.revision) == bits(labels())


def test_blind_labels_start_with_nothing_and_stay_beside_the_labels(folder, open_document):
    document = open_document(folder, blind=True)
    assert not document.revision.hands
    assert not document.revision.keypoints
    document.change("label", replace(document.revision, hands=labels(3).hands))
    document.close()
    document = open_document(folder, blind=True)
    assert document.recovered
    assert document.save("maria") == "r001"
    document.close()
    with open_annotation(folder) as annotation:
        assert annotation.current == "r000"
        blind = annotation.load("r001")
    assert (blind.purpose, blind.parent) == ("blind", "r000")
    again = open_document(folder, blind=True)
    assert not again.revision.hands
    assert again.undo_step is None
    assert bits(open_document(folder).revision) == bits(labels())


def test_a_journal_of_the_first_version_still_opens(tmp_path, open_document):
    """Written by version 1: a click, a fit, 4 s of work, saved; a frame accepted; two steps taken back."""
    copy = shutil.copytree(Path(__file__).with_name("golden"), tmp_path / "seq")
    document = open_document(copy, moments=4)
    assert not document.warnings
    assert document.recovered
    assert (document.base, document.redo_step.text) == ("r000", "Nudge")
    hand = document.revision.hands["right"]
    np.testing.assert_array_equal(hand.status, [3, 3, 0, 4])
    np.testing.assert_array_equal(hand.betas, np.arange(10) / 7)
    assert document.revision.work_s[1] == 4.0
    assert document.redo().frames == (2, 2)
    texts = []
    while document.undo_step is not None:
        texts.append(document.undo().text)
    assert texts == ["Nudge", "Accept frame 0", "Fit", "Place a keypoint"]
    assert not document.revision.keypoints
