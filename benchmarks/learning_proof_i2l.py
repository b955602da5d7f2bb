"""Is a lighter I2L-MeshNet as good? Its blocks, its slim depth layers and the original, trained alike on the benchmark.

python benchmarks/learning_proof_i2l.py proof/i2l --data data --minutes-per-case 20 --flags '--size 128 --width 0.5'
python benchmarks/learning_proof_i2l.py proof/i2l_gpu --data data --steps 20000 --device cuda --flags '--size 256'

Runs and writes as `learning_proof.py` does, with the same flags.
"""

from __future__ import annotations

from learning_proof import MEAN_HAND, Case, main
from learning_proof_report import Comparison

LITE = ("--model", "lite_i2l")
CASES: tuple[Case, ...] = (
    Case("lite_i2l", LITE),
    Case("lite_i2l_slim", (*LITE, "--depth-rank", "64")),
    Case("lite_i2l_a", (*LITE, "--block", "separable")),
    Case("lite_i2l_b", (*LITE, "--block", "mbconv")),
    Case("i2l", ("--model", "i2l")),
    Case("lite_i2l_int8", start="lite_i2l", export=("--int8", "--ptq", "256")),
)


def compared(name: str, first: str, second: str, figure: str = "xyz_pa_mm", at_most: float | None = None) -> Comparison:
    """Two cases, both shown colours."""
    return Comparison(name, (first, "rgb"), (second, "rgb"), figure, at_most)


COMPARISONS: tuple[Comparison, ...] = (
    compared("Lite I2L-MeshNet against the mean hand, joints aligned", "lite_i2l", MEAN_HAND),
    compared("Lite I2L-MeshNet against the mean hand, wrist given", "lite_i2l", MEAN_HAND, "mpjpe_mm"),
    compared("block C against block A, joints", "lite_i2l", "lite_i2l_a"),
    compared("block C against block A, mesh", "lite_i2l", "lite_i2l_a", "mesh_pa_mm"),
    compared("block C against block B, joints", "lite_i2l", "lite_i2l_b"),
    compared("slim against full depth layers, joints", "lite_i2l_slim", "lite_i2l", at_most=0.2),
    compared("slim against full depth layers, mesh", "lite_i2l_slim", "lite_i2l", "mesh_pa_mm", 0.2),
    compared("lite against the original, joints", "lite_i2l", "i2l"),
    compared("post-training quantisation, joints", "lite_i2l_int8", "lite_i2l"),
)

if __name__ == "__main__":
    main(None, CASES, COMPARISONS)
