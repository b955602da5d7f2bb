"""HFL-Net: two streams of features, cut out at the boxes of hand and object, enhanced with each other and decoded."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from learning.layers.attention import MapAttention
from learning.layers.roi_align import RoIAlign
from learning.models._hfl_backbones import TwoStreams
from learning.models._hfl_decoders import HandDecoder, ObjectDecoder
from learning.models.hfl import Config

_STRIDE = 4  # of the pyramids' maps


class HflNetwork(nn.Module):
    """Image and boxes to MANO parameters and votes for control points."""

    FLOAT_INPUTS = ("hand_box", "object_box")
    """Eight bits would move them by pixels."""

    def __init__(self, config: Config) -> None:
        """Take the options."""
        super().__init__()
        self.streams = TwoStreams(config)
        self.roi = RoIAlign(config.cells, _STRIDE)
        self.meeting = MeetingRoI(config.cells)
        enhanced = config.object_to_hand != "none"
        self.to_hand = ObjectToHand(config.object_to_hand, config.features) if enhanced else None
        attends = config.hand_to_object != "none"
        self.to_object = MapAttention(config.features) if attends else None
        self.from_hand = config.hand_to_object == "hand"
        self.hand = HandDecoder(config.features, config.cells, config.activation)
        self.object = ObjectDecoder(config.features, config.activation)
        self.FLOAT_LAYERS = ("roi", "meeting", *self._parts("FLOAT_PARTS"))
        """Stay in float when the rest is quantised: RoIAlign, softmax, layer norms, sums over places."""
        self.HEADS = self._parts("HEADS")
        """Give the outputs; their integer sums are not rounded."""

    def _parts(self, kind: str) -> tuple[str, ...]:
        """Full names of what the modules name."""
        return tuple(f"{name}.{part}" for name, m in self.named_modules() for part in getattr(m, kind, ()) if name)

    def forward(self, image: Tensor, hand_box: Tensor, object_box: Tensor) -> tuple[Tensor, ...]:
        """See `hoi_core.grasp_model` for the units.

        Args:
            image: `(B, 3, S, S)`; S a multiple of 32.
            hand_box: `(B, 4)` x0, y0, x1, y1 px of the image.
            object_box: `(B, 4)` px; without area where there is no object.

        Returns:
            Rotations `(B, 16, 6)`, shape `(B, 10)`, joints `(B, 21, 2)`, confidence `(B, 21)`, control points
            `(B, 21, 2, cells^2)`, trust `(B, 21, cells^2)`.
        """
        hand_map, object_map = self.streams(image)
        of_hand, of_object = self.roi(hand_map, hand_box), self.roi(object_map, object_box)
        enhanced = of_hand
        if self.to_hand is not None:
            # No gradient goes back from the hand to the object's stream (released code).
            box = object_box if self.to_hand.across else hand_box
            enhanced = self.to_hand(of_hand, self.roi(object_map.detach(), box))
        if self.to_object is not None:
            answer = self.meeting(hand_map if self.from_hand else object_map, hand_box, object_box)
            of_object = self.to_object(of_object, answer)
        turns, shape, joints, confidence = self.hand(enhanced)
        control, trust = self.object(of_object)
        return turns, shape, joints, confidence, control, trust


class ObjectToHand(nn.Module):
    """The hand's features enhanced with the object's (section 3.2, and Table 8)."""

    def __init__(self, kind: str, channels: int) -> None:
        """Take `Config.object_to_hand`."""
        super().__init__()
        self.kind, self.channels = kind, channels
        self.across = kind == "cross"
        """Whether it reads the object's features in the object's box, not in the hand's."""
        self.attention = MapAttention(2 * channels if kind == "concat" else channels)

    def forward(self, hand: Tensor, objects: Tensor) -> Tensor:
        """Enhance.

        Args:
            hand: `(B, C, n, n)` of the hand's stream, in the hand's box (F^h).
            objects: of the object's stream, in the hand's box (F^oh) or, `across`, in the object's (F^o).

        Returns:
            `(B, C, n, n)`.
        """
        if self.kind == "concat":
            joined = torch.cat([hand, objects], dim=1)
            return self.attention(joined, joined)[:, : self.channels]
        if self.across:
            return self.attention(hand, objects)
        mixed = hand + objects if self.kind == "add" else hand
        return self.attention(mixed, mixed)


class MeetingRoI(nn.Module):
    """RoIAlign where the boxes of hand and object meet; zeros where they do not, and no gradient (released code)."""

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.roi = RoIAlign(cells, _STRIDE)

    def forward(self, x: Tensor, hand_box: Tensor, object_box: Tensor) -> Tensor:
        """`(B, C, H, W)`, `(B, 4)` px, `(B, 4)` px -> `(B, C, cells, cells)`."""
        first = torch.maximum(hand_box[:, :2], object_box[:, :2])
        last = torch.minimum(hand_box[:, 2:], object_box[:, 2:])
        meets = ((last - first).amin(dim=1) > 0).to(x.dtype)
        box = torch.cat([first, torch.maximum(first, last)], dim=1)
        return self.roi(x.detach(), box) * meets[:, None, None, None]
