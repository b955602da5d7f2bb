"""Mesh hierarchy and decoder blocks."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from hoi_core.errors import AssetError
from hoi_core.mano import ManoLayer
from learning.layers import mesh_hierarchy
from learning.layers.mesh import SpliteConv, VertexMap
from learning.layers.mesh_hierarchy import (
    barycentric_matrix,
    build_hierarchy,
    decimate,
    kept_hierarchy,
    spiral_indices,
)


@pytest.fixture(scope="module")
def hand():
    return ManoLayer.stand_in("right").model


@pytest.fixture(scope="module")
def levels(hand):
    return build_hierarchy(hand.v_template, hand.faces)


def test_levels_have_the_published_sizes(levels):
    assert levels.sizes == (778, 389, 195, 98, 49)


def test_levels_are_kept_for_the_next_time(hand, levels, tmp_path, monkeypatch):
    """The second call reads what the first one built, and both are what building gives; another mesh is another."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    built: list[int] = []

    def build(vertices_m, faces, spiral_length):
        built.append(len(vertices_m))
        return levels

    monkeypatch.setattr(mesh_hierarchy, "build_hierarchy", build)
    for _ in range(2):
        found = kept_hierarchy(hand.v_template, hand.faces)
        for field in fields(levels):
            pairs = zip(getattr(found, field.name), getattr(levels, field.name), strict=True)
            assert all(np.array_equal(a, b) and a.dtype == np.asarray(b).dtype for a, b in pairs)
    assert built == [778]
    kept_hierarchy(hand.v_template * 1.01, hand.faces)
    kept_hierarchy(hand.v_template, hand.faces, 10)
    assert built == [778] * 3


def test_upsampling_rows_are_barycentric(levels):
    for matrix, fine, coarse in zip(levels.upsampling, levels.sizes, levels.sizes[1:], strict=False):
        assert matrix.shape == (fine, coarse)
        np.testing.assert_allclose(matrix.sum(1), 1.0, atol=1e-12)
        assert (matrix >= 0).all()
        assert ((matrix > 0).sum(1) <= 3).all()


def test_coarser_levels_are_selections_that_upsample_to_themselves(levels):
    for k, selection in enumerate(levels.selections):
        np.testing.assert_array_equal(levels.vertices_m[k][selection], levels.vertices_m[k + 1])
        np.testing.assert_allclose(levels.upsampling[k][selection], np.eye(len(selection)), atol=1e-9)


def test_every_level_is_a_manifold_that_uses_every_vertex(levels):
    for vertices, faces in zip(levels.vertices_m, levels.faces, strict=True):
        assert set(faces.ravel()) == set(range(len(vertices)))
        directed = [(int(f[k]), int(f[(k + 1) % 3])) for f in faces for k in range(3)]
        assert len(directed) == len(set(directed)), "two faces run along an edge in the same direction"


def test_upsampling_stays_near_the_hand(levels):
    """Each level put back on the finer one is off by a small part of the hand."""
    for k, limit_mm in enumerate((1.0, 2.0, 3.5, 7.0)):
        back = levels.upsampling[k] @ levels.vertices_m[k + 1]
        assert np.linalg.norm(back - levels.vertices_m[k], axis=1).mean() * 1000 < limit_mm


def test_spirals_start_at_the_vertex_and_take_its_ring_first(hand, levels):
    ring = [set() for _ in hand.v_template]
    for a, b, c in hand.faces:
        ring[a] |= {b, c}
        ring[b] |= {a, c}
        ring[c] |= {a, b}
    spirals = levels.spirals[0]
    assert spirals.shape == (778, 9)
    for v in range(778):
        assert spirals[v, 0] == v
        assert len(set(spirals[v])) == 9
        n = min(8, len(ring[v]))
        assert set(spirals[v, 1 : 1 + n]) <= ring[v]


def test_spiral_of_a_lonely_triangle_takes_what_is_nearest():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [9, 9, 9], [5, 5, 5]], float)
    assert spiral_indices(vertices, np.array([[0, 1, 2]]), 5)[0].tolist() == [0, 1, 2, 4, 3]


def test_barycentric_of_known_points():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], float)
    points = np.array([[0.25, 0.5, 0.3], [-1.0, -1.0, 0.0], [0.5, -2.0, 0.0]])
    expected = [[0.25, 0.25, 0.5], [1, 0, 0], [0.5, 0.5, 0]]
    np.testing.assert_allclose(barycentric_matrix(points, vertices, np.array([[0, 1, 2]])), expected, atol=1e-12)


def test_a_mesh_that_cannot_be_decimated_says_so():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
    with pytest.raises(AssetError, match="stuck at"):
        decimate(vertices, np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]]), 1)


def test_vertex_map_is_a_matrix_product():
    matrix = torch.rand(7, 4)
    x = torch.rand(2, 5, 4, 1)
    expected = torch.einsum("vn,bcno->bcvo", matrix, x)
    torch.testing.assert_close(VertexMap(matrix, learned=False)(x), expected)
    assert not VertexMap(matrix, learned=False).linear.weight.requires_grad


@pytest.mark.parametrize("keep", [True, False])
def test_splite_conv_is_a_loop_over_spirals(keep):
    torch.manual_seed(0)
    spirals = np.array([[0, 1, 2], [1, 2, 0], [2, 3, 1], [3, 0, 2]])
    layer = SpliteConv(8, 6, spirals, part=0.25, keep=keep)
    x = torch.rand(2, 8, 4, 1)
    rows = []
    for v in range(4):
        gathered = torch.cat([x[:, :2, w, 0] for w in spirals[v]], dim=1)
        y = gathered @ layer.conv.weight.T + layer.conv.bias
        if keep:
            y = torch.cat([y, x[:, 2:, v, 0]], dim=1) @ layer.mix.weight[:, :, 0, 0].T + layer.mix.bias
        rows.append(y)
    torch.testing.assert_close(layer(x)[..., 0], torch.stack(rows, dim=2))


def test_weights_of_the_papers_layer():
    """Table 3's layer, 64 -> 32 channels with spirals of 10: 5,120 weights read literally, 4,608 with PConv."""
    spirals = np.tile(np.arange(10), (778, 1))

    def weights(layer):
        return sum(p.numel() for name, p in layer.named_parameters() if name.endswith("weight"))

    assert weights(SpliteConv(64, 32, spirals, keep=False)) == 5120
    assert weights(SpliteConv(64, 32, spirals, keep=True)) == 4608
