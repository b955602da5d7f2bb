"""What `hoi-info --compile` leaves behind: the functions that a first fit, drag, image or hand would wait for."""

import importlib

import pytest

from hoi_cli import _rehearsal

NEEDED = {
    "labels": (
        "annotate._nearest.match_points",
        "annotate._kernels.add_rows",
        "annotate.selected_inverse._invert",
        "annotate.objects._follow.best_pose",
        "capture.simulation.noise._stereo",
    ),
    "images": ("dataset_tools.synth._shading.radiance", "dataset_tools.synth._posing.skinned"),
    "angles": ("hoi_core.ik._solve.levenberg_marquardt", "hoi_core.ik._solve.adam"),
}


@pytest.mark.parametrize("part", NEEDED)
def test_everything_that_is_needed_is_compiled(part):
    getattr(_rehearsal, part)()
    for name in NEEDED[part]:
        module, _, function = name.rpartition(".")
        assert getattr(importlib.import_module(module), function).signatures, name
