"""Whole images with hands anywhere in them, or with none: what a detector of hands learns from."""

from dataset_tools.scenes.maker import SceneMaker
from dataset_tools.scenes.types import Scene, SceneHand

__all__ = ["Scene", "SceneHand", "SceneMaker"]
