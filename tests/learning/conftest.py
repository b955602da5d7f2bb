"""A small SPLite as an exported file, for the tests of what runs it."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from hoi_core import crop as crops
from hoi_core import runtime
from hoi_core.edges import EdgeParams
from learning import inputs
from learning.export import write_onnx
from learning.layers.mesh_hierarchy import MeshHierarchy
from learning.layers.sparse import fold_batch_norms
from learning.models._splite_network import SpliteNetwork
from learning.models.splite import Config


def tiny_mesh() -> MeshHierarchy:
    """Levels of few vertices, with the shapes and sparse rows of a hand's; nothing here reads them as a surface."""
    rng = np.random.default_rng(0)
    sizes = (31, 20, 14, 11, 9)
    upsampling = []
    for fine, coarse in pairwise(sizes):
        rows = np.zeros((fine, coarse))
        for row in rows:
            row[rng.choice(coarse, 3, replace=False)] = rng.dirichlet(np.ones(3))
        upsampling.append(rows)
    spirals = tuple(np.stack([rng.permutation(n)[:9] for _ in range(n)]) for n in sizes)
    corners = tuple(rng.uniform(-0.1, 0.1, (n, 3)) for n in sizes)
    return MeshHierarchy(corners, (), (), tuple(upsampling), spirals)


def exported(folder: Path, size: int = 64, **options: object) -> Path:
    """A small SPLite of fresh weights, ready to load."""
    torch.manual_seed(0)
    network = SpliteNetwork(Config(**{"width": 8, "head_channels": 16, **options}), tiny_mesh()).eval()
    with torch.no_grad():
        # Fresh heads say nearly the same of every image.
        for name, weight in network.named_parameters():
            if name.startswith(("heatmap", "depth_out", "decoder.head.conv")):
                weight.mul_(10.0)
    for module in network.encoder.modules():
        if hasattr(module, "running_var"):
            torch.nn.init.uniform_(module.running_mean, -0.3, 0.3)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
    path = folder / "hand.onnx"
    write_onnx(fold_batch_norms(network), path, inputs.image(size), runtime.HandModel.OUTPUTS)
    about = runtime.Sidecar(
        model="splite", precision="fp32", sha256=runtime.file_hash(path), size=size, edges=EdgeParams(),
        crop_scale=1.3, length_unit_m=crops.LENGTH_UNIT_M, root_unit_m=crops.ROOT_UNIT_M, joint_order="openpose21",
        tips="smplx", side="right", hand_model="stand-in", licence="none",
    )  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(about.to_dict()))
    return path


@pytest.fixture(scope="session")
def exported_splite() -> Callable[..., Path]:
    """Writes it into a folder, 64 px unless told otherwise; further arguments are options of SPLite."""
    return exported
