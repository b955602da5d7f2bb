"""What leaves the laboratory: consent, licence, notices."""

import json
from datetime import date

import numpy as np
import pytest

from dataset_tools.convert import Terms, convert
from dataset_tools.publish.about import read_about
from dataset_tools.publish.permit import permit
from dataset_tools.readers import _tiny_ours, freihand, ours, synth
from hoi_cli import data
from hoi_core import sequence as sequences
from hoi_core.errors import ConsentError, DatasetError
from hoi_core.sequence.consent import Consent, set_consent
from hoi_core.types import Camera, Frame, Revision, StreamInfo

DAY = date(2026, 6, 1)
SIGNED = date(2026, 3, 1)


def describe(root, **values):
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset.json").write_text(json.dumps({"licence": "CC-BY-4.0"} | values))


def agree(root, participant, *scope, given=SIGNED, expiry=None):
    set_consent(root, participant, Consent("1", scope, given, expiry))


def record(root, name, participant):
    """One frame of a tiny camera."""
    camera = Camera(8, 6, 10.0, 10.0, 4.0, 3.0)
    stream = StreamInfo("left/color", "camera", (6, 8, 3), "uint8", 30.0, camera, "1")
    path = sequences.new_sequence_dir(root, name) / "capture.h5"
    with sequences.CaptureWriter.create(path, sequences.CaptureHeader(name, participant), [stream]) as writer:
        writer.append(Frame(stream.name, 0, 0, 0, "hardware_clock", np.zeros((6, 8, 3), np.uint8)))
        writer.sync(0, {stream.name: 0}, {stream.name: 0})


def granted(root, *names, audience="publish"):
    return permit(root, ours.INFO, names, audience, DAY)


class TestConsent:
    @pytest.fixture
    def root(self, tmp_path):
        describe(tmp_path)
        for n in (1, 2):
            record(tmp_path, f"seq_{n:03d}", f"p{n:02d}")
        agree(tmp_path, "p01", "record", "share", "publish")
        return tmp_path

    @pytest.mark.parametrize(
        ("scope", "publish", "share", "laboratory"),
        [
            (("record", "share", "publish"), True, True, True),
            (("record", "share"), False, True, True),
            (("record",), False, False, True),
            (("publish",), True, False, False),
            ((), True, True, True),
        ],
    )
    def test_a_recording_goes_to_whom_its_participant_agreed(self, root, scope, publish, share, laboratory):
        agree(root, "p02", *scope)
        for audience, goes in (("publish", publish), ("share", share), ("laboratory", laboratory)):
            found = permit(root, ours.INFO, ["seq_002"] * 2 + ["seq_001"], audience, DAY)
            assert ("seq_002" in found.allowed) == goes
            assert ("seq_002" in found.withheld) != goes
            assert "seq_001" in found.allowed

    def test_why_is_said(self, root):
        assert "no consent of p02" in granted(root, "seq_001", "seq_002").withheld["seq_002"]
        agree(root, "p02", "publish", expiry=date(2026, 5, 31))
        assert "ended on 2026-05-31" in granted(root, "seq_001", "seq_002").withheld["seq_002"]
        agree(root, "p02", "publish", given=date(2026, 6, 2))
        assert "begins on 2026-06-02" in granted(root, "seq_001", "seq_002").withheld["seq_002"]

    def test_nobody_left_is_an_error_with_the_remedy(self, root):
        with pytest.raises(ConsentError, match=r"none of 1 recordings may go.*p02.*hoi-data consent"):
            granted(root, "seq_002")

    def test_a_dataset_without_consent_data_stays_within_the_laboratory(self, tmp_path):
        describe(tmp_path)
        record(tmp_path, "seq_001", "p01")
        for audience in ("publish", "share"):
            with pytest.raises(ConsentError, match="no consent"):
                granted(tmp_path, "seq_001", audience=audience)
        assert granted(tmp_path, "seq_001", audience="laboratory").allowed == ("seq_001",)

    def test_recording_and_protocol_must_both_be_of_people_who_agreed(self, root):
        sequences.set_row(root, "protocol", {"sequence": "seq_001", "participant": "p02"})
        with pytest.raises(ConsentError, match="p02"):
            granted(root, "seq_001")

    def test_a_recording_that_does_not_say_whom_it_shows_stays(self, root):
        record(root, "seq_003", "")
        assert "seq_003" in granted(root, "seq_001", "seq_003").withheld

    def test_a_simulated_recording_shows_nobody(self, root):
        revision = Revision(np.zeros(1, np.int64), {}, {}, {}, {})
        sequences.write_truth(
            root / "sequences" / "seq_002", revision, vertices_m=np.zeros((1, 778, 3)), cameras={}, clocks={}
        )
        assert granted(root, "seq_002").allowed == ("seq_002",)

    def test_labels_made_with_mano_carry_its_notice(self, root):
        assert set(granted(root, "seq_001").notices) == {"LICENCE.txt"}
        folder = root / "sequences" / "seq_001"
        revision = Revision(np.zeros(1, np.int64), {}, {}, {}, {})
        with sequences.open_capture(folder) as capture:
            binding = sequences.Binding(capture.content_hash(), mano_source="ab" * 32)
        sequences.write_revision(folder, revision, binding=binding)
        assert "mano.is.tue.mpg.de" in granted(root, "seq_001").notices["NOTICE_MANO.txt"]


class TestLicence:
    def test_without_one_nothing_is_published(self, tmp_path):
        record(tmp_path, "seq_001", "p01")
        agree(tmp_path, "p01", "record", "publish", "share")
        for audience in ("publish", "share"):
            with pytest.raises(DatasetError, match=r"names no licence.*\"licence\": \"CC-BY-NC-4.0\""):
                granted(tmp_path, "seq_001", audience=audience)
        text = granted(tmp_path, "seq_001", audience="laboratory").notices["LICENCE.txt"]
        assert "all rights reserved" in text
        assert "Do not hand it on" in text

    def test_it_lies_beside_the_data(self, tmp_path):
        describe(tmp_path, license="CC-BY-4.0", licence_url="https://example.org/l", citation="Us, 2026")
        record(tmp_path, "seq_001", "p01")
        agree(tmp_path, "p01", "publish")
        text = granted(tmp_path, "seq_001").notices["LICENCE.txt"]
        assert all(part in text for part in ("CC-BY-4.0", "https://example.org/l", "Us, 2026"))
        assert "Do not hand" not in text

    def test_datasets_of_others_are_not_handed_on(self, tmp_path):
        for audience in ("publish", "share"):
            with pytest.raises(DatasetError, match=r"freihand is not yours.*--audience laboratory"):
                permit(tmp_path, freihand.INFO, [], audience)
        text = permit(tmp_path, freihand.INFO, [], "laboratory").notices["LICENCE.txt"]
        assert freihand.INFO.licence in text
        assert freihand.INFO.citation in text

    def test_synthetic_sets_are_yours(self, tmp_path):
        with pytest.raises(DatasetError, match="names no licence"):
            permit(tmp_path, synth.INFO, [])
        describe(tmp_path)
        synth.tiny(tmp_path / "synth")
        models = synth.hand_models(tmp_path / "synth")
        assert models == {"stand-in"}
        assert set(permit(tmp_path, synth.INFO, [], models=models).notices) == {"LICENCE.txt"}
        assert "NOTICE_MANO.txt" in permit(tmp_path, synth.INFO, [], models={"stand-in", "ab" * 32}).notices
        done = convert(tmp_path, "synth", ["all"], "coco", tmp_path / "out", terms=Terms(today=DAY))
        assert done.written > 0
        assert "CC-BY-4.0" in (tmp_path / "out" / "LICENCE.txt").read_text()

    @pytest.mark.parametrize("text", ["[]", "{", '{"licence": 4}', '{"datasheet": []}', '{"datasheet": {"mood": "x"}}'])
    def test_a_malformed_dataset_json(self, tmp_path, text):
        (tmp_path / "dataset.json").write_text(text)
        if text == '{"datasheet": []}':
            assert read_about(tmp_path).answers == {}
            return
        with pytest.raises(DatasetError, match=r"dataset\.json"):
            read_about(tmp_path)


@pytest.fixture
def labelled(tmp_path):
    """Two labelled recordings; the second shows p02, who agreed to be recorded only, and whose age is in the table."""
    root = _tiny_ours.write(tmp_path / "data", frames=2)
    sequences.set_row(root, "protocol", {"sequence": "seq_002", "participant": "p02"})
    agree(root, "p02", "record")
    sequences.set_row(root, "participants", {"participant": "p01", "age": "veryold"})
    return root


def bytes_of(folder):
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


class TestExport:
    @pytest.mark.parametrize("target", ["coco", "webdataset"])
    def test_who_did_not_agree_is_left_out(self, labelled, tmp_path, target):
        done = convert(labelled, "ours", ["all"], target, tmp_path / "out", terms=Terms(today=DAY))
        assert (done.written, done.left_out) == (2, 0)
        assert "not to publish" in done.withheld["seq_002"]
        held = bytes_of(tmp_path / "out")
        assert b"seq_001/left" in held
        for secret in (b"seq_002", b"p02", b"veryold"):
            assert secret not in held
        assert "CC0-1.0" in (tmp_path / "out" / "LICENCE.txt").read_text()
        kept = convert(labelled, "ours", ["all"], target, tmp_path / "own", terms=Terms("laboratory", DAY))
        assert (kept.written, dict(kept.withheld)) == (4, {})

    def test_nothing_is_written_where_nothing_may_go(self, labelled, tmp_path):
        with pytest.raises(ConsentError):
            convert(labelled, "ours", ["test"], "coco", tmp_path / "out", terms=Terms(today=DAY))
        (labelled / "dataset.json").write_text("{}")
        with pytest.raises(DatasetError, match="names no licence"):
            convert(labelled, "ours", ["all"], "coco", tmp_path / "out", terms=Terms(today=DAY))
        assert [path.name for path in tmp_path.iterdir()] == ["data"]

    def test_command(self, labelled, tmp_path, capsys):
        arguments = ["convert", "--to", "coco", "--splits", "all", "--data", str(labelled), "--out"]
        assert data.main([*arguments, str(tmp_path / "out"), "--json", str(tmp_path / "out.json")]) == 0
        assert "seq_002 stays here: p02 has agreed to record, not to publish." in " ".join(
            capsys.readouterr().out.replace("│", " ").split()
        )
        assert list(json.loads((tmp_path / "out.json").read_text())["withheld"]) == ["seq_002"]
        assert data.main([*arguments, str(tmp_path / "own"), "--audience", "laboratory"]) == 0
        assert "4 samples" in capsys.readouterr().out
