"""A rigid object where it is at every moment: what the fit of a hand needs to touch it without sinking in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from annotate.objects._frames import to_object, turn_to_world, within
from annotate.objects.mesh import SolidMesh
from annotate.parts import in_parts
from hoi_core import camera as cameras
from hoi_core.types import F64, I64


@dataclass(frozen=True)
class Solid:
    """An object over M moments."""

    mesh: SolidMesh
    """Its surface."""
    T_world_obj: F64
    """(M, 4, 4) m, object to world; NaN where it is not known."""

    def taken(self, moments: I64) -> Solid:
        """The object at some of the moments."""
        return replace(self, T_world_obj=self.T_world_obj[moments])

    def surface_m(self) -> F64:
        """(M, S, 3) m points spread over its surface, world; NaN where it is not known."""
        return cameras.transform(self.T_world_obj, self.mesh.samples_m)

    def reached(self, points_m: F64, reach_m: float) -> tuple[I64, I64]:
        """Moments and numbers, `(K,)` each, of the points that may lie within reach of its surface, or inside.

        Args:
            points_m: `(M, N, 3)` m, world.
            reach_m: m.
        """
        T, centre = self.T_world_obj, self.mesh.centre_m
        centres_m = np.ascontiguousarray(T[:, :3, :3] @ centre + T[:, :3, 3])
        moment, point = within(points_m, centres_m, self.mesh.radius_m + reach_m)
        return moment, point

    def distance_m(self, points_m: F64, moment: I64) -> tuple[F64, F64]:
        """Signed distance to its surface, negative inside, and the outward direction.

        Args:
            points_m: `(K, 3)` m, world.
            moment: `(K,)` when, ascending; only where the object is known.

        Returns:
            `(K,)` m and `(K, 3)` unit vectors in the world.
        """
        distance, outward = np.empty(len(moment)), np.empty((len(moment), 3))

        def part(span: tuple[int, int]) -> None:
            at = slice(*span)
            to_object(self.T_world_obj, moment[at], points_m[at], outward[at])
            distance[at], outward[at] = self.mesh.grid.at(outward[at])
            turn_to_world(self.T_world_obj, moment[at], outward[at])

        for _ in in_parts(part, moment):
            pass
        return distance, outward
