"""The contract of every file in learning/models: it builds, says what its task asks, learns everywhere, exports."""

from inspect import signature

import pytest
import torch

from hoi_core import config, plugins
from hoi_core.onnx_session import onnx_session
from learning import inputs, models, quantize
from learning.export import write_onnx
from learning.int8_proof import prove
from learning.layers.rows import Pointwise
from learning.qdq import integer_network
from learning.tasks import task_of

SMALL = {
    "cvae": [
        {
            "width": 0.125,
            "layers": 0.1,
            "features": 16,
            "cells": 8,
            "encoder": "resnet18",
            "separable": True,
            "hand_attention": False,
            "object_attention": False,
            "latent": 8,
        },
        {"width": 0.125, "layers": 0.1, "features": 16, "cells": 8, "attention_width": 8, "latent": 8, "objects": 3},
    ],
    "splite": [{"width": 8, "head_channels": 32}],
    "mobrecon": [
        {"width": 8, "latent": 32},
        {"width": 8, "latent": 32, "backbone": "resnet18", "decoder": "splite", "input": "edges"},
    ],
    "keypoints2d": [{"width": 0.25}, {"width": 0.5, "variant": "slim"}],
    "hand_detector": [{"width": 8, "head_channels": 16}],
    "hfl": [{"encoder": "resnet18", "features": 16, "cells": 4, "width": 0.125, "layers": 0.1}],
    "ik_net": [{"width": 8}, {"width": 8, "dof": 45, "shape": "known"}],
    "i2l": [{"width": 0.125, "layers": 0.1, "lixels": 8}],
    "lite_i2l": [
        {"width": 0.125, "layers": 0.1, "lixels": 8, "block": "mbconv", "activation": "silu", "depth_rank": 8}
    ],
}
CASES = [(name, options) for name in plugins.names("learning.models") for options in SMALL.get(name, [{}])]


@pytest.fixture(params=CASES, ids=lambda case: "-".join(str(x) for x in (case[0], *case[1].values())))
def case(request):
    name, options = request.param
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return name, models.build(name, **options), shown(name, options)


def shown(name, options):
    """Two samples of what the network sees: images as sparse as edges are, anything else near the model's example."""
    kind = plugins.load("learning.models", name).Config
    examples = inputs.example(name, config.from_dict(kind, options, name), 64, 2)
    return tuple(
        torch.rand_like(x) * (torch.rand_like(x[:, :1]) > 0.8) if x.dim() == 4 else x + torch.rand_like(x)
        for x in examples
    )


def test_model(case, tmp_path):
    name, network, given = case
    module, exported = plugins.load("learning.models", name), task_of(name).EXPORTED
    assert tuple(signature(network.forward).parameters)[: len(given)] == exported.INPUTS
    assert set(exported.INPUT_MEANINGS) == {*exported.INPUTS} - {"image"}
    assert "image" not in exported.INPUTS or module.Config().input in ("edges", "rgb")
    raw = network.train()(*given)
    assert len(raw) >= len(exported.OUTPUTS)  # behind them, what only losses read
    assert all(len(values) == 2 and torch.isfinite(values).all() for values in raw)
    sum((values * torch.randn_like(values)).sum() for values in raw).backward()
    still = [key for key, p in network.named_parameters() if p.requires_grad and not (p.grad != 0).any()]
    assert not still, "weights that nothing depends on"
    network.eval()
    write_onnx(network, tmp_path / "model.onnx", tuple(x[:1] for x in given), exported.OUTPUTS, exported.INPUTS)
    feed = {name: x.numpy() for name, x in zip(exported.INPUTS, given, strict=True)}
    found = onnx_session(tmp_path / "model.onnx", 1).run(list(exported.OUTPUTS), feed)
    with torch.no_grad():
        for values, expected in zip(found, network(*given), strict=True):
            torch.testing.assert_close(torch.from_numpy(values), expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", [n for n in plugins.names("learning.models") if n != "splite"])  # see test_pipeline
def test_int8(name, tmp_path):
    """Quantisation-aware steps, integers, and ONNX Runtime's profiler, which must find no layer in float by mistake."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    options = SMALL.get(name, [{}])[-1]
    network, given = models.build(name, **options), shown(name, options)
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(1.0 + 0.1 * torch.rand_like(weights))  # equal integers would be written once, under one name
    network.train()(*given)  # batch norms see something before they are folded
    prepared = quantize.prepare(network.eval(), given).train()
    optimizer = torch.optim.SGD(prepared.parameters(), lr=1e-4)
    for _ in range(2):
        optimizer.zero_grad()
        sum(values.square().mean() for values in prepared(*given)).backward()
        optimizer.step()
    exported = task_of(name).EXPORTED
    simulated = quantize.freeze_observers(prepared).eval()
    write_onnx(integer_network(simulated), tmp_path / "int8.onnx", given, exported.OUTPUTS, exported.INPUTS)
    proof = prove(tmp_path / "int8.onnx")
    modules = dict(network.named_modules())
    kinds, left_out = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Linear), getattr(network, "TRAINED_ONLY", ())
    layers = {key for key, m in modules.items() if isinstance(m, kinds) and not key.startswith(tuple(left_out))}
    heads = {key for key in layers if isinstance(modules[key], Pointwise)}
    assert {layer.name for layer in proof.layers} == (layers - heads) | {f"{key}.linear" for key in heads}
    assert proof.in_float == ()
    assert proof.integer_share == 1.0
    assert all(any(key.startswith(head) for key in modules) for head in network.HEADS)
