from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataset_tools.readers import graspbench, synthbench
from hoi_core.errors import DatasetError


def test_it_is_the_grasps_of_the_benchmark_beside_it(tmp_path: Path) -> None:
    synthbench.tiny(tmp_path / "synthbench")
    root = tmp_path / "graspbench"
    keys = graspbench.index(root, "test")
    assert keys
    assert keys == [key for key in synthbench.index(tmp_path / "synthbench", "test") if key.startswith("test_grasps/")]
    sample = graspbench.read(root, keys[0])
    assert sample.dataset == "graspbench"
    assert [each.name for each in sample.objects] == ["mug"]
    assert graspbench.objects(root) == {"mug": None}
    other = graspbench.other_view(root, keys[0])
    assert other in keys
    assert graspbench.group(keys[0]) == graspbench.group(str(other))
    assert graspbench.visible(root, keys[0]).shape == (21,)
    np.testing.assert_array_equal(
        graspbench.segmentation(root, keys[0]), synthbench.segmentation(tmp_path / "synthbench", keys[0])
    )
    assert "not synthbench 1 as recorded" in graspbench.about(root)
    assert "fingers" not in graspbench.about(root)


def test_it_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="found no test_grasps"):
        graspbench.index(tmp_path / "graspbench", "test")
