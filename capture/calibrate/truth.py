"""How far a calibration is from a simulated rig's truth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hoi_core import camera as cam
from hoi_core import rotation
from hoi_core.types import Camera


def pose_errors(found: Mapping[str, Camera], true: Mapping[str, Camera]) -> dict[str, tuple[float, float]]:
    """Errors of the poses relative to the first view of `found`.

    Args:
        found: view -> camera; the first is the reference.
        true: view -> camera, in any world.

    Returns:
        view -> (mm, degrees), without the reference.
    """
    reference = next(iter(found))
    out = {}
    for view in found:
        if view == reference or view not in true:
            continue
        a, b = (cam.inverse_rigid(c[reference].T_world_cam) @ c[view].T_world_cam for c in (found, true))
        out[view] = (
            float(1e3 * np.linalg.norm(a[:3, 3] - b[:3, 3])),
            float(np.rad2deg(rotation.geodesic_angle(a[:3, :3], b[:3, :3]))),
        )
    return out
