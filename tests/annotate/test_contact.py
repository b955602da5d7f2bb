"""The contact term: silent outside, a gradient that is right, a hand that comes out of an object."""

from dataclasses import replace

import numpy as np
import pytest

from annotate import equations as normal
from annotate.objects.mesh import solid_mesh
from annotate.objects.solid import Solid
from annotate.stage import Stage
from annotate.terms import contact
from hoi_core.scene import objects

LAST = Stage(4.0, 0.01)


@pytest.fixture(scope="module")
def box():
    thing = objects.make("o01")
    return solid_mesh("o01", thing.shape.vertices_m, thing.faces.astype(np.int32))


def touching(box, truth, inward_m):
    """The box at every moment, its side `inward_m` deep in the hand's middle fingertip."""
    moments = len(truth.hands.trans_m)
    T = np.tile(np.eye(4), (moments, 1, 1))
    tip = truth.hands.joints_m[:, 12]
    T[:, :3, 3] = tip - np.array([0.0, 0.022 - inward_m, 0.06])
    return {"o01": Solid(box, T)}


def test_silent_without_objects_and_far_from_them(scene, box):
    made = scene(0, 5)
    assert contact.prepare(contact.Config(), made.evidence, made.truth, LAST) is None
    far = {"o01": Solid(box, np.tile(np.diag([1.0, 1, 1, 1]) + np.eye(4, k=3) * 5.0, (5, 1, 1)))}
    assert contact.prepare(contact.Config(), replace(made.evidence, solids=far), made.truth, LAST) is None
    unknown = {"o01": Solid(box, np.full((5, 4, 4), np.nan))}
    assert contact.prepare(contact.Config(), replace(made.evidence, solids=unknown), made.truth, LAST) is None


def test_gradient_and_a_step_that_comes_out(scene, box):
    made = scene(0, 5)
    config = contact.Config(slack_m=0.001, largest_sigmas=50.0)
    evidence = replace(made.evidence, solids=touching(box, made.truth, 0.006))
    prepared = contact.prepare(config, evidence, made.truth, LAST)
    assert prepared is not None
    equations = normal.empty(5, 2)
    cost = contact.accumulate(prepared, made.truth, equations)
    assert cost > 0
    assert not equations.C.any(), "neither the shape nor a view's corrections move"
    assert not equations.gs.any()
    shared = np.zeros(26)
    for u in (0, 1, 2, 3, 4, 5):
        step = np.zeros((5, 51))
        step[2, u] = 1e-6
        ahead = contact.accumulate(prepared, made.truth.moved(step, shared), None)
        back = contact.accumulate(prepared, made.truth.moved(-step, shared), None)
        assert (ahead - back) / 2e-6 == pytest.approx(equations.g[2, u], rel=1e-3, abs=1e-3)
    downhill = -equations.g / np.linalg.norm(equations.g) * 1e-3
    assert contact.accumulate(prepared, made.truth.moved(downhill, shared), None) < cost
