"""The contract of every file in learning/models: it builds, says what its task asks, learns everywhere, exports."""

import pytest
import torch

from hoi_core import plugins
from hoi_core.onnx_session import onnx_session
from learning import models, quantize
from learning.export import write_onnx
from learning.int8_proof import prove
from learning.layers.rows import Pointwise
from learning.qdq import integer_network
from learning.tasks import task_of

SMALL = {
    "splite": [{"width": 8, "head_channels": 32}],
    "mobrecon": [
        {"width": 8, "latent": 32},
        {"width": 8, "latent": 32, "backbone": "resnet18", "decoder": "splite", "input": "edges"},
    ],
    "keypoints2d": [{"width": 0.25}, {"width": 0.5, "variant": "slim"}],
    "hand_detector": [{"width": 8, "head_channels": 16}],
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
    return name, models.build(name, **options)


def test_model(case, tmp_path):
    name, network = case
    module, outputs = plugins.load("learning.models", name), task_of(name).EXPORTED.OUTPUTS
    assert module.Config().input in ("edges", "rgb")
    image = torch.rand(2, 3, 64, 64) * (torch.rand(2, 1, 64, 64) > 0.8)
    raw = network.train()(image)
    assert len(raw) >= len(outputs)  # behind them, what only losses read
    assert all(len(values) == 2 and torch.isfinite(values).all() for values in raw)
    sum((values * torch.randn_like(values)).sum() for values in raw).backward()
    still = [key for key, p in network.named_parameters() if p.requires_grad and not (p.grad != 0).any()]
    assert not still, "weights that nothing depends on"
    network.eval()
    write_onnx(network, tmp_path / "model.onnx", 64, outputs)
    exported = onnx_session(tmp_path / "model.onnx", 1).run(list(outputs), {"image": image.numpy()})
    with torch.no_grad():
        for found, expected in zip(exported, network(image), strict=True):
            torch.testing.assert_close(torch.from_numpy(found), expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", [n for n in plugins.names("learning.models") if n != "splite"])  # see test_pipeline
def test_int8(name, tmp_path):
    """Quantisation-aware steps, integers, and ONNX Runtime's profiler, which must find no layer in float by mistake."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = models.build(name, **SMALL.get(name, [{}])[-1])
    image = torch.rand(2, 3, 64, 64) * (torch.rand(2, 1, 64, 64) > 0.8)
    network.train()(image)  # batch norms see something before they are folded
    prepared = quantize.prepare(network.eval(), image).train()
    optimizer = torch.optim.SGD(prepared.parameters(), lr=1e-4)
    for _ in range(2):
        optimizer.zero_grad()
        sum(values.square().mean() for values in prepared(image)).backward()
        optimizer.step()
    outputs = task_of(name).EXPORTED.OUTPUTS
    simulated = quantize.freeze_observers(prepared).eval()
    write_onnx(integer_network(simulated), tmp_path / "int8.onnx", 64, outputs)
    proof = prove(tmp_path / "int8.onnx")
    modules = dict(network.named_modules())
    layers = {key for key, m in modules.items() if isinstance(m, (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Linear))}
    heads = {key for key in layers if isinstance(modules[key], Pointwise)}
    assert {layer.name for layer in proof.layers} == (layers - heads) | {f"{key}.linear" for key in heads}
    assert proof.in_float == ()
    assert proof.integer_share == 1.0
    assert all(any(key.startswith(head) for key in modules) for head in network.HEADS)
