"""WebDataset shards: tar files with a picture and all labels of each sample, for training from disk or network."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np

from dataset_tools.writers import JPEG_QUALITY, PLAIN, Extras, WriterInfo, record_of
from hoi_core.types import Sample

INFO = WriterInfo(
    name="webdataset",
    url="https://github.com/webdataset/webdataset",
    keeps="picture (whole, JPEG), camera with distortion and pose, whether it is known or a guess, joints, MANO "
    "parameters, objects (`.json`), mesh (`.vertices.npy`, 32 bits). Depth and segmentation are not written.",
)
_SHARD_BYTES = 500_000_000


class Shard:
    """One tar file that grows sample by sample."""

    def __init__(self, path: Path) -> None:
        self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 -- closed by close()
        self.bytes = 0
        """Of the files in it."""

    def add(self, name: str, sample: Sample, extras: Extras = PLAIN) -> None:
        """Write a sample as files that start with a name."""
        done, coded = cv2.imencode(".jpg", sample.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not done:
            raise ValueError(f"the picture of {sample.key} cannot be encoded")
        parts = {"jpg": coded.tobytes(), "json": json.dumps(record_of(sample, extras)).encode()}
        if sample.vertices_m is not None:
            file = io.BytesIO()
            np.save(file, sample.vertices_m.astype(np.float32), allow_pickle=False)
            parts["vertices.npy"] = file.getvalue()
        for suffix, content in parts.items():
            # No time, no owner: the same samples give the same bytes.
            entry = tarfile.TarInfo(f"{name}.{suffix}")
            entry.size, entry.mode = len(content), 0o644
            self._tar.addfile(entry, io.BytesIO(content))
            self.bytes += len(content)

    def close(self) -> None:
        """End the file."""
        self._tar.close()


class WebDataset:
    """One split: `<split>-000000.tar` and so on."""

    def __init__(self, folder: Path, split: str, shard_bytes: int = _SHARD_BYTES) -> None:
        self._folder, self._split, self._limit = folder, split, shard_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self._shard: Shard | None = None
        self._shards = self._count = 0

    def add(self, sample: Sample, extras: Extras = PLAIN) -> bool:
        """Write any sample."""
        if self._shard is None or self._shard.bytes > self._limit:
            self.close()
            self._shard = Shard(self._folder / f"{self._split}-{self._shards:06d}.tar")
            self._shards += 1
        self._shard.add(f"{self._count:08d}", sample, extras)
        self._count += 1
        return True

    def close(self) -> None:
        """End the shard."""
        if self._shard is not None:
            self._shard.close()
        self._shard = None


def open(folder: Path, split: str) -> WebDataset:  # noqa: A001 -- the name of the contract
    """Start a split."""
    return WebDataset(Path(folder), split)
