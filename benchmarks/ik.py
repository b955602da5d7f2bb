"""How well inverse kinematics finds random poses again, what 23 angles cannot express of 45, and how long it takes.

Example: python benchmarks/ik.py --poses 1000
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np

from hoi_core import rotation
from hoi_core.conventions import SIDES
from hoi_core.ik import (
    ALL_ANGLES,
    BIOMECHANICAL,
    Dof,
    FitConfig,
    Fitted,
    IkHand,
    Targets,
    fit,
    ik_hand,
    refine,
    spread_vertices,
)
from hoi_core.ik.fit import POST
from hoi_core.mano import ManoLayer
from hoi_core.types import F64

THUMB = np.array([name.startswith("thumb") for name in BIOMECHANICAL.names])
HELD = BIOMECHANICAL.names.index("thumb_middle_twist")
PERCENTILES = (50, 90, 95, 99, 100)
STRAY_DEG = (2.0, 5.0, 10.0)
"""Spread of the 22 angles that the 23 leave out."""


def random_hands(dof: Dof, angles: F64, rng: np.random.Generator) -> Fitted:
    """Hands of these angles, anywhere, of any shape."""
    count = len(angles)
    orient = rotation.log_so3(rotation.exp_so3(rng.normal(0, 2, (count, 3))))
    zero = np.zeros(count)
    shape = rng.normal(size=(count, 10))
    return Fitted(dof, angles, orient, rng.normal(0, 0.2, (count, 3)), shape, zero, zero.astype(np.int64))


def within(count: int, rng: np.random.Generator) -> F64:
    """(count, 23) rad, uniform inside the limits."""
    low, high = BIOMECHANICAL.limits_rad.T
    return rng.uniform(low, high, (count, len(BIOMECHANICAL)))


def distances_mm(found: F64, true: F64) -> F64:
    """(B,) mm, the largest of each hand."""
    return np.linalg.norm(found - true, axis=-1).max(1) * 1e3


def found_again(layer: ManoLayer, count: int, rng: np.random.Generator) -> None:
    """Poses of 23 angles."""
    true = random_hands(BIOMECHANICAL, within(count, rng), rng)
    out = true.posed(layer)
    found = fit(ik_hand(layer), Targets(out.joints_m), true.betas)
    off = np.abs(np.rad2deg(found.angles - true.angles))
    joints = distances_mm(found.posed(layer).joints_m, out.joints_m)
    print(f"{layer.side} hand, {count} poses of 23 angles inside the limits, from 21 joints:")
    print(f"  joints within 0.1 mm: {(joints < 0.1).mean():.2%}, worst {joints.max():.4f} mm")
    print(f"  finger angles within 1 degree: {(off[:, ~THUMB].max(1) < 1).mean():.2%}")
    print(f"  thumb angles within 1 degree: {(off[:, THUMB].max(1) < 1).mean():.2%}")
    held = np.broadcast_to(BIOMECHANICAL.limits_rad, (count, 23, 2)).copy()
    held[:, HELD] = true.angles[:, HELD, None]
    known = fit(ik_hand(layer), Targets(out.joints_m), true.betas, limits_rad=held)
    share = (np.abs(np.rad2deg(known.angles - true.angles)).max(1) < 1).mean()
    print(f"  all angles within 1 degree where the twist of the thumb's middle joint is given: {share:.2%}")
    skin = fit(ik_hand(layer, vertices=spread_vertices(layer)), Targets(out.joints_m, out.vertices_m), true.betas)
    share = (np.abs(np.rad2deg(skin.angles - true.angles)).max(1) < 1).mean()
    print(f"  all angles within 1 degree from 100 vertices too: {share:.2%}")


def left_over(layer: ManoLayer, count: int, rng: np.random.Generator) -> None:
    """Poses of 45 angles, fitted with 23."""
    print(f"{count} poses of 45 angles, fitted with 23 to joints and 100 vertices: mean distance of a hand, mm")
    print(f"  {'the other 22':>14s} {'':9s}" + "".join(f"{'p' + str(p):>8s}" for p in PERCENTILES))
    left_out = ~np.isin(ALL_ANGLES.joint * 3 + ALL_ANGLES.axis, BIOMECHANICAL.joint * 3 + BIOMECHANICAL.axis)
    hand = ik_hand(layer, vertices=spread_vertices(layer))
    for spread in STRAY_DEG:
        angles = ALL_ANGLES.pack(BIOMECHANICAL.unpack(within(count, rng)))
        angles[:, left_out] = np.deg2rad(rng.normal(0, spread, (count, left_out.sum())))
        true = random_hands(ALL_ANGLES, angles, rng)
        out = true.posed(layer)
        found = fit(hand, Targets(out.joints_m, out.vertices_m), true.betas).posed(layer)
        for name, a, b in (
            ("joints", found.joints_m, out.joints_m),
            ("vertices", found.vertices_m, out.vertices_m),
        ):
            each = np.percentile(np.linalg.norm(a - b, axis=-1).mean(1) * 1e3, PERCENTILES)
            print(f"  sigma {spread:4.0f} deg {name:>9s}" + "".join(f"{value:8.2f}" for value in each))


def how_fast(layer: ManoLayer, rng: np.random.Generator, hands: int = 64, vertices: int = 100) -> None:
    """Milliseconds of processor time of one post-optimisation."""
    true = random_hands(BIOMECHANICAL, within(hands, rng), rng)
    out = true.posed(layer)
    noise = rng.normal(0, 0.002, (hands, 1, 3)) + rng.normal(0, 0.003, out.vertices_m.shape)
    seen = Targets(out.joints_m + rng.normal(0, 0.004, out.joints_m.shape), out.vertices_m + noise)
    guess = replace(true, angles=BIOMECHANICAL.clip(true.angles + rng.normal(0, 0.15, true.angles.shape)))
    hand = ik_hand(layer, vertices=spread_vertices(layer, vertices))
    print(f"post-optimisation, at most 20 iterations, 21 joints and {vertices} vertices: ms of processor time a hand")
    for method in ("gauss-newton", "adam"):
        for shape in ("known", "solved"):
            config = replace(POST, method=method, shape=shape)
            print(f"  {method:12s} shape {shape:6s}", *(_timed(hand, seen, guess, config, n) for n in (1, hands)))


def _timed(hand: IkHand, seen: Targets, guess: Fitted, config: FitConfig, batch: int) -> str:
    rows = np.arange(batch)
    some = Fitted(guess.dof, *(getattr(guess, name)[rows] for name in _FIELDS))
    refine(hand, seen.taken(rows), some, config)
    best, iterations = np.inf, 0.0
    for _ in range(5):
        start = time.process_time()
        repeats = max(1, 64 // batch)
        for _ in range(repeats):
            found = refine(hand, seen.taken(rows), some, config)
        best = min(best, (time.process_time() - start) / repeats / batch)
        iterations = float(found.iterations.mean())
    return f" batch {batch}: {best * 1e3:.3f} ({iterations:.1f} iterations)"


_FIELDS = ("angles", "orient", "trans_m", "betas", "cost_m2", "iterations")


def main() -> None:
    """Print all three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--poses", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    for side in SIDES:
        found_again(ManoLayer.from_env(side), options.poses, rng)
    left_over(ManoLayer.from_env("right"), options.poses, rng)
    how_fast(ManoLayer.from_env("right"), rng)


if __name__ == "__main__":
    main()
