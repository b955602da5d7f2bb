"""Hugging Face datasets: Parquet files that `datasets.load_dataset` opens, with the card as README."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np

from dataset_tools.writers import JPEG_QUALITY, PLAIN, Extras, WriterInfo, record_of
from hoi_core.errors import ConfigError
from hoi_core.types import Sample

INFO = WriterInfo(
    name="huggingface",
    url="https://huggingface.co/docs/datasets/about_dataset_features",
    keeps="picture (whole, JPEG), camera with distortion, joints, MANO parameters, mesh (32 bits), object poses; depth "
    "and segmentation are lost.",
    card_files="data/{split}-*.parquet",
)
_FILE_BYTES = 500_000_000
_ROWS = 100  # of a group, which is read as a whole: pictures are large
_NUMBER, _WHOLE, _TEXT, _FLAG = "float64", "int32", "string", "bool"
_MATRIX = [[_NUMBER]]
_COLUMNS: dict[str, Any] = {
    "image": "image",
    "key": _TEXT,
    "dataset": _TEXT,
    "group": _TEXT,
    "side": _TEXT,
    "width": _WHOLE,
    "height": _WHOLE,
    "K": _MATRIX,
    "distortion": [_NUMBER],
    "distortion_model": _TEXT,
    "camera_known": _FLAG,
    "T_world_cam": _MATRIX,
    "joints_m": _MATRIX,
    "joints_px": _MATRIX,
    "vertices_m": [["float32"]],
    "mano": {
        "orient": [_NUMBER],
        "pose": [_NUMBER],
        "betas": [_NUMBER],
        "trans_m": [_NUMBER],
        "flat_hand_mean": _FLAG,
    },
    "objects": [{"name": _TEXT, "T_cam_obj": _MATRIX, "scale": _NUMBER, "visible": _NUMBER}],
}
"""Column -> type: a list is written as a list of one type, a dictionary is a structure."""


class HuggingFace:
    """One split: `data/<split>-00000.parquet` and so on."""

    def __init__(self, folder: Path, split: str, file_bytes: int = _FILE_BYTES) -> None:
        self._arrow = _pyarrow()
        self._folder, self._split, self._limit = folder / "data", split, file_bytes
        self._folder.mkdir(parents=True, exist_ok=True)
        self._schema = self._arrow.schema(
            {name: _arrow_type(self._arrow, kind) for name, kind in _COLUMNS.items()},
            metadata={"huggingface": json.dumps({"info": {"features": {n: _feature(k) for n, k in _COLUMNS.items()}}})},
        )
        self._rows: list[dict[str, Any]] = []
        self._file: Any = None
        self._bytes = self._files = 0

    def add(self, sample: Sample, extras: Extras = PLAIN) -> bool:
        """Write any sample."""
        done, coded = cv2.imencode(".jpg", sample.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not done:
            raise ValueError(f"the picture of {sample.key} cannot be encoded")
        row: dict[str, Any] = record_of(sample, extras)
        row["image"] = {"bytes": coded.tobytes(), "path": f"{sample.key.replace('/', '_')}.jpg"}
        row["vertices_m"] = None if sample.vertices_m is None else list(sample.vertices_m.astype(np.float32))
        self._rows.append(row)
        self._bytes += len(coded)
        if len(self._rows) == _ROWS or self._bytes > self._limit:
            self._write()
        if self._bytes > self._limit:
            self._end_file()
        return True

    def close(self) -> None:
        """Write what waits and end the file."""
        self._write()
        self._end_file()

    def _write(self) -> None:
        if not self._rows:
            return
        if self._file is None:
            from pyarrow import parquet

            path = self._folder / f"{self._split}-{self._files:05d}.parquet"
            self._file = parquet.ParquetWriter(path, self._schema, compression="zstd")
            self._files += 1
        columns = {name: [row[name] for row in self._rows] for name in _COLUMNS}
        self._file.write_table(self._arrow.table(columns, schema=self._schema))
        self._rows.clear()

    def _end_file(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._bytes = None, 0


def open(folder: Path, split: str) -> HuggingFace:  # noqa: A001 -- the name of the contract
    """Start a split.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    return HuggingFace(Path(folder), split)


def _pyarrow() -> ModuleType:
    try:
        import pyarrow
    except ImportError as error:
        raise ConfigError(
            "the format huggingface needs the package pyarrow.", "pip install 'hoi-toolkit[huggingface]'"
        ) from error
    return pyarrow


def _arrow_type(arrow: ModuleType, kind: Any) -> Any:
    """The type of a column in Parquet."""
    if kind == "image":
        return arrow.struct({"bytes": arrow.binary(), "path": arrow.string()})
    if isinstance(kind, list):
        return arrow.list_(_arrow_type(arrow, kind[0]))
    if isinstance(kind, dict):
        return arrow.struct({name: _arrow_type(arrow, held) for name, held in kind.items()})
    return getattr(arrow, "bool_" if kind == _FLAG else kind)()


def _feature(kind: Any) -> Any:
    """The type of a column as `datasets` writes it."""
    if kind == "image":
        return {"_type": "Image"}
    if isinstance(kind, list):
        return [_feature(kind[0])]
    if isinstance(kind, dict):
        return {name: _feature(held) for name, held in kind.items()}
    return {"dtype": kind, "_type": "Value"}
