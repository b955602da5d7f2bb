"""RoIAlign by hand, by ONNX Runtime's own operator and by finite differences; the feature pyramid by its definition."""

import numpy as np
import onnx
import pytest
import torch
from torch.nn import functional as F

from hoi_core.onnx_session import onnx_session
from learning.layers.fpn import FeaturePyramid
from learning.layers.roi_align import RoIAlign, roi_align

BOXES = {
    "inside": (9.3, 17.0, 40.2, 51.9),
    "whole": (-0.5, -0.5, 63.5, 63.5),
    "over the edge": (-20.0, 30.0, 25.0, 90.0),
    "outside": (200.0, 200.0, 260.0, 240.0),
    "no area": (30.0, 30.0, 30.0, 30.0),
    "smaller than a cell": (30.0, 30.0, 31.0, 30.5),
}


def ramp(rows: int, columns: int) -> torch.Tensor:
    """Features whose values are where they are: the column, and the row, of each cell."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack([x, y])[None].double()


def test_of_a_ramp_it_gives_the_centres_of_the_cells():
    """Bilinear samples of a linear function are exact, so each cell holds the place of its own middle."""
    box = torch.tensor([[8.5, 13.5, 40.5, 45.5]], dtype=torch.double)
    made = roi_align(ramp(16, 16), box, 4, 4)
    # Pixel 8.5 is 9 in continuous coordinates, 2.25 cells, and the centre of cell 0 is one half: 1.75.
    centres = torch.tensor([2.75, 4.75, 6.75, 8.75], dtype=torch.double)
    torch.testing.assert_close(made[0, 0], centres.expand(4, 4))
    torch.testing.assert_close(made[0, 1], (centres + 1.25)[:, None].expand(4, 4))


def test_a_box_off_the_image_reads_its_border_and_then_zeros():
    x = torch.ones(1, 1, 4, 4)
    made = roi_align(x, torch.tensor([[-16.5, -0.5, 15.5, 15.5]]), 4, 4, samples=1)
    # Samples lie at columns -3.5, -1.5, 0.5 and 2.5 of the map.
    torch.testing.assert_close(made[0, 0], torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(4, 4))
    assert roi_align(x, torch.tensor([[90.0, 90.0, 99.0, 99.0]]), 4, 4).abs().max() == 0


@pytest.mark.filterwarnings("ignore")  # the tracer says that sizes become constants, as they should
@pytest.mark.parametrize("samples", [1, 2])
def test_the_exported_operator_gives_the_same(tmp_path, samples):
    """ONNX Runtime's RoiAlign, of each image its own box, in a batch of another size than it was exported with."""
    torch.manual_seed(0)
    layer, path = RoIAlign(5, 4, samples), tmp_path / "roi.onnx"
    torch.onnx.export(
        layer,
        (torch.zeros(1, 3, 16, 16), torch.zeros(1, 4)),
        str(path),
        dynamo=False,
        opset_version=17,
        input_names=["x", "box"],
        output_names=["y"],
        dynamic_axes={name: {0: "batch"} for name in ("x", "box", "y")},
    )
    assert "RoiAlign" in {node.op_type for node in onnx.load(path).graph.node}
    x, box = torch.randn(len(BOXES), 3, 16, 16), torch.tensor(list(BOXES.values()))
    found = onnx_session(path, 1).run(None, {"x": x.numpy(), "box": box.numpy()})[0]
    np.testing.assert_allclose(found, layer(x, box).numpy(), atol=1e-5)


def test_gradients_are_those_of_finite_differences_and_none_goes_to_the_box():
    torch.manual_seed(0)
    box = torch.tensor([[3.0, 2.0, 17.0, 21.0], [-9.0, 4.0, 6.0, 30.0]], dtype=torch.double, requires_grad=True)
    x = torch.randn(2, 2, 6, 6, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: roi_align(t, box.detach(), 3, 4), (x,))
    roi_align(x, box, 3, 4).sum().backward()
    assert box.grad is None


def test_the_pyramid_is_the_sum_of_its_sides():
    """With two maps written out, and gradients to both."""
    torch.manual_seed(0)
    pyramid = FeaturePyramid((3, 5), 4).double()
    fine, coarse = torch.randn(1, 3, 8, 8).double(), torch.randn(1, 5, 4, 4).double()
    top = F.interpolate(pyramid.sides[1](coarse), size=(8, 8), mode="bilinear", align_corners=False)
    torch.testing.assert_close(pyramid([fine, coarse]), pyramid.smooth(pyramid.sides[0](fine) + top))
    count = sum(p.numel() for p in pyramid.parameters())
    assert count == (3 * 4 + 4) + (5 * 4 + 4) + (9 * 4 * 4 + 4)
    assert FeaturePyramid((3, 5), 4, separable=True)([fine.float(), coarse.float()]).shape == (1, 4, 8, 8)
    maps = [m.detach().requires_grad_() for m in (fine[..., :4, :4], coarse[..., :2, :2])]
    assert torch.autograd.gradcheck(lambda *m: pyramid(m), maps, fast_mode=True)
