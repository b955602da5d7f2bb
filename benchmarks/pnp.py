"""How exact an object's pose is when the places of its control points are not: noise in pixels of a crop of 256.

python benchmarks/pnp.py [--poses 200] [--json-file FILE]
The toolkit's eight objects, 0.6 m away, turned at random, 128 pixels across. Ten cells say where each control point is:
each errs by itself, or all err alike, as cells of one network do; a share of the cells may say anything at all.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import tyro
from scipy.spatial.transform import Rotation

from hoi_core import camera as cameras
from hoi_core import object_metrics, pnp
from hoi_core.known_object import KnownObject, known_object
from hoi_core.mesh_file import Triangles
from hoi_core.scene import objects
from hoi_core.types import F64

_DISTANCE_M, _ACROSS_PX, _SIDE_PX = 0.6, 128.0, 256


@dataclass(frozen=True)
class Case:
    """What is wrong with the cells."""

    noise_px: float
    """Standard deviation along either axis."""
    alike: bool
    """Whether all cells of a control point err by the same."""
    lies: float
    """Share of the cells that say anything."""


@dataclass(frozen=True)
class Row:
    """What came out of it; medians are of the poses that were found."""

    case: Case
    found: float
    """Share of poses that were found."""
    turn_deg: float
    """Median error of the rotation."""
    shift_mm: float
    """Median error of the position, which is mostly depth."""
    add01d: float
    """Share of poses that ADD-0.1D(S) counts as right."""

    def __str__(self) -> str:
        how = "alike" if self.case.alike else "each"
        what = f"{self.case.noise_px:5.1f} px {how:5s} {100 * self.case.lies:3.0f} % lies"
        errors = f"{self.turn_deg:6.2f} deg {self.shift_mm:6.1f} mm"
        return f"{what}: found {100 * self.found:5.1f} %, {errors}, ADD-0.1D {100 * self.add01d:5.1f} %"


def main(poses: int = 200, json_file: Path | None = None) -> None:
    """Measure and print."""
    things = [_known(name) for name in objects.NAMES]
    cases = [Case(*each) for each in product((0.0, 1.0, 2.0, 4.0, 8.0), (False, True), (0.0, 0.3))]
    rows = [_measured(case, things, poses) for case in cases]
    for row in rows:
        print(row, flush=True)
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf8")


def _known(name: str) -> KnownObject:
    shape = objects.make(name).shape
    return known_object(name, Triangles(shape.vertices_m, shape.faces))


def _measured(case: Case, things: list[KnownObject], poses: int) -> Row:
    rng = np.random.default_rng(0)
    turns, shifts, right, found = [], [], [], []
    for n in range(poses):
        about = things[n % len(things)]
        T = cameras.rigid(Rotation.random(random_state=rng).as_matrix(), np.zeros(3))
        T[:3, 3] = np.array([0.0, 0.0, _DISTANCE_M]) - T[:3, :3] @ about.centre_m
        focal, middle = _ACROSS_PX * _DISTANCE_M / about.diameter_m, (_SIDE_PX - 1) / 2
        K = np.array([[focal, 0.0, middle], [0.0, focal, middle], [0.0, 0.0, 1.0]])
        said = pnp.solve_pose(pnp.best_pairs(*_cells(case, about, T, K, rng), about.control_m), K)
        found.append(said.found)
        right.append(_is_right(about, said.T_cam_obj, T))
        if said.found:
            between = Rotation.from_matrix(said.T_cam_obj[:3, :3] @ T[:3, :3].T)
            turns.append(np.rad2deg(between.magnitude()))
            places = (cameras.transform(pose, about.centre_m[None]) for pose in (said.T_cam_obj, T))
            shifts.append(1e3 * float(np.linalg.norm(np.subtract(*places))))
    return Row(case, float(np.mean(found)), float(np.median(turns)), float(np.median(shifts)), float(np.mean(right)))


def _is_right(about: KnownObject, T_said: F64, T: F64) -> float:
    error_m = object_metrics.pose_error_m(about, T_said, T)
    return float(object_metrics.add_right(error_m, np.array(about.diameter_m)))


def _cells(case: Case, about: KnownObject, T: F64, K: F64, rng: np.random.Generator) -> tuple[F64, F64]:
    """What ten cells say. `(10, 21, 2)` px and `(10, 21)`."""
    seen = cameras.transform(T, about.control_m) @ K.T
    rows = 1 if case.alike else pnp.BEST_CELLS
    places = seen[:, :2] / seen[:, 2:] + case.noise_px * rng.standard_normal((rows, 21, 2))
    places = np.broadcast_to(places, (pnp.BEST_CELLS, 21, 2)).copy()
    lying = rng.random(places.shape[:2]) < case.lies
    places[lying] = rng.uniform(0.0, _SIDE_PX, (int(lying.sum()), 2))
    return places, np.full(places.shape[:2], 0.9)


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
