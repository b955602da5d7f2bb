"""Sizes and rates that a D435 offers, to plan with while none is connected."""

from __future__ import annotations

from collections.abc import Mapping

Table = Mapping[str, Mapping[tuple[int, int], tuple[int, ...]]]
"""Stream -> (width, height) -> frames per second."""

D435_USB3: Table = {
    "color": {
        (1920, 1080): (6, 15, 30),
        (1280, 720): (6, 15, 30),
        (960, 540): (6, 15, 30, 60),
        (848, 480): (6, 15, 30, 60),
        (640, 480): (6, 15, 30, 60),
        (640, 360): (6, 15, 30, 60),
        (424, 240): (6, 15, 30, 60),
        (320, 240): (6, 30, 60),
        (320, 180): (6, 30, 60),
    },
    "depth": {
        (1280, 720): (6, 15, 30),
        (848, 480): (6, 15, 30, 60, 90),
        (640, 480): (6, 15, 30, 60, 90),
        (640, 360): (6, 15, 30, 60, 90),
        (480, 270): (6, 15, 30, 60, 90),
        (424, 240): (6, 15, 30, 60, 90),
    },
    "infrared": {
        (1280, 800): (15, 30),
        (1280, 720): (6, 15, 30),
        (848, 480): (6, 15, 30, 60, 90),
        (640, 480): (6, 15, 30, 60, 90),
        (640, 360): (6, 15, 30, 60, 90),
        (480, 270): (6, 15, 30, 60, 90),
        (424, 240): (6, 15, 30, 60, 90),
    },
}
"""Modes of a D435 at USB 3, from the listings of rs-enumerate-devices in librealsense's issues 2410, 3376 and 7198."""

D435_USB2: Table = {
    "color": {
        (1280, 720): (6,),
        (640, 480): (6, 15, 30),
        (424, 240): (6, 15, 30, 60),
    },
    "depth": {
        (1280, 720): (6,),
        (640, 480): (6, 15, 30),
        (480, 270): (6, 15, 30, 60),
    },
    "infrared": {
        (1280, 720): (6,),
        (640, 480): (6, 15, 30),
        (480, 270): (6, 15, 30, 60),
    },
}
"""Modes of a D435 at USB 2, after librealsense's issues 771, 3958 and 8735: to plan with while no camera is there. A
connected camera's own list (`hoi-devices --modes`) has the last word."""
