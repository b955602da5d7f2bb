"""Triangle meshes in files: read OBJ, PLY and STL, write OBJ. Only the surface is kept, no colours and no materials."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hoi_core.errors import AssetError
from hoi_core.types import F64

SUFFIXES = (".obj", ".ply", ".stl")
_REMEDY = "Export it again as a triangle mesh, OBJ in metres."
_PLY_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
    "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "float32": "f4", "float64": "f8",
}  # fmt: skip


class Triangles(NamedTuple):
    """A surface as a file holds it."""

    vertices: F64
    """(N, 3), unit of the file."""
    faces: NDArray[np.int32]
    """(F, 3) rows of `vertices`."""


def read_mesh(path: Path) -> Triangles:
    """Read the surface of a mesh; polygons are cut into triangles.

    Args:
        path: an `.obj`, `.ply` or `.stl` file.

    Raises:
        AssetError: missing, of another kind, or malformed.
    """
    readers: dict[str, Callable[[bytes], Triangles]] = {".obj": _read_obj, ".ply": _read_ply, ".stl": _read_stl}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise AssetError(f"a mesh is one of {', '.join(SUFFIXES)}, got {path.name}.", _REMEDY)
    try:
        mesh = reader(path.read_bytes())
    except FileNotFoundError:
        raise AssetError(
            f"there is no mesh {path}.", "Scan the object with `hoi-data scan`, or copy it there."
        ) from None
    except (ValueError, IndexError, KeyError, OSError) as error:
        raise AssetError(f"{path} is not a mesh that can be read: {error}.", _REMEDY) from error
    faces = mesh.faces
    if not len(mesh.vertices) or not len(faces):
        raise AssetError(f"{path} must hold triangles, it has {len(faces)} of {len(mesh.vertices)} points.", _REMEDY)
    if faces.min() < 0 or faces.max() >= len(mesh.vertices):
        raise AssetError(f"{path} names points that it does not hold: {len(mesh.vertices)} are there.", _REMEDY)
    return mesh


def write_obj(path: Path, vertices_m: F64, faces: NDArray[np.integer]) -> None:
    """Write a mesh as OBJ, to a tenth of a micrometre.

    Args:
        path: ends in `.obj`; the folder exists.
        vertices_m: `(N, 3)` m.
        faces: `(F, 3)`.

    Raises:
        StorageError: the disk is full or not writable.
    """
    from hoi_core.sequence import storage_errors

    lines = [f"v {x:.7f} {y:.7f} {z:.7f}" for x, y, z in vertices_m.tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in (np.asarray(faces) + 1).tolist()]
    with storage_errors(path):
        path.write_text("\n".join(["# metres", *lines, ""]), encoding="utf8")


def _triangles(polygons: list[list[int]]) -> NDArray[np.int32]:
    """Fans of convex polygons."""
    cut = [(p[0], p[i], p[i + 1]) for p in polygons for i in range(1, len(p) - 1)]
    return np.array(cut, dtype=np.int32).reshape(-1, 3)


def _read_obj(data: bytes) -> Triangles:
    points: list[list[float]] = []
    polygons: list[list[int]] = []
    for line in data.decode("utf8", errors="replace").splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "v":
            points.append([float(word) for word in words[1:4]])
        elif words[0] == "f":
            numbers = [int(word.split("/", 1)[0]) for word in words[1:]]
            # Numbers count from 1; negative ones from the last point so far.
            polygons.append([n - 1 if n > 0 else len(points) + n for n in numbers])
    return Triangles(np.array(points, dtype=np.float64).reshape(-1, 3), _triangles(polygons))


def _read_ply(data: bytes) -> Triangles:
    head, mark, body = data.partition(b"end_header")
    if not data.startswith(b"ply") or not mark:
        raise ValueError("it has no PLY header")
    lines = [line.split() for line in head.decode("ascii", errors="replace").splitlines()]
    kind = next(words[1] for words in lines if words[:1] == ["format"])
    body = body[body.index(b"\n") + 1 :]
    elements: list[tuple[str, int, list[list[str]]]] = []
    for words in lines:
        if words[:1] == ["element"]:
            elements.append((words[1], int(words[2]), []))
        elif words[:1] == ["property"]:
            elements[-1][2].append(words[1:])
    read = _ply_words(body) if kind == "ascii" else _ply_binary(body, "<" if "little" in kind else ">")
    points, polygons = np.zeros((0, 3)), []
    for name, count, properties in elements:
        rows = [[read(form) for form in properties] for _ in range(count)]
        names = [form[-1] for form in properties]
        if name == "vertex":
            columns = [names.index(axis) for axis in "xyz"]
            points = np.array([[row[c][0] for c in columns] for row in rows], dtype=np.float64).reshape(-1, 3)
        elif name == "face":
            column = next(i for i, form in enumerate(properties) if form[0] == "list")
            polygons = [[int(v) for v in row[column]] for row in rows]
    return Triangles(points, _triangles(polygons))


_Read = Callable[[list[str]], list[float]]


def _ply_words(body: bytes) -> _Read:
    words = iter(body.split())

    def read(form: list[str]) -> list[float]:
        count = int(next(words)) if form[0] == "list" else 1
        return [float(next(words)) for _ in range(count)]

    def checked(form: list[str]) -> list[float]:
        try:
            return read(form)
        except (StopIteration, RuntimeError):
            raise ValueError("it ends early") from None

    return checked


def _ply_binary(body: bytes, order: str) -> _Read:
    at = 0

    def take(kind: str, count: int) -> list[float]:
        nonlocal at
        dtype = np.dtype(order + _PLY_TYPES[kind])
        values: list[float] = np.frombuffer(body, dtype, count, at).tolist()
        at += dtype.itemsize * count
        return values

    def read(form: list[str]) -> list[float]:
        return take(form[2], int(take(form[1], 1)[0])) if form[0] == "list" else take(form[0], 1)

    return read


def _read_stl(data: bytes) -> Triangles:
    count = int.from_bytes(data[80:84], "little") if len(data) >= 84 else -1
    if len(data) == 84 + 50 * count:
        record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
        corners = np.frombuffer(data, record, count, 84)["corners"].astype(np.float64).reshape(-1, 3)
    else:
        words = [line.split() for line in data.decode("ascii", errors="replace").splitlines()]
        rows = [[float(word) for word in line[1:4]] for line in words if line[:1] == ["vertex"]]
        corners = np.array(rows, dtype=np.float64).reshape(-1, 3)
        if len(corners) % 3:
            raise ValueError("a triangle lacks a corner")
    # An STL file repeats every corner: equal ones are the same point.
    points, index = np.unique(corners, axis=0, return_inverse=True)
    return Triangles(points, index.reshape(-1, 3).astype(np.int32))
