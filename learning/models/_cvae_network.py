"""The cross-model CVAE: one encoder of the image, a hand regressed from it, an object decoded from a latent space."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from learning.layers.roi_align import RoIAlign
from learning.models import hfl
from learning.models._cvae_hand import HandBranch
from learning.models._cvae_object import ImageDecoder, ImageEncoder, PoseDecoder, PoseEncoder
from learning.models._hfl_backbones import TwoStreams
from learning.models.cvae import Config

_STRIDE = 4  # of the pyramid's map


class CvaeNetwork(nn.Module):
    """Image, the hand's box and the object's number to a hand's parameters and an object's pose."""

    TRAINED_ONLY = ("pose_encoder", "image_decoder", "image_encoder.gaussian.log_variance")
    """Take part in training alone: no exported file has them."""

    FLOAT_INPUTS = ("hand_box", "object_number")
    """Eight bits would move a box by pixels."""

    more_in_training: bool = True
    """Whether the pose goes in and the reconstructions come out while it trains."""

    def __init__(self, config: Config) -> None:
        """Take the options."""
        super().__init__()
        encoder = hfl.Config(
            streams="single", encoder=config.encoder, width=config.width, layers=config.layers,
            features=config.features, separable=config.separable,
        )  # fmt: skip
        self.encoder = TwoStreams(encoder)
        self.roi, self.cells = RoIAlign(config.cells, _STRIDE), config.cells
        self.hand = HandBranch(config.features, config.cells, config.attention_width, attention=config.hand_attention)
        self.one_hot = OneHot(config.objects, told=config.condition)
        about, attention = (config.objects, config.latent), config.object_attention
        self.pose_encoder = PoseEncoder(*about, attention=attention)
        self.pose_decoder = PoseDecoder(*about, attention=attention)
        self.image_encoder = ImageEncoder(config.features, config.cells, config.latent, attention=attention)
        self.image_decoder = ImageDecoder(config.cells, config.latent)
        self.units = Units(config.middle_m, config.spread_m)
        self.FLOAT_LAYERS = ("roi", "one_hot", "units", *self._parts("FLOAT_PARTS"))
        """Stay in float when the rest is quantised: RoIAlign, softmax, and what gives the outputs their units."""
        self.HEADS = (*self._parts("HEADS"), "pose_decoder.out")
        """Give the outputs; their integer sums are not rounded."""

    def _parts(self, kind: str) -> tuple[str, ...]:
        """Full names of what the modules name, of those that are exported."""
        names = (f"{name}.{part}" for name, m in self.named_modules() for part in getattr(m, kind, ()) if name)
        return tuple(name for name in names if not name.startswith(self.TRAINED_ONLY))

    def forward(
        self, image: Tensor, hand_box: Tensor, object_number: Tensor, pose: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """See `hoi_core.object_pose_model` for the units.

        Args:
            image: `(B, 3, S, S)`; S a multiple of 32.
            hand_box: `(B, 4)` x0, y0, x1, y1 px of the image.
            object_number: `(B,)`, -1 for an object that is not known.
            pose: in training `(B, 9)` of `hoi_core.pose_vector`, NaN where not known.

        Returns:
            Pose `(B, 48)`, shape `(B, 10)`, joints in the box `(B, 21, 2)`, confidence `(B, 21)`, the object
            `(B, 9)`. In training, behind them, `Paths` as a tuple.
        """
        features, _ = self.encoder(image)
        about = self.one_hot(object_number)
        hand = self.hand(self.roi(features, hand_box))
        seen = self.image_encoder.features(F.adaptive_avg_pool2d(features, self.cells))
        mean = self.image_encoder.gaussian.mean(seen)
        if not (self.training and self.more_in_training):
            return (*hand, self.units(self._decoded(mean, about)))
        paths = self._paths(mean, self.image_encoder.gaussian.log_variance(seen), about, pose)
        return (*hand, self.units(paths[0]), *paths)

    def _decoded(self, z: Tensor, about: Tensor) -> Tensor:
        """The latent to a pose in the network's own units. `(B, latent), (B, objects) -> (B, 9)`."""
        decoded: Tensor = self.pose_decoder(torch.cat([z, about], 1))
        return decoded

    def _paths(self, mean: Tensor, log_variance: Tensor, about: Tensor, pose: Tensor | None) -> tuple[Tensor, ...]:
        """Both encoders through both decoders: see `learning.cvae_losses.Paths`."""
        x = mean.new_full((len(mean), len(self.units.middle)), torch.nan) if pose is None else pose
        x = torch.nan_to_num(self.units.inverse(x), nan=0.0)
        own_mean, own_log_variance = self.pose_encoder(torch.cat([x, about], 1))
        z, own = _drawn(mean, log_variance), _drawn(own_mean, own_log_variance)
        poses = self._decoded(z, about), self._decoded(own, about)
        images = self.image_decoder(z), self.image_decoder(own)
        return (*poses, *images, mean, log_variance, own_mean, own_log_variance)


class OneHot(nn.Module):
    """1 in the place of a number, zeros everywhere for one that has no place."""

    def __init__(self, count: int, *, told: bool) -> None:
        """Take how many there are; without `told` no number has a place, and the input stays one of the file's."""
        super().__init__()
        self.numbers: Tensor
        numbers = torch.arange(count, dtype=torch.float32)
        self.register_buffer("numbers", numbers if told else numbers * torch.nan, persistent=False)

    def forward(self, number: Tensor) -> Tensor:
        """`(B,) -> (B, count)`."""
        return (number.floor()[:, None] == self.numbers).to(self.numbers.dtype)


class Units(nn.Module):
    """From numbers of about unit size to those of `hoi_core.pose_vector`, and back."""

    def __init__(self, middle_m: float, spread_m: float) -> None:
        """Take the mean of the third number, m, and what the place spreads by."""
        super().__init__()
        self.middle: Tensor
        self.spread: Tensor
        self.register_buffer("middle", torch.tensor([0.0, 0.0, middle_m, *[0.0] * 6]), persistent=False)
        self.register_buffer("spread", torch.tensor([*[spread_m] * 3, *[1.0] * 6]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, 9)`, the same shape."""
        return x * self.spread + self.middle

    def inverse(self, x: Tensor) -> Tensor:
        """`(B, 9)`, the same shape."""
        return (x - self.middle) / self.spread


def _drawn(mean: Tensor, log_variance: Tensor) -> Tensor:
    """A sample of the latent, through which gradients go (Kingma & Welling 2014)."""
    return mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
