"""Depth points for the fit: where they may come from, and which way they face."""

from dataclasses import replace

import numpy as np

from annotate._depth_pixels import oriented_points
from annotate.evidence import starting_moments
from annotate.gather import near_edge
from hoi_core import camera as cameras
from hoi_core.types import Camera

CAMERA = Camera(160, 120, 150.0, 150.0, 80.0, 60.0, distortion_model="none")


def candidates(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and normals of the points in columns 20 to 140 and rows 20 to 100."""
    v, u = np.mgrid[0:120, 0:160].astype(float)
    rays = np.ascontiguousarray(cameras.rays(CAMERA, np.stack([u, v], -1))[..., :2])
    points_m, normals = oriented_points(image, rays, (20, 20, 140, 100), 1, 3, 0.001, 0.015)
    return np.rint(cameras.project(CAMERA, points_m)).astype(int), normals


def test_a_wall_gives_all_its_pixels_and_faces_the_camera() -> None:
    pixels, normals = candidates(np.full((120, 160), 500, np.uint16))
    assert len(pixels) == 120 * 80
    np.testing.assert_allclose(normals, np.tile([0.0, 0.0, -1.0], (len(normals), 1)), atol=1e-9)


def test_edges_and_holes_give_none() -> None:
    image = np.full((120, 160), 500, np.uint16)
    image[:, 80:] = 600
    image[50, 40] = 0
    pixels, _ = candidates(image)
    columns = set(pixels[:, 0])
    # Three pixels away from a point its depth must still be alike.
    assert {76, 83} <= columns
    assert not columns & {77, 78, 79, 80, 81, 82}
    lost = {(40, 50), (37, 50), (43, 50), (40, 47), (40, 53)}
    assert not lost & {tuple(p) for p in pixels.tolist()}
    assert (38, 50) in {tuple(p) for p in pixels.tolist()}


def test_first_guesses_start_from_moments_that_are_apart(scene) -> None:
    evidence = scene(0).evidence
    assert starting_moments(evidence).tolist() == list(range(0, 40, 5))
    every = replace(evidence, keypoints_px=np.zeros_like(evidence.keypoints_px), confidence=np.ones((40, 2, 21)))
    assert starting_moments(every).tolist() == list(range(0, 40, 5))
    alone = every.confidence * [[[1.0], [0.0]]]
    assert starting_moments(replace(every, confidence=alone)).tolist() == list(range(0, 40, 3))
    few = every.confidence.copy()
    few[10:, :, 6:] = 0.0  # three joints of the palm are left
    assert starting_moments(replace(every, confidence=few)).max() == 5


class Step:
    """A view whose depth is 0.5 m left of a column and 0.6 m right of it."""

    def __init__(self, column: float) -> None:
        self.column = column

    def depth_around_m(self, image: int, pixels: np.ndarray, reach_px: int) -> np.ndarray:
        return np.where(np.isnan(pixels[:, 0]), np.nan, np.where(pixels[:, 0] < self.column, 0.5, 0.6))


def test_depth_beside_an_edge_is_not_lifted() -> None:
    pixels = np.array([[50.0, 40.0], [76.0, 40.0], [83.0, 40.0], [90.0, 40.0], [np.nan, np.nan]])
    assert near_edge(Step(80.0), 0, pixels).tolist() == [False, True, True, False, False]
