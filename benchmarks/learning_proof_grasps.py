"""What helps hand and object from one image? The ablations of HFL-Net and of the cross-model CVAE, trained alike.

python benchmarks/learning_proof_grasps.py proof/grasps_cpu --data data --steps 1000 --flags '--size 64' --cells 8
python benchmarks/learning_proof_grasps.py proof/grasps_gpu --data data --steps 40000 --device cuda --flags '--size 256'

Runs and writes as `learning_proof.py` does, with the same flags, on `graspbench`. What the ablations compare are small
networks: the layers of the papers', in fewer channels. `--cells` is best an eighth of the side of the image, as the
paper's 32 are of 256 px; `lite` has half of it, as in its preset.
"""

from __future__ import annotations

import argparse
import shlex

from learning_proof import Case, main
from learning_proof_report import Comparison

_SMALL = "--encoder resnet18 --separable"
HFL = ("--model", "hfl", *shlex.split(f"{_SMALL} --width 0.5 --features 64 --activation relu"))
LITE = ("--model", "hfl", *shlex.split(f"{_SMALL} --width 0.75 --features 128 --activation relu"))
CVAE = ("--model", "cvae", *shlex.split(f"{_SMALL} --width 0.5 --features 128 --attention-width 32"))


def cases(cells: int) -> tuple[Case, ...]:
    """What is trained, by the number of cells that boxes are cut into."""
    at, half = (("--cells", str(number)) for number in (cells, max(4, cells // 2)))
    hfl, cvae = (*HFL, *at), (*CVAE, *at)
    return (
        Case("hfl", hfl),
        Case("hfl_single", (*hfl, "--streams", "single")),
        Case("hfl_double", (*hfl, "--streams", "double")),
        Case("hfl_not_from_object", (*hfl, "--object-to-hand", "none")),
        Case("hfl_self", (*hfl, "--object-to-hand", "self")),
        Case("hfl_cross", (*hfl, "--object-to-hand", "cross")),
        Case("cvae", cvae),
        Case("cvae_no_condition", (*cvae, "--no-condition")),
        Case("cvae_no_attention", (*cvae, "--no-hand-attention", "--no-object-attention")),
        Case("cvae_hand", (*cvae, "--learn", "hand")),
        Case("hfl_lite", (*LITE, *half)),
        Case("hfl_paper", ("--model", "hfl", *at)),
    )


def hand(name: str, first: str, second: str, most: float | None = None) -> Comparison:
    """Two cases by their aligned joints."""
    return Comparison(f"{name}, hand", (first, "rgb"), (second, "rgb"), "xyz_pa_mm", most)


def object_pose(name: str, first: str, second: str, most: float | None = None) -> Comparison:
    """Two cases by the share of objects whose pose is right."""
    return Comparison(f"{name}, object", (first, "rgb"), (second, "rgb"), "object_add01d", most)


def corners(name: str, first: str, second: str) -> Comparison:
    """Two cases by the corners of the objects' boxes, the wrists of both hands at one place."""
    return Comparison(f"{name}, object", (first, "rgb"), (second, "rgb"), "object_mce_rel_mm")


_HFL_ROWS = (
    ("harmonious streams against a single one", "hfl_single"),
    ("harmonious streams against two", "hfl_double"),
    ("object beside hand against none", "hfl_not_from_object"),
    ("object beside hand against self-attention", "hfl_self"),
    ("object beside hand against cross-attention", "hfl_cross"),
)
_CVAE_ROWS = (
    ("CVAE with condition against without", "cvae_no_condition"),
    ("CVAE with attention against without", "cvae_no_attention"),
)
COMPARISONS: tuple[Comparison, ...] = (
    *(make(name, "hfl", other) for name, other in _HFL_ROWS for make in (hand, object_pose, corners)),
    *(make(name, "cvae", other) for name, other in _CVAE_ROWS for make in (hand, object_pose, corners)),
    hand("CVAE, hand alone against joint training", "cvae_hand", "cvae"),
    hand("HFL-Net lite against the paper's", "hfl_lite", "hfl_paper", 1.0),
    object_pose("HFL-Net lite against the paper's", "hfl_lite", "hfl_paper", 0.03),
)
SHOWN = (
    "xyz_pa_mm",
    "mesh_pa_mm",
    "mpjpe_mm",
    "xyz_mm",
    "object_add01d",
    "object_mce_mm",
    "object_mce_rel_mm",
    "object_chamfer_mm",
    "penetration_mm",
)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--cells", type=int, default=32)
    own, others = parser.parse_known_args()
    main(["--dataset", "graspbench", *others], cases(own.cells), COMPARISONS, SHOWN)
