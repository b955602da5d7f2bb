"""The network of `mobrecon`: one float or quantised graph from the crop to joints and mesh."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from hoi_core.conventions import N_JOINTS
from learning.layers.mesh import SpliteDecoder
from learning.layers.mesh_hierarchy import MeshHierarchy
from learning.layers.sparse import DenseConv2d
from learning.layers.spiral import MeshDecoder, SeparableSpiralConv, SpiralConv
from learning.models._densestack import DenseStack
from learning.models._hand_mesh import decoder_levels, depth_layer, hand_hierarchy
from learning.models._sparse_resnet import SparseResNet
from learning.models.mobrecon import Config

_GRID = 16  # cells along a side of the maps that joints are regressed from
_DEPTH_HIDDEN = 128


class MobReconNetwork(nn.Module):
    """Dense encoder, joints from maps, features at the joints, mesh decoder."""

    FLOAT_LAYERS = ("joints.grid", "joints.peak", "pooling")
    """Stay in float when the rest is quantised: softmax and grid sampling."""
    HEADS = ("joints.last", "depth_out", "decoder.head")
    """Give the outputs; their integer sums are not rounded."""

    def __init__(self, config: Config, hierarchy: MeshHierarchy | None = None) -> None:
        super().__init__()
        self.config = config
        self.backbone: nn.Module = (
            DenseStack(config.width, full=config.first_stack == "full")
            if config.backbone == "densestack"
            else ResNet18Maps(config.width)
        )
        c_maps, c_deep = self.backbone.channels
        self.latent = nn.Conv2d(c_deep, config.latent, 1, bias=False)
        self.reduce = nn.Conv2d(c_maps, N_JOINTS, 1, bias=False)
        self.joints = MapRegression()
        self.pooling = PosePooling()
        self.depth_hidden = nn.Linear(config.latent, _DEPTH_HIDDEN)
        self.depth_out = depth_layer(_DEPTH_HIDDEN)
        self.decoder = mesh_decoder(config, hierarchy or hand_hierarchy(config.spiral_length))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See `hoi_core.crop.camera_space` for the units.

        Args:
            image: `(B, 3, S, S)` colours or edges, as the configuration says; S a multiple of 32.

        Returns:
            Joints `(B, 21, 2)` in [-1, 1]; depths `(B, 22)`, 21 relative and the root's; vertices `(B, 778, 3)`
            relative to the wrist; confidence `(B, 21)` in [0, 1].
        """
        maps, deep = self.backbone(image)
        latent = self.latent(deep)
        uv, confidence = self.joints(self.reduce(maps))
        pooled = F.adaptive_avg_pool2d(latent, 1).reshape(-1, self.depth_hidden.in_features)
        depth = self.depth_out(F.relu(self.depth_hidden(pooled)))
        return uv, depth, self.decoder(self.pooling(latent, uv)), confidence


class ResNet18Maps(nn.Module):
    """ResNet-18 and a way back up to stride 8; the paper names the encoder only, so this way is ours."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.encoder = SparseResNet(width, sparse=False)
        _, c8, c16, c32 = self.encoder.channels
        self.channels = (c8, c32)
        self.lateral32, self.lateral16 = DenseConv2d(c32, c8, 1), DenseConv2d(c16, c8, 1)
        self.lateral8, self.smooth = DenseConv2d(c8, c8, 1), DenseConv2d(c8, c8, 3)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, 3, S, S)` -> `(B, 2 width, S / 8, S / 8)` and `(B, 8 width, S / 32, S / 32)`."""
        _, x8, x16, x32 = self.encoder(image)
        y = F.interpolate(F.relu(self.lateral32(x32)), scale_factor=2.0, mode="nearest") + self.lateral16(x16)
        y = F.interpolate(F.relu(y), scale_factor=2.0, mode="nearest") + self.lateral8(x8)
        return F.relu(self.smooth(F.relu(y))), x32


class FixedGrid(nn.Module):
    """Maps of a crop of any size on the grid that the regression was made for; 128 px give it as it is."""

    def forward(self, maps: Tensor) -> Tensor:
        """`(B, 21, h, h) -> (B, 21, 16, 16)`."""
        if maps.shape[-1] == _GRID:
            return maps
        return F.interpolate(maps, size=(_GRID, _GRID), mode="bilinear", align_corners=False)


class Peak(nn.Module):
    """Largest value of each map's softmax."""

    def forward(self, maps: Tensor) -> Tensor:
        """`(B, 21, N) -> (B, 21)` in [0, 1]."""
        return maps.softmax(dim=-1).amax(dim=-1)


class MapRegression(nn.Module):
    """MapReg: each joint's map, flattened, goes through one perceptron to the joint's place.

    The last layer speaks of the crop from -1 to 1 where MobRecon's says 0 to 1, so a fresh network points at the
    middle. MobRecon has no confidence; ours is the peak of the map's softmax: how much the map insists on one cell.
    """

    def __init__(self) -> None:
        super().__init__()
        self.grid, self.peak = FixedGrid(), Peak()
        self.hidden1 = nn.Linear(_GRID * _GRID, 128, bias=False)
        self.hidden2 = nn.Linear(128, 64, bias=False)
        self.last = nn.Linear(64, 2, bias=False)
        self.bounded = nn.Hardtanh(0.0, 4.0)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, 21, h, h)` -> `(B, 21, 2)` in [-1, 1] (the outer edges of the crop), `(B, 21)` in [0, 1]."""
        maps = self.grid(maps)
        rows = maps.reshape(-1, self.hidden1.in_features)
        uv = self.last(self.bounded(self.hidden2(self.bounded(self.hidden1(rows)))))
        return uv.reshape(-1, N_JOINTS, 2), self.peak(maps.reshape(-1, N_JOINTS, self.hidden1.in_features))


class PosePooling(nn.Module):
    """Features at the joints; -1 and 1 are the centres of the outer cells, as in MobRecon."""

    def forward(self, features: Tensor, uv: Tensor) -> Tensor:
        """`(B, C, H, W)`, `(B, 21, 2)` in [-1, 1] -> `(B, C, 21, 1)`."""
        return F.grid_sample(features, uv.unsqueeze(2), mode="bilinear", padding_mode="border", align_corners=True)


def mesh_decoder(config: Config, mesh: MeshHierarchy) -> nn.Module:
    """The decoder that a configuration names, for a hand."""
    levels = decoder_levels(mesh, config.latent)
    if config.decoder == "splite":
        return SpliteDecoder(*levels, part=0.25, keep=True)
    return MeshDecoder(SpiralConv if config.decoder == "spiral" else SeparableSpiralConv, *levels)
