"""The objects that a network knows by number, with their surfaces, from the folders of the datasets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

from dataset_tools import mix, readers
from hoi_core import plugins
from hoi_core.errors import AssetError
from hoi_core.known_object import KnownObject, known_object
from hoi_core.mesh_file import Triangles, read_mesh
from hoi_core.scene import objects as built_in

_MOST_DESCRIBED = 256  # ShapeNet has thousands, whose meshes are read one by one when they are seen


class ObjectTable(Sequence[KnownObject]):
    """Objects in the order of their numbers; each surface is read when it is first asked for."""

    def __init__(self, files: dict[str, Path | None], names: tuple[str, ...] = ()) -> None:
        """Read no file yet.

        Args:
            files: mesh of each object, None for one of the built-in objects.
            names: which of them, in the order of their numbers; by default all, sorted.
        """
        self.names = names or tuple(sorted(files))
        self._files = files
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self._read: dict[int, KnownObject] = {}

    @classmethod
    def of(cls, datasets: str, root: Path, names: tuple[str, ...] = ()) -> ObjectTable:
        """The objects of datasets; of two of one name that of the dataset which is named first.

        Args:
            datasets: names joined by `+`.
            root: where the datasets lie.
            names: as above.

        Raises:
            HoiError: a dataset is not there or damaged.
        """
        files: dict[str, Path | None] = {}
        for part in reversed(mix.parse(datasets)):
            reader = plugins.load("dataset_tools.readers", part.name)
            if hasattr(reader, "objects"):
                files |= reader.objects(readers.home(root, part.name))
        return cls(files, names)

    def number(self, name: str) -> int | None:
        """Of an object with a mesh; None for any other."""
        return self._numbers.get(name) if name in self._files else None

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, number: int) -> KnownObject: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[KnownObject]: ...
    def __getitem__(self, number: int | slice) -> KnownObject | Sequence[KnownObject]:
        """An object with its surface.

        Raises:
            AssetError: its mesh is missing or damaged.
        """
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        if number not in self._read:
            self._read[number] = self._load(self.names[number])
        return self._read[number]

    def _load(self, name: str) -> KnownObject:
        if name not in self._files:
            raise AssetError(f"no dataset here has a mesh of {name}.", "Put its mesh into the dataset's folder.")
        path = self._files[name]
        if path is not None:
            return known_object(name, read_mesh(path))
        shape = built_in.make(name).shape
        return known_object(name, Triangles(shape.vertices_m, shape.faces))

    def to_list(self) -> list[dict[str, Any]]:
        """What the user of a network must know of each: plain values for JSON, of very many only their names."""
        if len(self) > _MOST_DESCRIBED:
            return [{"name": name} for name in self.names]
        return [each.to_dict() for each in self]
