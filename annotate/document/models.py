"""What the hands and objects of a sequence look like, read when it is needed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from annotate import auto
from annotate.document.edits import check_side
from annotate.hand import Hand, from_mano
from annotate.objects.mesh import SolidMesh, load_mesh
from hoi_core.conventions import Side
from hoi_core.errors import AssetError
from hoi_core.mano import ManoLayer


@dataclass(frozen=True)
class Models:
    """What hands and objects look like."""

    hands: Mapping[Side, Hand]
    """Hands that have labels."""
    meshes: Mapping[str, SolidMesh]
    """Objects whose mesh was read."""


class Shelf:
    """Hand models and meshes, each read once.

    Args:
        folder: of the sequence; its labels say which hand model they are bound to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._layers: dict[Side, ManoLayer] = {}
        self._hands: dict[Side, Hand] = {}
        self._meshes: dict[str, SolidMesh] = {}

    def layer(self, side: Side) -> ManoLayer:
        """A hand's model."""
        if check_side(side) not in self._layers:
            self._layers[side] = auto.hand_model(self._folder, side)
        return self._layers[side]

    def mesh(self, name: str) -> SolidMesh:
        """An object's mesh.

        Raises:
            AssetError: the dataset has no usable mesh of it.
        """
        if name not in self._meshes:
            self._meshes[name] = load_mesh(self._folder.parent.parent, name)
        return self._meshes[name]

    def read_meshes(self, names: Collection[str]) -> None:
        """Read meshes that can be read; an object without one takes no depth points from a hand."""
        for name in names:
            with suppress(AssetError):
                self.mesh(name)

    def models(self, sides: Collection[Side]) -> Models:
        """Models of some hands, and of the objects that were read so far."""
        for side in sides:
            if side not in self._hands:
                self._hands[side] = from_mano(self.layer(side).model)
        return Models({side: self._hands[side] for side in sides}, dict(self._meshes))
