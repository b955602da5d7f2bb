"""The masked engine against a literal sparse convolution: dictionaries of sites, as MinkowskiEngine defines them."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from learning.layers.sparse import (
    MaskedBatchNorm2d,
    SparseBlock,
    SparseBottleneck,
    SparseConv2d,
    fold_batch_norms,
    site_mask,
)
from learning.models._sparse_resnet import SparseResNet

Sites = dict[tuple[int, int], np.ndarray]


def to_sites(x: torch.Tensor, mask: torch.Tensor) -> Sites:
    """(C, H, W) and (H, W) to site -> features."""
    return {(int(i), int(j)): x[:, i, j].double().numpy() for i, j in torch.nonzero(mask)}


def strided(sites: Sites, stride: int) -> set[tuple[int, int]]:
    return {(i // stride, j // stride) for i, j in sites}


def neighbours(sites: Sites, at, kernel, stride):
    half = kernel // 2
    for di in range(-half, half + 1):
        for dj in range(-half, half + 1):
            found = sites.get((at[0] * stride + di, at[1] * stride + dj))
            if found is not None:
                yield di + half, dj + half, found


def conv(sites: Sites, weight: np.ndarray, stride: int = 1) -> Sites:
    """`weight (C_out, C_in, k, k)`: sums over the sites that exist; strided sites are unique(floor(site / s))."""
    out = {}
    for at in strided(sites, stride):
        total = np.zeros(weight.shape[0])
        for a, b, features in neighbours(sites, at, weight.shape[2], stride):
            total += weight[:, :, a, b] @ features
        out[at] = total
    return out


def max_pool(sites: Sites) -> Sites:
    return {at: np.max([f for _, _, f in neighbours(sites, at, 3, 2)], axis=0) for at in strided(sites, 2)}


def norm(sites: Sites, bn: MaskedBatchNorm2d) -> Sites:
    """Batch norm over the sites, training statistics."""
    stacked = np.stack(list(sites.values()))
    mean, var = stacked.mean(0), stacked.var(0)
    scale = bn.weight.detach().double().numpy() / np.sqrt(var + bn.eps)
    return {at: (f - mean) * scale + bn.bias.detach().double().numpy() for at, f in sites.items()}


def relu(sites: Sites) -> Sites:
    return {at: np.maximum(f, 0) for at, f in sites.items()}


def block(sites: Sites, layer: SparseBlock, stride: int) -> Sites:
    def weight(c: SparseConv2d) -> np.ndarray:
        return c.conv.weight.detach().double().numpy()

    y = relu(norm(conv(sites, weight(layer.conv1), stride), layer.conv1.norm))
    y = norm(conv(y, weight(layer.conv2)), layer.conv2.norm)
    kept = sites
    if layer.shortcut is not None:
        kept = norm(conv(sites, weight(layer.shortcut), stride), layer.shortcut.norm)
    return relu({at: y[at] + kept[at] for at in y})


def bottleneck(sites: Sites, layer: SparseBottleneck, stride: int) -> Sites:
    def weight(c: SparseConv2d) -> np.ndarray:
        return c.conv.weight.detach().double().numpy()

    y = relu(norm(conv(sites, weight(layer.conv1)), layer.conv1.norm))
    y = relu(norm(conv(y, weight(layer.conv2), stride), layer.conv2.norm))
    y = norm(conv(y, weight(layer.conv3)), layer.conv3.norm)
    kept = norm(conv(sites, weight(layer.shortcut), stride), layer.shortcut.norm)
    return relu({at: y[at] + kept[at] for at in y})


def edges(seed: int, size: int, share: float = 0.1) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    on = (torch.rand(1, 1, size, size, generator=g) < share).float()
    return on * torch.rand(1, 3, size, size, generator=g).clamp(min=1 / 255)


def assert_same(dense: torch.Tensor, sites: Sites) -> None:
    expected = np.zeros(dense.shape)
    for (i, j), f in sites.items():
        expected[:, i, j] = f
    np.testing.assert_allclose(dense.detach().numpy(), expected, atol=2e-5)


@pytest.mark.parametrize("seed", range(3))
def test_encoder_is_the_literal_sparse_network(seed):
    """Stem 7x7/2, max-pool, a stride-1 and a strided stage, all with statistics over the sites."""
    torch.manual_seed(seed)
    net = SparseResNet(width=4).train()
    for module in net.modules():
        if isinstance(module, MaskedBatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    image = edges(seed, 64)
    sites = to_sites(image[0], image[0].amax(0) > 0)
    stem = net.stem
    sites = max_pool(relu(norm(conv(sites, stem.conv.weight.detach().double().numpy(), 2), stem.norm)))
    for i, (dense, stage) in enumerate(zip(net(image), net.stages, strict=True)):
        sites = block(block(sites, stage.blocks[0], 1 if i == 0 else 2), stage.blocks[1], 1)
        if len(sites) > 1:
            assert_same(dense[0], sites)


@pytest.mark.parametrize("stride", [1, 2])
def test_bottleneck_is_the_literal_sparse_block(stride):
    torch.manual_seed(0)
    layer = SparseBottleneck(3, 8, stride).train()
    image = edges(5, 32)
    sites = to_sites(image[0], image[0].amax(0) > 0)
    got = layer(image, site_mask(image, 1), site_mask(image, stride))
    assert_same(got[0], bottleneck(sites, layer, stride))


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_sparse_and_dense_differ_in_the_masks_alone(backbone):
    """Where every pixel is a site they are the same network; elsewhere the dense one computes beside the sites too."""
    torch.manual_seed(0)
    sparse, dense = (SparseResNet(4, backbone=backbone, sparse=s).train() for s in (True, False))
    dense.load_state_dict(sparse.state_dict())
    full, few = torch.rand(2, 3, 64, 64) + 0.1, edges(6, 64, 0.002)
    for a, b in zip(sparse(full), dense(full), strict=True):
        torch.testing.assert_close(a, b, atol=2e-4, rtol=1e-3)
    counts = [[int((features != 0).sum()) for features in net.eval()(few)] for net in (sparse, dense)]
    assert all(a < b for a, b in zip(*counts, strict=True))


@pytest.mark.parametrize(("backbone", "parameters"), [("resnet18", 11_176_512), ("resnet50", 23_508_032)])
def test_bodies_have_the_published_size(backbone, parameters):
    """The common ResNets (11.69 and 25.56 M) less their last layers of 513,000 and 2,049,000."""
    with torch.device("meta"):
        network = SparseResNet(64, backbone=backbone)
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize("stride", [1, 2, 4, 8, 16, 32])
def test_sites_are_unique_floor_of_site_over_stride(stride):
    image = edges(1, 64, 0.01)
    expected = {(i // stride, j // stride) for _, i, j in torch.nonzero(image.amax(1)).tolist()}
    got = {(i, j) for i, j in torch.nonzero(site_mask(image, stride)[0, 0]).tolist()}
    assert got == expected


def test_masked_norm_equals_batch_norm_over_the_gathered_sites():
    torch.manual_seed(0)
    x = torch.randn(2, 5, 6, 7, dtype=torch.double)
    mask = (torch.rand(2, 1, 6, 7) < 0.4).double()
    ours, theirs = MaskedBatchNorm2d(5).double(), torch.nn.BatchNorm1d(5).double()
    on = mask[:, 0] > 0
    got = ours(x, mask).permute(0, 2, 3, 1)[on]
    expected = theirs(x.permute(0, 2, 3, 1)[on])
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    torch.testing.assert_close(ours.eval()(x, mask).permute(0, 2, 3, 1)[on], theirs.eval()(x.permute(0, 2, 3, 1)[on]))


def test_masked_norm_gradients():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 4, dtype=torch.double, requires_grad=True)
    mask = (torch.rand(2, 1, 4, 4) < 0.5).double()
    layer = MaskedBatchNorm2d(3).double()

    def function(x, weight, bias):
        layer.weight, layer.bias = torch.nn.Parameter(weight), torch.nn.Parameter(bias)
        del layer._parameters["weight"], layer._parameters["bias"]
        layer.weight, layer.bias = weight, bias
        return layer(x, mask) * mask

    weight = torch.rand(3, dtype=torch.double, requires_grad=True)
    bias = torch.rand(3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(function, (x, weight, bias))


def test_folding_changes_nothing():
    torch.manual_seed(0)
    net = SparseResNet(width=4)
    for _ in range(3):
        net.train()(edges(2, 64))
    net.eval()
    image = edges(3, 64)
    before = net(image)
    after = fold_batch_norms(net)(image)
    assert not any(isinstance(m, MaskedBatchNorm2d) for m in net.modules())
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_an_empty_image_stays_empty_and_finite():
    net = SparseResNet(width=4).train()
    for features in net(torch.zeros(2, 3, 64, 64)):
        assert (features == 0).all()


def test_values_off_the_sites_never_matter():
    net = SparseResNet(width=4).eval()
    image = edges(4, 64, 0.05)
    for features, stride in zip(net(image), (4, 8, 16, 32), strict=True):
        assert (features * (1 - site_mask(image, stride)) == 0).all()
        assert F.relu(-features).sum() == 0
