"""What the generator gives: one moment of one hand, seen by one camera or by two, with all its labels."""

from __future__ import annotations

from dataclasses import dataclass

from hoi_core.conventions import Side
from hoi_core.types import F32, F64, U8, Bool, Camera, HandParams, ObjectPose

BACKGROUND, RIGHT_HAND, LEFT_HAND, ARM, OCCLUDER, OBJECT = range(6)
"""Values of a segmentation: nothing, the two hands, forearm or sleeve, what hides the hand; objects from OBJECT up."""


@dataclass(frozen=True)
class SynthView:
    """One image and its labels, in the frame of its camera."""

    color: U8
    """(S, S, 3) RGB."""
    depth_m: F32
    """(S, S) m along z of the nearest surface at the pixel's centre; 0 where only the background lies."""
    segmentation: U8
    """(S, S): 0 background, 1 right hand, 2 left hand, 3 forearm or sleeve, 4 occluder, 5 and up the objects."""
    camera: Camera
    """Intrinsics, and `T_world_cam`: the two views of an image share one world."""
    side: Side
    """Which hand is labelled."""
    joints_m: F64
    """(21, 3) m, openpose21, camera frame."""
    joints_visible: Bool
    """(21,) whether the image shows the skin around the joint."""
    vertices_m: F64
    """(778, 3) m, camera frame."""
    params: HandParams
    """The hand model's parameters, camera frame."""
    objects: tuple[ObjectPose, ...] = ()
    """Objects that are held or touched, with the share of each that is visible."""


@dataclass(frozen=True)
class SynthImage:
    """One moment."""

    index: int
    """Its number in the recipe."""
    group: int
    """Images of one group show related poses (or one grasp): a split must not tear them apart."""
    views: tuple[SynthView, ...]
    """One, or two where the recipe asks for a second view."""
