"""The network of `splite`: one float or quantised graph from the fused edges to joints and mesh."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hoi_core.conventions import N_JOINTS
from learning.layers.cells import centres
from learning.layers.mesh import SpliteDecoder
from learning.layers.mesh_hierarchy import MeshHierarchy
from learning.layers.rows import Pointwise
from learning.layers.sparse import DenseConv2d
from learning.models._hand_mesh import decoder_levels, depth_layer, hand_hierarchy
from learning.models._sparse_resnet import SparseResNet
from learning.models.splite import Config


class SpliteNetwork(nn.Module):
    """Sparse encoder (or the same, dense), dense heads, mesh decoder."""

    FLOAT_LAYERS = ("soft_argmax", "gather")
    """Stay in float when the rest is quantised: softmax and grid sampling."""
    HEADS = ("heatmap", "depth_out", "decoder.head")
    """Give the outputs; their integer sums are not rounded."""

    more_in_training: bool = True
    """Whether the logits of the maps are said behind the other outputs while it trains, for a loss of their own."""

    def __init__(self, config: Config, hierarchy: MeshHierarchy | None = None) -> None:
        super().__init__()
        self.config = config
        mesh = hierarchy or hand_hierarchy(config.spiral_length)
        c = config.head_channels
        self.encoder = SparseResNet(config.width, backbone=config.backbone, sparse=config.encoder == "sparse")
        _, c8, c16, c32 = self.encoder.channels
        self.lateral32 = DenseConv2d(c32, c, 1)
        self.lateral16 = DenseConv2d(c16, c, 1)
        self.smooth16 = DenseConv2d(c, c, 3)
        self.reduce16 = DenseConv2d(c, c // 2, 1)
        self.lateral8 = DenseConv2d(c8, c // 2, 1)
        self.smooth8 = DenseConv2d(c // 2, c // 2, 3)
        self.heatmap = Pointwise(c // 2, N_JOINTS)
        self.soft_argmax = SoftArgmax()
        self.gather = GridSample()
        self.depth_hidden = nn.Linear(c32, c)
        self.depth_out = depth_layer(c)
        self.decoder = SpliteDecoder(*decoder_levels(mesh, c), part=config.part, keep=config.partial == "keep")

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """See `hoi_core.crop.camera_space` for the units.

        Args:
            image: `(B, 3, S, S)` fused edges in [0, 1], zero off the sites.

        Returns:
            Joints `(B, 21, 2)` in [-1, 1]; depths `(B, 22)`, 21 relative and the root's; vertices `(B, 778, 3)`
            relative to the wrist; confidence `(B, 21)` in [0, 1]. In training also the maps' logits `(B, 21, S / 8,
            S / 8)`.
        """
        _, x8, x16, x32 = self.encoder(image)
        p32 = F.relu(self.lateral32(x32))
        p16 = F.interpolate(p32, scale_factor=2.0, mode="nearest") + self.lateral16(x16)
        p16 = F.relu(self.smooth16(F.relu(p16)))
        p8 = F.interpolate(self.reduce16(p16), scale_factor=2.0, mode="nearest") + self.lateral8(x8)
        maps = self.heatmap(F.relu(self.smooth8(F.relu(p8))))
        uv, confidence = self.soft_argmax(maps)
        pooled = F.adaptive_avg_pool2d(x32, 1).reshape(-1, self.depth_hidden.in_features)
        depth = self.depth_out(F.relu(self.depth_hidden(pooled)))
        said = uv, depth, self.decoder(self.gather(p16, uv)), confidence
        return (*said, maps) if self.training and self.more_in_training else said


class SoftArgmax(nn.Module):
    """Expectation of the softmax of each heatmap, and its peak."""

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, J, H, W)` -> `(B, J, 2)` x, y in [-1, 1] (the outer edges of the grid), `(B, J)` in [0, 1]."""
        j, h, w = logits.shape[1:]
        p = logits.reshape(-1, j, h * w).softmax(dim=-1)
        confidence = p.amax(dim=-1)
        p = p.reshape(-1, j, h, w)
        uv = torch.stack([(p.sum(2) * centres(w, p)).sum(-1), (p.sum(3) * centres(h, p)).sum(-1)], dim=-1)
        return uv, confidence


class GridSample(nn.Module):
    """Pose pooling: features at the joints."""

    def forward(self, features: Tensor, uv: Tensor) -> Tensor:
        """`(B, C, H, W)`, `(B, 21, 2)` in [-1, 1] -> `(B, C, 21, 1)`."""
        return F.grid_sample(features, uv.unsqueeze(2), mode="bilinear", padding_mode="border", align_corners=False)
