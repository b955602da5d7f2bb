"""Models that come with the project: int8 ONNX files with their sidecars and cards, trained on rendered hands only."""

from __future__ import annotations

from pathlib import Path

from hoi_core.errors import AssetError

HAND_DETECTOR, KEYPOINTS = "hand_detector", "keypoints"


def path(name: str) -> Path:
    """The file of a shipped model; its sidecar and its card (`.md`) lie beside it.

    Raises:
        AssetError: this installation has none of that name.
    """
    found = Path(__file__).parent / f"{name}.onnx"
    if not found.is_file():
        there = ", ".join(sorted(file.stem for file in found.parent.glob("*.onnx"))) or "none"
        raise AssetError(f"no model named {name} comes with this installation.", f"These do: {there}. Or name a file.")
    return found
