"""Synthetic hands: colour, depth, segmentation and every label, each image a pure function of a recipe and a number."""

from __future__ import annotations

from dataset_tools.synth.generator import Generator
from dataset_tools.synth.pose_sets import held_out
from dataset_tools.synth.recipe import FULL_COUNT, PRESETS, Preset, Recipe
from dataset_tools.synth.sheet import contact_sheet
from dataset_tools.synth.types import SynthImage, SynthView

__all__ = [
    "FULL_COUNT", "PRESETS", "Generator", "Preset", "Recipe", "SynthImage", "SynthView", "contact_sheet", "held_out",
]  # fmt: skip
