"""A rigid object where it is at every moment: what the fit of a hand needs to touch it without sinking in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from annotate.objects.mesh import SolidMesh
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

    def distance_m(self, points_m: F64) -> tuple[F64, F64]:
        """Signed distance to its surface, negative inside, and the outward direction.

        Args:
            points_m: `(M, N, 3)` m, world.

        Returns:
            `(M, N)` m and `(M, N, 3)` unit vectors in the world; NaN where it is not known.
        """
        known = np.isfinite(self.T_world_obj).all((-1, -2))
        distance, outward = np.full(points_m.shape[:2], np.nan), np.full(points_m.shape, np.nan)
        if known.any():
            T = self.T_world_obj[known]
            distance[known], local = self.mesh.grid.at(cameras.transform(cameras.inverse_rigid(T), points_m[known]))
            outward[known] = local @ np.swapaxes(T[:, :3, :3], -1, -2)
        return distance, outward
