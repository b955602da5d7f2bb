"""`truth.h5` of simulated recordings: what really happened; only checks read it, never the annotator."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from hoi_core.conventions import SIDES, Side
from hoi_core.sequence._files import OpenFile, damage, read_camera, stamp, storage_errors, write_camera
from hoi_core.sequence._revision_io import check_revision, digest_revision, read_revision_group, write_revision_group
from hoi_core.sequence._tables import DROP
from hoi_core.sequence.codec import CODEC
from hoi_core.sequence.drops import Drop
from hoi_core.sequence.layout import TRUTH
from hoi_core.types import F32, I64, Camera, Revision

_REMEDY = "Record the simulated sequence again."


def write_truth(
    path: Path | str,
    revision: Revision,
    *,
    vertices_m: F32,
    cameras: Mapping[str, Camera],
    clocks: Mapping[str, tuple[I64, I64]],
    drops: Sequence[tuple[str, int, str]] = (),
    more_vertices_m: Mapping[Side, F32] | None = None,
) -> None:
    """Write the truth of a simulated recording.

    Args:
        path: a `truth.h5`, or the folder of a sequence.
        revision: the truth at the simulator's M moments.
        vertices_m: (M, 778, 3) m, world: the surface of the revision's first hand that was rendered.
        cameras: stream -> the camera that rendered it.
        clocks: stream -> (frame numbers, true mid-exposure times in ns), withheld frames included.
        drops: (stream, frame number, reason) of every frame that was withheld.
        more_vertices_m: side -> (M, 778, 3) m, world: the surfaces of its other hands.

    Raises:
        SequenceError: the revision is malformed.
        StorageError: the disk is full.
    """
    path = Path(path)
    path = path / TRUTH if path.is_dir() else path
    check_revision(revision)
    with storage_errors(path), h5py.File(path, "w", libver="v110") as file:
        stamp(file, "hoi-truth")
        write_revision_group(file, revision)
        file.create_dataset("vertices_m", data=np.asarray(vertices_m, dtype=np.float32), **CODEC)
        for side, surface_m in (more_vertices_m or {}).items():
            file.create_dataset(f"more_vertices/{side}", data=np.asarray(surface_m, dtype=np.float32), **CODEC)
        for stream, camera in cameras.items():
            write_camera(file.create_group(f"cameras/{stream}").attrs, camera)
        for stream, (numbers, t_true_ns) in clocks.items():
            file.create_dataset(f"clocks/{stream}/frame_number", data=np.asarray(numbers, dtype=np.int64))
            file.create_dataset(f"clocks/{stream}/t_true_ns", data=np.asarray(t_true_ns, dtype=np.int64))
        times = {stream: dict(zip(numbers, t_true_ns, strict=True)) for stream, (numbers, t_true_ns) in clocks.items()}
        rows = [(stream.encode(), number, times[stream][number], why.encode()) for stream, number, why in drops]
        file.create_dataset("drops", data=np.array(rows, dtype=DROP))


class Truth(OpenFile):
    """An open truth file; a context manager."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "hoi-truth", _REMEDY)

    def _read(self) -> None:
        file = self._file
        self.vertices_m: F32 = file["vertices_m"][()]
        self.more_vertices_m: dict[Side, F32] = {
            side: file[f"more_vertices/{side}"][()] for side in SIDES if f"more_vertices/{side}" in file
        }
        self.cameras = {name: read_camera(group.attrs) for name, group in _leaves(file, "cameras")}
        self.clocks: dict[str, tuple[I64, I64]] = {
            name: (group["frame_number"][()], group["t_true_ns"][()]) for name, group in _leaves(file, "clocks")
        }
        self.drops = [
            Drop(row["stream"].decode(), int(row["frame_number"]), int(row["t_ns"]), row["reason"].decode())
            for row in file["drops"][:]
        ]

    def surface_m(self, side: Side) -> F32:
        """Vertices `(M, 778, 3)` m of a hand that `load` has."""
        return self.more_vertices_m.get(side, self.vertices_m)

    def content_hash(self) -> str:
        """SHA-256 of the truth: the same however the file is compressed or migrated."""
        total = hashlib.sha256(digest_revision(self.load()))
        for surface_m in (self.vertices_m, *self.more_vertices_m.values()):
            total.update(np.ascontiguousarray(surface_m).tobytes())
        for name, (numbers, t_true_ns) in sorted(self.clocks.items()):
            total.update(f"{name} {numbers.tolist()} {t_true_ns.tolist()}".encode())
        total.update(repr((self.drops, sorted(self.cameras))).encode())
        return total.hexdigest()

    def load(self) -> Revision:
        """The truth at the simulator's moments, laid out as a revision."""
        with damage(self.path, _REMEDY):
            return read_revision_group(self._file)


def _leaves(file: h5py.File, kind: str) -> list[tuple[str, h5py.Group]]:
    """(`view/stream`, group) pairs two levels below `kind`."""
    return [(f"{view}/{part}", group[part]) for view, group in file.get(kind, {}).items() for part in group]


def open_truth(path: Path | str) -> Truth:
    """Open a truth file for reading.

    Args:
        path: a `truth.h5`, or the folder of a sequence.

    Raises:
        SequenceError: missing, not HDF5, truncated, foreign, or of a version that this program cannot read.
    """
    path = Path(path)
    return Truth(path / TRUTH if path.is_dir() else path)
