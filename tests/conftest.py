"""Settings of all tests."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# A test of the native engine must not be answered by ONNX Runtime, which is faster with so small networks.
os.environ.setdefault("HOI_HAND_OVER", "1")

# A busy machine is no failure: no test asserts a time.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

_FIRST = (
    "hoi_cli/test_rehearsal.py",
    "annotate/document/test_session.py",
    "learning/test_processes.py",
    "hoi_core/test_aarch64.py",
    "learning/test_splite.py",
    "hoi_core/test_ik.py",
    "learning/test_pipeline.py",
    "dataset_tools/test_scenes.py",
    "annotate/objects/test_track.py",
    "learning/test_models.py",
    "capture/test_calibrate_views.py",
    "learning/test_kill.py",
    "hoi_cli/test_train.py",
)
"""Files that take longest or compile most, so that no worker is left with one of them at the end. Those that compile
take turns with others: what one worker has compiled the other then finds on disk."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put those files first; `--no-loadscope-reorder` keeps the order among several workers."""
    places = {path: place for place, path in enumerate(_FIRST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0].removeprefix("tests/"), len(places)))


_OUTPUTS = {
    "control_points": {"rotations": (16, 6), "betas": (10,), "joints": (21, 2), "confidence": (21,),
                       "control": (21, 2, 16), "trust": (21, 16)},
    "object_pose": {"pose": (48,), "betas": (10,), "joints": (21, 2), "confidence": (21,), "object": (9,)},
}  # fmt: skip
_THIRD = {"control_points": ("object_box", ["batch", 4]), "object_pose": ("object_number", ["batch"])}


@pytest.fixture(scope="session")
def fixed_grasps() -> Callable[..., Path]:
    """Writes a network of hands with objects that says the same of every image, as an exported file.

    `fixed_grasps(folder, task, objects={"mug": (low_m, high_m)}, learn="joint", hand_model="stand-in", **said)`: what
    is said is without the batch; what is not told is a flat hand whose joints are seen in the middle of its box, read
    surely, with an object that nobody is sure of.
    """
    return _write_fixed_grasps


def _write_fixed_grasps(folder, task, *, objects=None, learn="joint", hand_model="stand-in", **said):
    import json

    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from hoi_core import crop as crops
    from hoi_core import runtime
    from hoi_core.edges import EdgeParams

    flat = {"rotations": np.tile([1.0, 0, 0, 0, 1, 0], (16, 1)), "joints": np.full((21, 2), 0.5),
            "confidence": np.full(21, 0.9), "object": np.array([0, 0, 0.2, 1, 0, 0, 0, 1, 0.0])}  # fmt: skip
    values = {name: np.broadcast_to(np.float32(said.get(name, flat.get(name, 0.0))), shape)[None].copy()
              for name, shape in _OUTPUTS[task].items()}  # fmt: skip
    nodes = [helper.make_node("Constant", [], [k], value=numpy_helper.from_array(v)) for k, v in values.items()]
    outputs = [helper.make_tensor_value_info(k, TensorProto.FLOAT, v.shape) for k, v in values.items()]
    third, shape = _THIRD[task]
    shapes = {"image": ["batch", 3, 64, 64], "hand_box": ["batch", 4], third: shape}
    inputs = [helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in shapes.items()]
    graph = helper.make_graph(nodes, "fixed", inputs, outputs)
    path = folder / f"{task}.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    about = [{"name": n, "low_m": list(low), "high_m": list(high)} for n, (low, high) in (objects or {}).items()]
    sidecar = runtime.Sidecar(
        model="fixed", precision="fp32", sha256=runtime.file_hash(path), size=64, edges=EdgeParams(), crop_scale=1.0,
        length_unit_m=crops.LENGTH_UNIT_M, root_unit_m=crops.ROOT_UNIT_M, joint_order="openpose21", tips="smplx",
        side="right", hand_model=hand_model, licence="none", task=task, input="rgb",
        training={"objects": about, "options": {"learn": learn}},
    )  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(sidecar.to_dict()))
    return path
