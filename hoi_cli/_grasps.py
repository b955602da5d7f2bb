"""What `hoi-run` needs for a model of hands with objects: which objects there can be, and the first box of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hoi_cli.run import Config
    from hoi_core.live_grasp import GraspReader
    from hoi_core.types import F64


def open_reader(config: Config, meshes: Mapping[str, F64], labelled: tuple[str, ...]) -> GraspReader:
    """The reader of a model of hands with objects.

    Args:
        config: of the command.
        meshes: object -> vertices `(N, 3)` m that the dataset has.
        labelled: objects of the recording.

    Raises:
        ConfigError: an object that the network does not know.
        AssetError: an object whose size nobody knows; a missing or damaged file.
    """
    from hoi_core.held import ObjectWatch
    from hoi_core.live_grasp import NO_OBJECT, GraspReader, known_objects, open_grasps

    model = open_grasps(config.model, config.threads, config.engine)
    if config.object == NO_OBJECT:
        return GraspReader(model, None)
    control_m = known_objects(model, meshes, config.object, labelled)
    return GraspReader(model, ObjectWatch(control_m, config.object, config.object_box))


def meshes_of(root: Path, names: Iterable[str]) -> dict[str, F64]:
    """Vertices `(N, 3)` m of those objects that the dataset has a mesh of.

    Raises:
        AssetError: a mesh that cannot be read.
    """
    from annotate.objects.mesh import mesh_path
    from hoi_core.errors import AssetError
    from hoi_core.mesh_file import read_mesh

    found = {}
    for name in names:
        try:
            path = mesh_path(root, name)
        except AssetError:
            continue
        found[name] = read_mesh(path).vertices
    return found
