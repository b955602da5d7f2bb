"""Analytic derivatives of every term against finite differences, and the contract of the folder."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from annotate import equations as normal
from annotate.stage import Stage
from annotate.state import FitState
from hoi_core import plugins
from hoi_core.conventions import N_BETAS

TERMS = sorted(plugins.names("annotate.terms"))
LOOSE = Stage(robust_scale=1e6, gate_m=0.05)


def test_folder_holds_the_terms() -> None:
    assert set(TERMS) >= {"keypoints2d", "depth", "limits", "shape_prior", "pose_prior", "smooth"}


@pytest.mark.parametrize("name", TERMS)
def test_contract(name: str) -> None:
    module = plugins.load("annotate.terms", name)
    assert is_dataclass(module.Config)
    assert "weight" in {f.name for f in fields(module.Config)}
    assert callable(module.prepare)
    assert callable(module.accumulate)


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("seed", [0, 1])
def test_gradient_is_that_of_the_cost(name: str, seed: int, scene) -> None:
    made = scene(seed, 5)
    rng = np.random.default_rng(seed)
    # Pose corrections are left out of the derivatives on purpose; here they are left out of the hand too.
    still = replace(
        made.truth.hands, hand=replace(made.truth.hands.hand, pose_m=np.zeros_like(made.truth.hands.hand.pose_m))
    )
    state = FitState(still, rng.normal(size=(2, 8)) * 1e-3).moved(
        rng.normal(size=(5, 51)) * 0.05, np.zeros(N_BETAS + 16)
    )
    state = FitState(state.hands, rng.normal(size=(2, 8)) * 1e-3)
    evidence = replace(made.evidence, joints_m=made.joints_m, lag_s=rng.normal(size=(5, 2)) * 0.005)
    module = plugins.load("annotate.terms", name)
    stage = replace(LOOSE, robust_scale=1e3)
    prepared = module.prepare(module.Config(), evidence, state, stage)
    equations = normal.empty(5, 2)
    cost = module.accumulate(prepared, state, equations)
    assert cost > 0.0
    assert cost == pytest.approx(module.accumulate(prepared, state, None))
    for _ in range(4):
        step, shared = rng.normal(size=(5, 51)), rng.normal(size=N_BETAS + 16)
        h = 1e-5
        ahead = module.accumulate(prepared, state.moved(h * step, h * shared), None)
        back = module.accumulate(prepared, state.moved(-h * step, -h * shared), None)
        slope = (equations.g * step).sum() + equations.gs @ shared
        assert (ahead - back) / (2 * h) == pytest.approx(slope, rel=5e-5)


@pytest.mark.parametrize("name", ["keypoints2d", "keypoints3d", "depth", "smooth"])
def test_hessian_is_the_square_of_the_slopes(name: str, scene) -> None:
    """Where residuals are near zero, Gauss-Newton's Hessian is the cost's own."""
    made = scene(3, 5)
    hand = replace(made.truth.hands.hand, pose_m=np.zeros_like(made.truth.hands.hand.pose_m))
    state = replace(made.truth, hands=replace(made.truth.hands, hand=hand))
    evidence = replace(made.evidence, joints_m=state.hands.joints_m)
    module = plugins.load("annotate.terms", name)
    prepared = module.prepare(module.Config(), evidence, state, LOOSE)
    equations = normal.empty(5, 2)
    at = module.accumulate(prepared, state, equations)
    rng = np.random.default_rng(0)
    step, shared = rng.normal(size=(5, 51)), rng.normal(size=N_BETAS + 16) * 0.1
    dense = np.zeros((255, 255))
    banded = normal.band(equations, 0.0)
    for offset in range(len(banded)):
        i = np.arange(255 - offset)
        dense[i + offset, i] = dense[i, i + offset] = banded[offset, : 255 - offset]
    d = step.ravel()
    C = equations.C.reshape(255, -1)
    quadratic = d @ dense @ d + 2 * d @ C @ shared + shared @ equations.Hs @ shared
    h = 1e-4
    moved = [module.accumulate(prepared, state.moved(s * step, s * shared), None) for s in (h, -h)]
    assert (moved[0] + moved[1] - 2 * at) / h**2 == pytest.approx(quadratic, rel=1e-3)
