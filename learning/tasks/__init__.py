"""What a network is trained to say: one file per task, found by file name.

Training, export and evaluation know no model: the file of a model names its task (`TASK`), and its `Config.input` what
it is shown.

A task offers `EXPORTED` (the class of `hoi_core` that runs its files and names its inputs and outputs), `IN_SPACE`
(whether it needs joints in space), `DATA` (the dataset that it learns from: `HandDataset`, or one that is made alike
and has its `sizes`, `weights`, `licences`, `stack` and `as_batch`; its `facts`, if it has any, are kept with the run),
`losses`, and `differences` between two networks with the largest that are no defect. Where its networks are shown other
things than one image, `inputs` makes these of a batch, and `training_inputs` what they are given besides while they
train (`learning.inputs`). Where its losses compare the two views of a pair, it says `PAIRS = True`. Where its networks
say something of one hand in a crop, also what evaluation asks for: `errors` of each sample, by name of the figure that
is their mean, the one that hands are `RANKED_BY`, and `pixels`, where the joints are said to be in the crop; of joints
and mesh in space also `as_hand`, the same in the words of the task `hand`; where they say something of the object too,
what they say of both is its `grasps`, a `learning.grasp_errors.SaidGrasps`, and `errors` has those of `object_errors`
in it. Where they find hands in whole images, `truths` of a batch and what was `said` of it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from torch import Tensor

from hoi_core import plugins

Raw = tuple[Tensor, ...]
"""What a network gives, in the order of its task's outputs; in training, behind them, what only its losses read."""
Loss = Callable[[Raw, Any], tuple[Tensor, dict[str, Tensor]]]
"""Weighted sum of the losses of a batch of the task's dataset, and its parts.

One that changes while a network trains has a method `at`, which is told the step before each."""


def task_of(model: str) -> ModuleType:
    """The task of a model.

    Raises:
        ConfigError: no such model.
    """
    return plugins.load("learning.tasks", plugins.load("learning.models", model).TASK)
