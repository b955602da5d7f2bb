"""Object figures: which moments count as held, and rotations that a symmetric object does not show."""

from dataclasses import replace

import numpy as np
import pytest

from annotate.compare import _held, _rotation_deg
from annotate.objects.symmetry import Symmetry
from hoi_core import rotation


def poses(axis_angles: np.ndarray, shift_m: np.ndarray | None = None) -> np.ndarray:
    out = np.tile(np.eye(4), (len(axis_angles), 1, 1))
    out[:, :3, :3] = rotation.exp_so3(axis_angles)
    if shift_m is not None:
        out[:, :3, 3] = shift_m
    return out


def test_held_is_away_from_where_it_began_and_ended() -> None:
    shift_m = np.zeros((6, 3))
    shift_m[:, 0] = [0.0, 0.004, 0.006, 0.05, 0.098, 0.1]
    assert _held(poses(np.zeros((6, 3)), shift_m)).tolist() == [False, False, True, True, False, False]
    turned = np.zeros((4, 3))
    turned[:, 2] = np.deg2rad([0.0, 2.0, 4.0, 0.0])
    assert _held(poses(turned)).tolist() == [False, False, True, False]


def test_turns_about_an_axis_of_revolution_are_no_error() -> None:
    about_z = np.array([[0.0, 0.0, 1.3], [0.0, 0.0, -2.0]])
    tilted = np.array([[0.02, 0.0, 0.0], [0.0, 0.0, 0.0]])
    T_true = poses(np.array([[0.4, -0.2, 0.1], [0.0, 0.9, 0.3]]))
    T = T_true @ poses(about_z) @ poses(tilted)
    found = _rotation_deg(T, T_true, Symmetry("revolution", (0.0, 0.0, 1.0)))
    np.testing.assert_allclose(found, np.rad2deg([0.02, 0.0]), atol=1e-6)
    assert _rotation_deg(T, T_true, Symmetry())[0] > 60.0
    assert _rotation_deg(T, T_true, Symmetry("sphere")).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("turns", [0, 1])
def test_the_nearest_of_the_listed_rotations_counts(turns: int) -> None:
    half = (0.0, 0.0, np.pi)
    T_true = poses(np.array([[0.4, -0.2, 0.1]]))
    T = T_true @ poses(np.array([half]) * turns) @ poses(np.array([[0.0, 0.01, 0.0]]))
    symmetry = replace(Symmetry("rotations"), rotations=(half,))
    np.testing.assert_allclose(_rotation_deg(T, T_true, symmetry), np.rad2deg(0.01), atol=1e-4)
