from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoi_core.errors import ConfigError, SequenceError
from hoi_core.sequence import (
    CaptureHeader,
    CaptureWriter,
    capture_path,
    open_capture,
    read_table,
    register_recording,
    set_row,
)
from hoi_core.sequence.withdraw import delete, holdings, withdraw
from hoi_core.sequence.withdraw.erase import without
from hoi_core.sequence.withdraw.journal import JOURNAL, Journal
from hoi_core.sequence.withdraw.mentions import Words, mentioned
from hoi_core.types import Camera, Frame, StreamInfo

INFO = StreamInfo("left/color", "camera", (6, 8, 3), "uint8", 30.0, Camera(8, 6, 7, 7, 4, 3), "1")
HIS, OTHERS = ("seq_001", "seq_003"), ("seq_002", "seq_0031", "my_seq_001x")


def record(root, name, participant, objects=("o01",), status="recorded"):
    header = CaptureHeader(name, participant, objects, "s1", "lift", created="2026-01-01T00:00:00+00:00")
    rng = np.random.default_rng(abs(hash(name)) % 1000)
    with CaptureWriter.create(capture_path(root, name), header, [INFO]) as writer:
        for n in range(5):
            image = rng.integers(0, 255, INFO.shape, np.uint8)
            writer.append(Frame("left/color", n, n * 33_000_000, n * 33_000_000, "host", image))
            writer.sync(n * 33_000_000, {"left/color": n}, {"left/color": 0})
    register_recording(root, header, seconds=1.0, drops=0, status=status)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "data"
    for name in HIS:
        record(root, name, "p01", ("o01",))
    for name, who in zip(OTHERS, ("p02", "p012", "p1"), strict=True):
        record(root, name, who, ("o02", "o03"))
    set_row(root, "participants", {"participant": "p01", "handedness": "left", "notes": "wears a ring"})
    return root


def plant(root):
    """The participant's traces in every place that a laboratory makes; returns how many files."""
    with open_capture(capture_path(root, "seq_001")) as capture:
        digest = capture.content_hash()
    for name in ("annotation.h5", "annotation.draft.h5", "truth.h5", "capture.h5.part", "notes.txt"):
        (root / "sequences" / "seq_001" / name).write_bytes(b"private " + name.encode())
    (root / "sequences" / "seq_003" / "thumbs").mkdir()
    (root / "sequences" / "seq_003" / "thumbs" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    exports = root / "exports"
    exports.mkdir()
    (exports / "split.json").write_text(json.dumps({"train": ["seq_001", "seq_002"], "test": ["seq_003", "seq_0031"]}))
    (exports / "index.json").write_text(json.dumps([{"sequence": "seq_001", "n": 3}, {"sequence": "seq_002", "n": 4}]))
    (exports / "bound.json").write_text(json.dumps({"runs": {"a": {"capture_hash": digest}, "b": {"x": 1}}}))
    (exports / "report.json").write_text(json.dumps({"sequence": "seq_003", "frames": 12}))
    (exports / "train.txt").write_text("seq_001/left/000012\nseq_002/left/000012\nseq_0031/left/000001\n")
    (exports / "samples.jsonl").write_text('{"key": "seq_001/left/1"}\n{"key": "seq_002/left/1"}\n')
    (exports / "people.csv").write_text("\ufeffwho;age\nP01;31\np02;40\n", encoding="utf-8")
    (exports / "folds.csv").write_text("fold,sequences\n0,seq_001 seq_002\n1,seq_003\n")
    (exports / "wide.csv").write_bytes("name,sequence\nä,seq_003\nü,seq_002\n".encode("utf-16"))
    (exports / "seq_001_left.mp4").write_bytes(b"pixels")
    with tarfile.open(exports / "shard.tar", "w") as tar:
        tar.add(root / "objects.csv", "seq_003.000001.csv")
    with zipfile.ZipFile(exports / "shard.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("keys.txt", "seq_002\n" * 50 + "seq_001\n")
    with gzip.open(exports / "list.gz", "wt") as file:
        file.write("seq_003\n")
    with h5py.File(exports / "packed.h5", "w") as file:
        names = file.create_dataset("names", data=np.array([b"seq_001"] * 64), chunks=(16,), compression="gzip")
        names.attrs["what"] = "keys"
    with h5py.File(exports / "attrs.h5", "w") as file:
        file.attrs["who"] = "p01"
    (root / "objects" / "o01").mkdir(parents=True)
    (root / "objects" / "o01" / "mesh.obj").write_text("# scanned in seq_001\nv 0 0 0\n")
    (root / "rigs").mkdir()
    (root / "rigs" / "lab.yaml").write_text("name: lab\n# last used for p01\ndevices: []\n")
    set_row(root, "objects", {"object": "o02", "notes": "p01 broke it"})


def texts_of(path):
    if not h5py.is_hdf5(path):
        return b""
    with h5py.File(path) as file:
        names = b" ".join(file["names"][()].tolist()) if "names" in file else b""
        return repr(dict(file.attrs)).encode() + b" " + names + b" "


def found_by_hand(root, words):
    """Every file that has one of the words in its name or, as it lies on the disk or unpacked, in its bytes."""
    pattern = re.compile(rb"(?<![A-Za-z0-9])(" + b"|".join(w.encode() for w in words) + rb")(?![A-Za-z0-9])", re.I)
    found = []
    for path in root.rglob("*"):
        content = path.name.encode() + b"\n"
        if path.is_file():
            raw = path.read_bytes()
            content += raw if path.suffix not in (".gz", ".npz") else b""
            content += raw.replace(b"\0", b"") if path.suffix == ".csv" else b""
            if path.suffix == ".gz":
                content += gzip.decompress(raw)
            if path.suffix == ".npz":
                with zipfile.ZipFile(path) as archive:
                    content += b"".join(archive.read(name) for name in archive.namelist())
            if path.suffix == ".h5":
                content += texts_of(path)
        if pattern.search(content):
            found.append(path)
    return found


def test_no_byte_is_left_and_nothing_of_others_is_touched(root, tmp_path):
    plant(root)
    before = {path: path.read_bytes() for name in OTHERS for path in (root / "sequences" / name).rglob("*")}
    with open_capture(capture_path(root, "seq_001")) as capture:
        digest = capture.content_hash()
    words = ("p01", *HIS, digest)
    assert len(found_by_hand(root, words)) > 20
    listed = holdings(root, "p01")
    assert listed.sequences == HIS
    assert not listed.unclear
    certificate = withdraw(root, "p01")
    assert found_by_hand(root, words) == []
    assert certificate.verified
    assert certificate.sequences == HIS
    assert {path: path.read_bytes() for path in before} == before
    assert not (root / JOURNAL).exists()
    assert not (root / "sequences" / "seq_001").exists()
    exports = root / "exports"
    assert json.loads((exports / "split.json").read_text()) == {"train": ["seq_002"], "test": ["seq_0031"]}
    assert json.loads((exports / "index.json").read_text()) == [{"sequence": "seq_002", "n": 4}]
    assert json.loads((exports / "bound.json").read_text()) == {"runs": {"b": {"x": 1}}}
    assert not (exports / "report.json").exists()
    assert (exports / "train.txt").read_text() == "seq_002/left/000012\nseq_0031/left/000001\n"
    assert (exports / "people.csv").read_text(encoding="utf-8-sig") == "who;age\np02;40\n"
    assert (exports / "folds.csv").read_text() == "fold,sequences\n0,seq_002\n"
    assert (exports / "wide.csv").read_bytes().decode("utf-16") == "name,sequence\nü,seq_002\n"
    assert (root / "rigs" / "lab.yaml").read_text() == "name: lab\ndevices: []\n"
    assert (root / "objects" / "o01" / "mesh.obj").read_text() == "v 0 0 0\n"
    assert (
        sorted(path.name for path in exports.iterdir() if path.suffix in (".tar", ".npz", ".gz", ".mp4", ".h5")) == []
    )
    assert read_table(root, "participants")["participant"].tolist() == ["p02", "p012", "p1"]
    assert read_table(root, "protocol")["sequence"].tolist() == list(OTHERS)
    objects = read_table(root, "objects").set_index("object")
    assert objects.index.tolist() == ["o02", "o03"]
    assert objects.loc["o02", "notes"] == "broke it"


def test_the_certificate_counts_what_went(root, tmp_path):
    (root / "sequences" / "seq_001" / "annotation.h5").write_bytes(b"12345")
    size = sum(path.stat().st_size for name in HIS for path in (root / "sequences" / name).iterdir())
    certificate = withdraw(root, "p01")
    assert certificate.files == 3
    assert sum(e["bytes"] for e in certificate.deleted if "sha256" in e) == size
    five = next(e for e in certificate.deleted if e["path"] == "sequences/seq_001/annotation.h5")
    assert five["sha256"] == "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5"
    assert certificate.rows == 4  # two of the protocol, one participant, one object that nobody else handles
    assert certificate.scanned_files == sum(path.is_file() for path in root.rglob("*"))
    with pytest.raises(ConfigError, match="lies in the dataset"):
        certificate.write(root / "exports" / "c.json", root)
    certificate.write(tmp_path / "out" / "c.json", root)
    written = json.loads((tmp_path / "out" / "c.json").read_text())
    assert written["verified"] is True
    assert written["participant"] == "p01"


def test_a_dry_run_changes_nothing(root):
    plant(root)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    found = holdings(root, "p01")
    assert found.bytes > 0
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_the_cells_can_go_to_a_substitute(root):
    set_row(
        root, "protocol", {"sequence": "", "participant": "p01", "objects": "o09", "order": "3", "status": "planned"}
    )
    certificate = withdraw(root, "p01", substitute="p21")
    protocol = read_table(root, "protocol")
    mine = protocol[protocol["participant"] == "p21"]
    assert mine["objects"].tolist() == ["o01", "o09"]
    assert set(mine["status"]) == {"planned"}
    assert set(mine["sequence"]) == {""}
    assert "o01" in read_table(root, "objects")["object"].tolist()
    assert "p21" in read_table(root, "participants")["participant"].tolist()
    assert certificate.substitute == "p21"
    assert found_by_hand(root, ("p01", *HIS)) == []


def test_planned_cells_go_too(root):
    set_row(root, "protocol", {"sequence": "", "participant": "p01", "objects": "o09", "status": "planned"})
    withdraw(root, "p01")
    assert "p01" not in read_table(root, "protocol")["participant"].tolist()


@pytest.mark.parametrize("after", [0, 1, 4, 9, 13])
def test_a_crash_at_any_point_is_taken_up_again(root, monkeypatch, after):
    plant(root)
    with open_capture(capture_path(root, "seq_001")) as capture:
        words = ("p01", *HIS, capture.content_hash())
    expected = {item.path for item in holdings(root, "p01").items if item.kind in ("recording", "derived")}
    calls = [0]
    real = Journal.note

    def crash(self, entry):
        calls[0] += 1
        if calls[0] > after:
            raise KeyboardInterrupt
        real(self, entry)

    monkeypatch.setattr(Journal, "note", crash)
    with pytest.raises(KeyboardInterrupt):
        withdraw(root, "p01")
    assert (root / JOURNAL).exists()
    monkeypatch.undo()
    with (root / JOURNAL).open("a") as file:
        file.write('{"path": "torn')
    with pytest.raises(ConfigError, match="has not been finished"):
        withdraw(root, "p02")
    certificate = withdraw(root, "p01")
    assert found_by_hand(root, words) == []
    assert {e["path"] for e in certificate.deleted if "sha256" in e} == expected
    assert set(certificate.looked_for) == set(words) | set(holdings_hashes(certificate))


def holdings_hashes(certificate):
    return [word for word in certificate.looked_for if len(word) == 64]


def test_a_crash_after_the_tables_still_knows_the_sequences(root, monkeypatch):
    plant(root)
    monkeypatch.setattr(delete, "_verify", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        withdraw(root, "p01")
    monkeypatch.undo()
    (root / "late.txt").write_text("seq_003 was exported meanwhile\nother\n")
    assert withdraw(root, "p01").sequences == HIS
    assert (root / "late.txt").read_text() == "other\n"


def test_what_others_need_is_edited_and_not_deleted(root):
    (root / "calibrations").mkdir()
    path = root / "calibrations" / "c1.json"
    path.write_text('{"sequence": "seq_001", "cameras": {"left": {"fx": 600.0}}}')
    (root / "dataset.json").write_text('{"format": "hoi-dataset", "participant": "p01", "notes": "p01 was first"}')
    withdraw(root, "p01")
    assert json.loads(path.read_text()) == {"cameras": {"left": {"fx": 600.0}}}
    assert json.loads((root / "dataset.json").read_text()) == {"format": "hoi-dataset", "notes": "was first"}


def test_what_turns_up_meanwhile_is_noticed(root):
    def export(_):
        (root / "late.bin").write_bytes(b"\0seq_001\0")

    with pytest.raises(SequenceError, match=r"still there: late\.bin \(seq_001\)"):
        withdraw(root, "p01", on_progress=export)
    assert (root / JOURNAL).exists()
    assert withdraw(root, "p01").verified
    assert not (root / "late.bin").exists()


def test_an_open_file_stops_it_before_anything_is_deleted(root):
    with open_capture(capture_path(root, "seq_003")), pytest.raises(SequenceError, match=r"seq_003.*open.*Nothing was"):
        withdraw(root, "p01")
    assert all(capture_path(root, name).exists() for name in HIS)
    assert not (root / JOURNAL).exists()


def test_an_open_file_of_another_process_stops_it(root):
    path = capture_path(root, "seq_001")
    code = "import sys; f = open(sys.argv[1], 'rb'); print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        with pytest.raises(SequenceError, match=f"process {process.pid} "):
            withdraw(root, "p01")
        process.stdin.close()
    assert withdraw(root, "p01").verified


def test_a_recording_that_protocol_and_file_disagree_on_needs_a_person(root):
    set_row(root, "protocol", {"sequence": "seq_002", "participant": "p01"})
    with pytest.raises(SequenceError, match="the recording says p02"):
        withdraw(root, "p01")
    assert capture_path(root, "seq_002").exists()


def test_a_take_that_no_table_knows_goes_too(root):
    record(root, "seq_009", "p01")
    table = (root / "protocol.csv").read_text().splitlines(keepends=True)
    (root / "protocol.csv").write_text("".join(line for line in table if "seq_009" not in line))
    (root / "sequences" / "seq_010").mkdir()
    (root / "sequences" / "seq_010" / "capture.h5").write_bytes(b"\x89HDF torn off \0p01\0")
    assert withdraw(root, "p01").sequences == (*HIS, "seq_009", "seq_010")


def test_links_out_of_the_dataset_need_a_person(root, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "big.h5").write_bytes(b"x")
    (root / "sequences" / "seq_001" / "video.h5").symlink_to(elsewhere / "big.h5")
    with pytest.raises(SequenceError, match="link out of the dataset"):
        withdraw(root, "p01")
    (root / "sequences" / "seq_001" / "video.h5").unlink()
    (root / "exports").symlink_to(elsewhere)
    with pytest.raises(SequenceError, match="not searched"):
        withdraw(root, "p01")
    certificate = withdraw(root, "p01", keep=["exports"])
    assert certificate.kept == ("exports",)
    assert (elsewhere / "big.h5").exists()


def test_a_history_needs_a_person(root):
    (root / ".git").mkdir()
    (root / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    with pytest.raises(SequenceError, match="older versions"):
        withdraw(root, "p01")
    assert withdraw(root, "p01", keep=[".git"]).kept == (".git",)


def test_what_cannot_be_made_again_needs_a_person(root):
    with h5py.File(root / "sequences" / "seq_002" / "annotation.h5", "w") as file:
        file.attrs["comment"] = "same as seq_001"
    with pytest.raises(SequenceError, match="look at it"):
        withdraw(root, "p01")
    (root / "sequences" / "seq_002" / "annotation.h5").unlink()
    assert withdraw(root, "p01").verified


def test_nobody_is_not_withdrawn(root):
    with pytest.raises(ConfigError, match="nothing is kept"):
        withdraw(root, "p77")
    for name in ("", "x", "pä"):
        with pytest.raises(ConfigError, match="pseudonym"):
            holdings(root, name)


def test_p1_is_not_p01_nor_p012(root):
    withdraw(root, "p1")
    assert sorted(p.name for p in (root / "sequences").iterdir()) == ["seq_001", "seq_002", "seq_003", "seq_0031"]


def test_random_numbers_are_not_searched_for_short_words(tmp_path):
    words = Words(("p01",))
    data = np.frombuffer(b" p01 " * 4000, np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("plain", data=data)
        file.create_dataset("chunked", data=data, chunks=(500,))
    np.save(tmp_path / "a.npy", data)
    np.savez(tmp_path / "a.npz", data=data)
    assert [mentioned(tmp_path / name, words) for name in ("a.h5", "a.npy", "a.npz")] == ["", "", ""]
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file.create_dataset("names", data=np.array(["p02", "p01"], dtype=h5py.string_dtype()))
    assert mentioned(tmp_path / "a.h5", words) == "p01"


@given(st.text(st.sampled_from('p01 2\n\t,;_-x/"ü–\0'), max_size=12), st.text("ab ,_ü–\n", max_size=6))
def test_words_are_found_in_bytes_as_in_text(tmp_path_factory, before, after):
    text = (before + "p01" + after).replace("\0", "")
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(text.encode())
    by_regex = re.search(r"(?<![A-Za-z0-9])p01(?![A-Za-z0-9])", text) is not None
    assert (mentioned(path, Words(("p01",))) == "p01") == by_regex
    assert Words(("p01",)).in_text(text) == by_regex


@pytest.mark.parametrize("at", [(8 << 20) - 4, (8 << 20) - 1, 8 << 20])
def test_words_at_the_border_of_two_blocks_are_found(tmp_path, at):
    content = bytearray(b"." * ((8 << 20) + 100))
    content[at : at + 7] = b"seq_001"
    (tmp_path / "a.bin").write_bytes(content)
    assert mentioned(tmp_path / "a.bin", Words(("seq_001",))) == "seq_001"


def test_strings_of_a_fixed_length_are_found_one_by_one(tmp_path):
    names = np.array([b"seq_001", b"seq_002"])
    drops = np.array([(b"seq_002", 1), (b"seq_001", 2)], dtype=[("name", "S7"), ("n", "i4")])
    for number, options in enumerate(({}, {"chunks": (1,), "compression": "gzip"})):
        for name, values in (("names", names), ("drops", drops)):
            path = tmp_path / f"{name}{number}.h5"
            with h5py.File(path, "w") as file:
                file.create_dataset(name, data=values, **options)
            assert mentioned(path, Words(("seq_001",))) == "seq_001"
    np.save(tmp_path / "a.npy", names.astype("U7"))
    assert mentioned(tmp_path / "a.npy", Words(("seq_001",))) == "seq_001"


def test_pickled_and_length_prefixed_strings_are_found(tmp_path):
    import pickle

    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"who": ["p01"]}))
    assert mentioned(tmp_path / "a.pkl", Words(("p01",))) == "p01"


@given(st.lists(st.sampled_from(["p01", "p02", "cup", "seq_001/left"]), min_size=1, max_size=6))
def test_only_the_words_go_from_a_cell(pieces):
    words = Words(("p01", "seq_001"))
    left = without(" ".join(pieces), words)
    assert left.split() == [piece for piece in pieces if piece in ("p02", "cup")]


def test_headers_are_compared_as_they_are_stored(root):
    header = replace(CaptureHeader("seq_020", "P01"), objects=("o01",))
    with CaptureWriter.create(capture_path(root, "seq_020"), header, [INFO]) as writer:
        writer.append(Frame("left/color", 0, 0, 0, "host", np.zeros(INFO.shape, np.uint8)))
    assert "seq_020" in holdings(root, "p01").sequences
