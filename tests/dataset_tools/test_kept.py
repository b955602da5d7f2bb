"""What readers keep of huge files: objects read piece by piece, tables kept as columns."""

import json

import numpy as np
import pytest

from dataset_tools.readers import _json_objects, _kept_tables
from hoi_core.errors import DatasetError


class TestJsonObjects:
    VALUES = {  # noqa: RUF012 -- never changed
        "info": {"a": [1, 2.5e-3, None], "text": 'braces } ] and "quotes" é'},
        "images": [{"id": n, "name": f"{n}.jpg"} for n in range(40)],
        "count": 12345,
        "annotations": [[n, [n, -n]] for n in range(30)],
        "empty": [],
    }

    @pytest.mark.parametrize("block", [1, 7, 64, 1000, 10**6])
    @pytest.mark.parametrize("indent", [None, 2])
    def test_blocks_end_anywhere(self, tmp_path, monkeypatch, block, indent):
        monkeypatch.setattr(_json_objects, "_BLOCK", block)
        path = tmp_path / "a.json"
        path.write_text(json.dumps(self.VALUES, indent=indent), encoding="utf8")
        assert dict(_json_objects.members(path)) == self.VALUES
        lists = ("images", "annotations", "empty")
        found = list(_json_objects.entries(path, lists))
        for name in lists:
            assert [value for key, value in found if key == name] == self.VALUES[name]
        assert dict(found)["count"] == 12345

    def test_whatever_is_cut_off_is_an_error(self, tmp_path):
        path = tmp_path / "a.json"
        text = json.dumps(self.VALUES)
        for kept in range(0, len(text), 17):
            path.write_text(text[:kept])
            with pytest.raises(DatasetError, match=r"a\.json"):
                list(_json_objects.entries(path, ("images", "annotations")))

    @pytest.mark.parametrize(
        "text",
        ["", "[]", "{", '{"images": 3}', '{"images": [1 2]}', '{"images": [1,]}', '{"a": 1} x', '{"a" 1}', "{1: 2}"],
    )
    def test_what_is_no_such_object(self, tmp_path, text):
        path = tmp_path / "a.json"
        path.write_text(text)
        with pytest.raises(DatasetError, match=r"a\.json"):
            list(_json_objects.entries(path, ("images",)))

    def test_bytes_that_are_no_text(self, tmp_path):
        path = tmp_path / "a.json"
        path.write_bytes(b'{"a": "\xff\xfe"}')
        with pytest.raises(DatasetError, match="damaged"):
            list(_json_objects.members(path))
        with pytest.raises(DatasetError, match="cannot read"):
            list(_json_objects.members(tmp_path / "none.json"))


class TestKeptTables:
    COLUMNS = {"a": np.arange(5000.0), "names": np.array(["x", "long"]), "none": np.zeros((0, 3))}  # noqa: RUF012

    def check(self, columns):
        assert set(columns) == set(self.COLUMNS)
        for name, values in self.COLUMNS.items():
            np.testing.assert_array_equal(columns[name], values)

    def test_made_once_for_each_version(self, tmp_path):
        source = tmp_path / "labels.json"
        calls = []
        for version in ("1", "1", "2"):
            found = _kept_tables.load(source, version, lambda: calls.append(1) or self.COLUMNS)
            self.check(found)
            assert isinstance(found["a"], np.memmap)
        assert len(calls) == 2

    def test_a_damaged_table_is_made_anew(self, tmp_path):
        source = tmp_path / "labels.json"
        _kept_tables.load(source, "1", lambda: self.COLUMNS)
        (tmp_path / ".hoi-index" / "labels.json.1" / "a.npy").write_bytes(b"x")
        self.check(_kept_tables.load(source, "1", lambda: self.COLUMNS))
        self.check(_kept_tables.load(source, "1", None))

    def test_where_nothing_can_be_written(self, tmp_path, monkeypatch):
        (tmp_path / "cache").write_text("a file where a folder should be")
        (tmp_path / ".hoi-index").write_text("likewise")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        self.check(_kept_tables.load(tmp_path / "labels.json", "1", lambda: self.COLUMNS))

    def test_versions_follow_the_files(self, tmp_path):
        path = tmp_path / "a"
        path.write_text("1")
        first = _kept_tables.version_of([path])
        assert first == _kept_tables.version_of([path])
        path.write_text("12")
        assert first != _kept_tables.version_of([path])
