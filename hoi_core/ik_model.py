"""Run an exported IK network: joints in, angles inside their limits and shape out. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from hoi_core.crop import LENGTH_UNIT_M
from hoi_core.errors import AssetError
from hoi_core.ik.bones import N_NUMBERS
from hoi_core.ik.guess import DOFS, Guesser
from hoi_core.mano import ManoLayer
from hoi_core.network_input import Input
from hoi_core.runtime import ExportedModel, Sidecar, load_as


class IkModel(ExportedModel):
    """Angles and shape of hands whose joints are known.

    Example:
        >>> model = load(Path("ik_net.onnx"))  # doctest: +SKIP
        >>> guess = model.guesser.guess(joints_m, "right")  # (B, 21, 3) m -> angles, shape, place  # doctest: +SKIP
    """

    TASK = "angles"
    INPUTS = ("bones",)
    INPUT_MEANINGS: ClassVar[dict[str, str]] = {
        "bones": f"(B, {N_NUMBERS}) of the 20 bones in the order of their ends in openpose21: directions, unit vectors "
        "in the axes of the hand model's template, its flat palm laid onto the one seen; then lengths, unit "
        f"{LENGTH_UNIT_M} m"
    }
    OUTPUTS = ("angles", "betas")
    MEANINGS: ClassVar[dict[str, str]] = {
        "angles": "(B, 23) or (B, 45) rad, inside their limits, named and bounded by `hoi_core.ik.BIOMECHANICAL` or "
        "`ALL_ANGLES`",
        "betas": "(B, 10) shape of the hand model; of a network of `shaped_bones` nobody needs it",
    }

    def __init__(self, session: Any, sidecar: Sidecar) -> None:
        super().__init__(session, sidecar)
        told = sidecar.training.get("options", {}).get("dof")
        if told not in DOFS:
            raise AssetError(f"expected a network of 23 or 45 angles, got {told!r}.", "Export it again.")
        self.guesser = Guesser(self.run, DOFS[told], needs_shape=sidecar.input == "shaped_bones")
        """Asks it for whole poses."""

    @classmethod
    def preprocessing(cls, kind: Input, size: int) -> str:
        """How joints become the network's input, in words."""
        known = " The lengths are those of the known shape." if kind == "shaped_bones" else ""
        return f"Right hands; left ones are mirrored.{known}"


def load(path: Path | str, *, threads: int = 1) -> IkModel:
    """Load an exported IK network and its sidecar.

    Args:
        path: the `.onnx` file; the sidecar is the `.json` beside it.
        threads: of ONNX Runtime; it is too small for more than one.

    Raises:
        AssetError: a file is missing, foreign, damaged, or was trained with another hand model than the one in use.
    """
    model = load_as(IkModel, path, threads=threads)
    if model.sidecar.hand_model != ManoLayer.from_env("right").model.source:
        raise AssetError(
            f"{path} says the angles and shapes of another hand model than the one in use.",
            "Train one with your hand model, or set HOI_MANO (or --mano) as it was.",
        )
    return model
