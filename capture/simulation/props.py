"""Gives a dataset the meshes of the simulated objects, as a scan or a download would for real ones."""

from __future__ import annotations

from pathlib import Path

from hoi_core.mesh_file import write_obj
from hoi_core.scene.objects import ObjectModel
from hoi_core.sequence import set_row, storage_errors


def write_mesh(root: Path, model: ObjectModel) -> None:
    """Write `objects/<object>/mesh.obj` (m, object frame) where the object has no mesh yet, and enter it in the table.

    Raises:
        StorageError: the disk is full.
    """
    name = f"objects/{model.name}/mesh.obj"
    path = Path(root) / name
    if path.exists():
        return
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_obj(path, model.shape.vertices_m, model.faces)
    set_row(root, "objects", {"object": model.name, "mesh": name})
