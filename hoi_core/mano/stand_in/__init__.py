"""The project's own parametric hand: MANO's array names and shapes, made by code alone.

The right hand is built; the left hand is its exact mirror image at x = 0.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from hoi_core.conventions import Side, mirror_axis_angle, mirror_x
from hoi_core.mano.model import ManoModel
from hoi_core.mano.stand_in.blend import pose_directions, shape_directions
from hoi_core.mano.stand_in.cache import cached
from hoi_core.mano.stand_in.mesh import build_mesh
from hoi_core.mano.stand_in.poses import components
from hoi_core.mano.stand_in.rig import regressor, smooth, weights


def build(side: Side) -> ManoModel:
    """Build the stand-in hand."""
    return _right() if side == "right" else mirror(_right())


@lru_cache(maxsize=1)
def _right() -> ManoModel:
    return cached(_build_right)


def _build_right() -> ManoModel:
    vertices, faces = build_mesh()
    skinning = weights(vertices, faces)
    rows, mean = components()
    return ManoModel(
        side="right",
        v_template=vertices,
        shapedirs=shape_directions(vertices, skinning),
        posedirs=pose_directions(vertices, skinning, lambda values: smooth(values, faces, 1)),
        J_regressor=regressor(vertices),
        weights=skinning,
        faces=faces,
        components=rows,
        hands_mean=mean,
        source="stand-in",
    )


def mirror(model: ManoModel) -> ManoModel:
    """The same hand on the other side: everything mirrored at x = 0."""
    flip = np.array([-1.0, 1.0, 1.0])
    # A rotation matrix seen in the mirror: an entry changes sign if exactly one of its two axes is x.
    entry = np.tile(np.outer(flip, flip).ravel(), 15)
    return replace(
        model,
        side="left" if model.side == "right" else "right",
        v_template=mirror_x(model.v_template),
        shapedirs=model.shapedirs * flip[:, None],
        posedirs=model.posedirs * flip[:, None] * entry,
        faces=model.faces[:, ::-1].copy(),
        components=mirror_axis_angle(model.components),
        hands_mean=mirror_axis_angle(model.hands_mean),
    )
