"""Write a small SPLite of fresh weights as an exported file: for checks of engines. Usage: fresh_splite.py OUT.onnx."""

import sys
from pathlib import Path

import torch

from hoi_core.runtime import HandModel
from learning import inputs
from learning.export import write_onnx
from learning.layers.sparse import fold_batch_norms
from learning.models._splite_network import SpliteNetwork
from learning.models.splite import Config

SIZE = 64

torch.manual_seed(0)
network = SpliteNetwork(Config(width=8, head_channels=16)).eval()
with torch.no_grad():
    # Fresh heads say nearly the same of every image: no difference between engines would show.
    for name, weight in network.named_parameters():
        if name.startswith(("heatmap", "depth_out", "decoder.head.conv")):
            weight.mul_(10.0)
write_onnx(fold_batch_norms(network), Path(sys.argv[1]), inputs.image(SIZE), HandModel.OUTPUTS)
