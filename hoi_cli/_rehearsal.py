"""Run everything once that is compiled at its first use, on made-up data: nobody waits for it later.

Numba compiles a function when it is first called, and keeps the result beside the source. The first fit, the first drag
in the window, the first synthetic image and the first joint angles would wait for that, up to two minutes each.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import get_args

import numpy as np

from hoi_core.ik.fit import Method

_SEQUENCE = "seq_001"
_SECONDS = 1.5
_INDEX_TIP, _SOMEWHERE_PX = 8, (100.0, 100.0)


def rehearse(tell: Callable[[str, float], None]) -> None:
    """Compile what capture, annotation, synthesis and inverse kinematics need, in processes of their own.

    Args:
        tell: told what is ready, and after how many seconds.

    Raises:
        HoiError: one of them fails on this machine.
    """
    began_s = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1), context, _quiet) as pool:
        parts = {pool.submit(part): part.__name__ for part in (labels, images, angles)}
        for done in as_completed(parts):
            done.result()
            tell(parts[done], time.monotonic() - began_s)


def _quiet() -> None:
    """Say nothing: what the commands print is of no use to anybody."""
    sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf8")  # noqa: SIM115 - open as long as the process


def labels() -> None:
    """Record a second of the simulated rig, fit it, drag a finger, fit again between two frames."""
    from annotate.session import AnnotationSession
    from hoi_cli import annotate, capture

    with tempfile.TemporaryDirectory() as place:
        data = Path(place)
        capture.job(capture.Config(headless=True, seconds=_SECONDS, sequence=_SEQUENCE, data=data))
        annotate.job(annotate.Config(sequence=(_SEQUENCE,), auto=True, data=data))
        with AnnotationSession.open(data, _SEQUENCE, "rehearsal") as session:
            side, frame = session.sides[0], session.n_frames // 2
            drag = session.begin_drag(side, frame)
            drag.move("left", _INDEX_TIP, _SOMEWHERE_PX)
            drag.cancel()
            session.refit_between(side, 2, frame)


def images() -> None:
    """Draw a synthetic image of each preset."""
    from dataset_tools.synth.generator import Generator
    from dataset_tools.synth.recipe import PRESETS, Recipe

    for preset in PRESETS:
        Generator(Recipe(preset=preset, count=1)).make(0)


def angles() -> None:
    """Find the joint angles of a resting hand, from its joints and from its surface, by both methods."""
    from hoi_core import ik
    from hoi_core.mano import ManoLayer

    layer = ManoLayer.from_env("right")
    rest = layer(np.zeros((1, 3)), np.zeros((1, 45)), np.zeros(10), np.zeros((1, 3)))
    hand = ik.ik_hand(layer, vertices=ik.spread_vertices(layer))
    found = ik.fit(hand, ik.Targets(rest.joints_m))
    for method in get_args(Method):
        ik.refine(hand, ik.Targets(rest.joints_m, rest.vertices_m), found, ik.FitConfig(1, method))
