"""Gives a dataset the meshes of the simulated objects, as a scan or a download would for real ones."""

from __future__ import annotations

from pathlib import Path

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
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in model.shape.vertices_m]
    # OBJ counts vertices from 1.
    lines += [f"f {a} {b} {c}" for a, b, c in model.faces + 1]
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(["# simulated", *lines]) + "\n", encoding="utf8")
    set_row(root, "objects", {"object": model.name, "mesh": name})
