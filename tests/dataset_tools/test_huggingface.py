"""What is written for Hugging Face datasets is found again in the files, with types that the library knows."""

import json
import sys

import cv2
import numpy as np
import pytest
import yaml
from pyarrow import parquet

from dataset_tools.convert import Terms, convert
from dataset_tools.readers import _tiny_ours, cmu, ours
from dataset_tools.writers.huggingface import HuggingFace
from hoi_core.errors import ConfigError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return _tiny_ours.write(tmp_path_factory.mktemp("ours"), frames=2)


@pytest.fixture(scope="module")
def written(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("hub") / "out"
    terms = Terms(accuracy=lambda names: {"agreement_mm": float(len(names))})
    convert(root, "ours", ["train", "test"], "huggingface", out, terms=terms)
    return out


def rows_of(path):
    return parquet.read_table(path).to_pylist()


@pytest.mark.parametrize("split", ["train", "test"])
def test_round_trip(root, written, split):
    rows = rows_of(written / "data" / f"{split}-00000.parquet")
    samples = [ours.read(root, key) for key in ours.index(root, split)]
    assert len(rows) == len(samples) == 2
    for row, sample in zip(rows, samples, strict=True):
        assert (row["key"], row["side"], row["group"]) == (sample.key, sample.side, ours.group(sample.key))
        assert np.abs(np.array(row["joints_m"]) - sample.joints_m).max() < 1e-12
        assert np.abs(np.array(row["vertices_m"]) - sample.vertices_m).max() < 1e-5
        np.testing.assert_array_equal(row["K"], sample.camera.K)
        for name in ("orient", "pose", "betas", "trans_m"):
            assert np.abs(np.array(row["mano"][name]) - getattr(sample.params, name)).max() < 1e-12
        for shown, there in zip(row["objects"], sample.objects, strict=True):
            np.testing.assert_allclose(shown["T_cam_obj"], there.T_cam_obj, atol=1e-12)
        picture = cv2.imdecode(np.frombuffer(row["image"]["bytes"], np.uint8), cv2.IMREAD_COLOR_RGB)
        # JPEG halves the colour noise of this drawing; blocks of 8 px keep their mean.
        seen, given = (cv2.resize(i, (40, 30), interpolation=cv2.INTER_AREA) for i in (picture, sample.image))
        assert np.abs(seen.astype(int) - given).mean() < 2


def test_types_are_those_of_the_columns(written):
    """Where both disagree the library refuses to open the file: a list for a list, a structure for a structure."""

    def agree(feature, kind):
        if isinstance(feature, list):
            agree(feature[0], kind.value_type)
        elif "_type" not in feature:
            for name, below in feature.items():
                agree(below, kind.field(name).type)
        elif feature["_type"] == "Image":
            assert {kind.field(k).name for k in range(2)} == {"bytes", "path"}
        else:
            assert str(kind) == {"float64": "double", "float32": "float"}.get(feature["dtype"], feature["dtype"])

    schema = parquet.read_schema(written / "data" / "train-00000.parquet")
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert list(features) == schema.names
    for name, feature in features.items():
        agree(feature, schema.field(name).type)


def test_the_card_says_where_the_files_are(written):
    text = (written / "README.md").read_text()
    (config,) = yaml.safe_load(text.split("---")[1])["configs"]
    for entry in config["data_files"]:
        assert len(list(written.glob(entry["path"][0]))) == 1
    assert [entry["split"] for entry in config["data_files"]] == ["train", "test"]
    assert "These files hold 4 samples" in text
    assert "the second time blind, mm | 2 |" in text
    assert (written / "DATASHEET.md").exists()
    assert "CC0-1.0" in (written / "LICENCE.txt").read_text()


def test_what_is_unknown_is_null(tmp_path):
    root = cmu.tiny(tmp_path / "cmu").parent
    convert(root, "cmu", ["manual_train"], "huggingface", tmp_path / "out", terms=Terms("laboratory"))
    row = rows_of(tmp_path / "out" / "data" / "manual_train-00000.parquet")[0]
    assert row["camera_known"] is False
    assert row["mano"] is None
    assert row["vertices_m"] is None
    assert row["joints_m"] == [[None] * 3] * 21
    text = (tmp_path / "out" / "README.md").read_text()
    assert cmu.INFO.licence in text
    assert "Not for publication" in text


def test_files_have_a_size(root, tmp_path):
    writer = HuggingFace(tmp_path, "train", file_bytes=1000)
    for key in ours.index(root, "all"):
        assert writer.add(ours.read(root, key))
    writer.close()
    assert [path.name for path in sorted((tmp_path / "data").iterdir())] == [f"train-{n:05d}.parquet" for n in range(4)]


def test_without_pyarrow(tmp_path, monkeypatch):
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(ConfigError, match=r"needs the package pyarrow.*hoi-toolkit\[huggingface\]"):
            HuggingFace(tmp_path, "train")
    assert not list(tmp_path.iterdir())
