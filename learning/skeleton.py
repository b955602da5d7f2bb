"""Joints of a hand from its angles and shape, differentiable: what the pose loss of IK networks goes through."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hoi_core.biomechanics import N_FINGER_JOINTS
from hoi_core.conventions import MANO_PARENTS, fingertips, permutation
from hoi_core.ik.dof import Dof
from hoi_core.mano import ManoLayer, equations

_TO_OPENPOSE = permutation("mano21", "openpose21")


class Skeleton(nn.Module):
    """Angles and shape to joints; of the mesh it computes the five fingertips alone."""

    def __init__(self, layer: ManoLayer, dof: Dof) -> None:
        """Arrange a hand model.

        Args:
            layer: the hand model.
            dof: the angles that turn.
        """
        super().__init__()
        model, tips = layer.model, list(fingertips())

        def kept(name: str, values: object) -> None:
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float32), persistent=False)

        self.frames: Tensor
        self.rest_m: Tensor
        self.rest_shape_m: Tensor
        self.template: Tensor
        self.shapes: Tensor
        self.poses: Tensor
        self.weights: Tensor
        kept("frames", layer.joint_frames)
        kept("rest_m", model.J_regressor @ model.v_template)
        kept("rest_shape_m", np.einsum("jv,vcs->jcs", model.J_regressor, model.shapedirs))
        for name, values in (
            ("template", model.v_template[tips]),
            ("shapes", model.shapedirs[tips].reshape(3 * len(tips), -1)),
            ("poses", model.posedirs[tips].reshape(3 * len(tips), -1).T.copy()),
            ("weights", model.weights[tips]),
        ):
            kept(name, values)
        self._places = torch.as_tensor(3 * dof.joint + dof.axis)

    def forward(self, angles: Tensor, betas: Tensor) -> Tensor:
        """Joints in the template's axes, the wrist in the origin. `(B, n) rad, (B, 10) -> (B, 21, 3) m`."""
        every = angles.new_zeros(len(angles), 3 * N_FINGER_JOINTS).index_copy(1, self._places.to(angles.device), angles)
        fingers = self.frames @ _turns(every.reshape(-1, N_FINGER_JOINTS, 3)) @ self.frames.mT
        upright = torch.eye(3, device=angles.device).expand(len(angles), 1, 3, 3)
        rotations = torch.cat([upright, fingers], 1)
        # The joints are regressed once and for all, so that no regressor is needed here.
        none = self.weights[:0]
        c = equations.Coefficients(self.template, self.shapes, self.poses, none, self.weights, MANO_PARENTS)
        joints = self.rest_m + (self.rest_shape_m * betas[:, None, None]).sum(-1)
        placed = equations.chain(torch, c, rotations, joints)
        tips = self.template + (betas @ self.shapes.T).reshape(len(betas), -1, 3)
        tips = equations.skin(torch, c, tips + equations.pose_offsets(torch, c, rotations), placed, joints)
        found = torch.cat([placed[1], tips], 1)[:, _TO_OPENPOSE.tolist()]
        return found - found[:, :1]


def _turns(angles: Tensor) -> Tensor:
    """Flexion about x, abduction about y, twist about z (Grood and Suntay 1983). `(..., 3) rad -> (..., 3, 3)`."""
    (ca, cb, cc), (sa, sb, sc) = angles.cos().unbind(-1), angles.sin().unbind(-1)
    rows = [
        cb * cc, -cb * sc, sb,
        ca * sc + sa * sb * cc, ca * cc - sa * sb * sc, -sa * cb,
        sa * sc - ca * sb * cc, sa * cc + ca * sb * sc, ca * cb,
    ]  # fmt: skip
    return torch.stack(rows, -1).reshape(*angles.shape[:-1], 3, 3)
