import numpy as np
import pytest

from annotate.evidence import Cloud
from annotate.nearest import nearest_vertices

EYE_M = np.array([0.1, -0.6, 0.3])


def scene(seed: int, moments: int = 5, points: int = 400) -> tuple[Cloud, np.ndarray, np.ndarray]:
    """A blob of vertices as large as a hand at every moment, and points in and around it; one moment has none."""
    rng = np.random.default_rng(seed)
    vertices_m = rng.normal(scale=[0.09, 0.05, 0.03], size=(moments, 300, 3)).astype(np.float32).astype(np.float64)
    normals = rng.normal(size=vertices_m.shape)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    sizes = [points] * (moments - 1) + [0]
    facing = rng.normal(size=(sum(sizes), 3))
    facing[::3] = 0.0  # unknown: any vertex will do
    points_m = rng.normal(scale=[0.12, 0.06, 0.04], size=facing.shape).astype(np.float32).astype(np.float64)
    start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Cloud(start, points_m, facing, np.zeros(moments), EYE_M), vertices_m, normals


def by_hand(cloud: Cloud, vertices_m: np.ndarray, normals: np.ndarray, k: int) -> np.ndarray:
    """(N,) m from point k to the vertices that it may have come from; infinite for the others."""
    x, n = vertices_m[cloud.moment[k]], normals[cloud.moment[k]]
    allowed = ((n * (EYE_M - x)).sum(-1) > 0) & (n @ cloud.normals[k] >= 0)
    return np.where(allowed, np.linalg.norm(x - cloud.points_m[k], axis=-1), np.inf)


@pytest.mark.parametrize("gate_m", [0.004, 0.01, 0.045, 0.5])
def test_nearest_vertex_is_that_of_a_search_through_all(gate_m):
    cloud, vertices_m, normals = scene(0)
    found = nearest_vertices(cloud, vertices_m, normals, gate_m)
    for k, vertex in enumerate(found):
        away_m = by_hand(cloud, vertices_m, normals, k)
        if away_m.min() < gate_m - 1e-6:
            assert vertex >= 0
            assert away_m[vertex] == pytest.approx(away_m.min(), abs=1e-6)
        elif away_m.min() > gate_m + 1e-6:
            assert vertex == -1
    assert (found >= 0).any()
