"""What to synthesise: everything that decides the images but the files that it names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, cast

from hoi_core.conventions import SIDES, Side
from hoi_core.errors import ConfigError

Preset = Literal["mano_render", "ang_render", "grid", "grasps"]
PRESETS: tuple[Preset, ...] = ("mano_render", "ang_render", "grid", "grasps")

MANO_POSES, MANO_SWAPS = 895, 64
ANG_POSITIONS, ANG_SAMPLES = 31 * 72, 32
GRID_POSES, GRID_VIEWS = 1520, 216
GRASPS, GRASP_VIEWS = 128, 512
FULL_COUNT: Mapping[Preset, int] = {
    "mano_render": MANO_POSES * MANO_SWAPS,
    "ang_render": ANG_POSITIONS * ANG_SAMPLES,
    "grid": GRID_POSES * GRID_VIEWS,
    "grasps": GRASPS * GRASP_VIEWS,
}
"""Images of each preset: ManoRender and AngRender as in the Lite I2L-MeshNet paper, the grid as in SPLite's training
data. `grasps` is ours."""

_SMALLEST_PX, _LARGEST_PX = 32, 1024
_ANYWHERE_DEG = 180.0
_NARROWEST_CONE_DEG = 20.0  # two cameras in it can still look from 30 degrees apart


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the images. A count smaller than the full one gives an even sample of the full set."""

    preset: Preset = "mano_render"
    """Which images."""
    count: int = 0
    """How many; 0 takes the preset's full number."""
    size_px: int = 128
    """Edge of the square images, px."""
    seed: int = 0
    """Another seed, other images."""
    second_view: bool = False
    """Whether every moment is seen by a second camera too."""
    sides: tuple[Side, ...] = SIDES
    """Hands to show, in equal shares."""
    backgrounds: Path | None = None
    """Folder of the user's photographs to put behind the hands; None paints backgrounds."""
    objects: Path | None = None
    """Folder of the user's meshes for `grasps`, in metres; None takes the built-in objects."""
    occluders: float = 0.2
    """Share of images in which something hides a part of the hand, 0..1."""
    view_cone_deg: float = _ANYWHERE_DEG
    """Largest angle from the back of the hand to a camera where a preset lets it stand anywhere; below 180 the hand is
    nearly upright in the image, as a rig with fixed cameras sees it."""

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ConfigError(f"no preset named {self.preset!r}.", f"Choose from {', '.join(PRESETS)}.")
        if self.count == 0:
            object.__setattr__(self, "count", FULL_COUNT[self.preset])
        if self.count < 1:
            raise ConfigError(f"the number of images must be at least 1, got {self.count}.", "Give --count a number.")
        if not _SMALLEST_PX <= self.size_px <= _LARGEST_PX:
            raise ConfigError(
                f"images must be {_SMALLEST_PX} to {_LARGEST_PX} pixels wide, got {self.size_px}.",
                "128, 224 and 256 are usual.",
            )
        if not self.sides or len(set(self.sides)) != len(self.sides) or not set(self.sides) <= set(SIDES):
            raise ConfigError(f"sides must name right, left or both once, got {self.sides}.", "Choose right, left.")
        if not 0.0 <= self.occluders <= 1.0:
            raise ConfigError(f"the share of occluders must lie in 0..1, got {self.occluders}.", "0.2 is usual.")
        if not _NARROWEST_CONE_DEG <= self.view_cone_deg <= _ANYWHERE_DEG:
            raise ConfigError(
                f"the cone of views must be {_NARROWEST_CONE_DEG:.0f} to 180 degrees, got {self.view_cone_deg}.",
                "180 lets cameras stand anywhere.",
            )
        if self.view_cone_deg < _ANYWHERE_DEG and self.preset in ("ang_render", "grid"):
            raise ConfigError(
                f"{self.preset} has its own camera positions; a cone of views is for mano_render and grasps.",
                "Leave the cone out, or choose one of these.",
            )
        if self.seed < 0:
            raise ConfigError(f"the seed must not be negative, got {self.seed}.", "Take 0 or more.")

    @property
    def full_count(self) -> int:
        """Images after which the preset begins anew, with other light, skin and background."""
        return FULL_COUNT[self.preset]

    def to_json(self) -> str:
        """One line of text from which `from_json` makes the same recipe."""
        values = asdict(self)
        if self.view_cone_deg == _ANYWHERE_DEG:
            del values["view_cone_deg"]  # the text names the set: older ones were written without
        return json.dumps(values, default=str, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe that `to_json` wrote.

        Raises:
            ConfigError: it is no recipe of this version.
        """
        try:
            values: dict[str, Any] = dict(json.loads(text))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"expected a recipe as JSON, found {text[:60]!r}.", "Make the set again.") from error
        values.setdefault("view_cone_deg", _ANYWHERE_DEG)
        known = {field.name for field in fields(cls)}
        if set(values) != known:
            odd = ", ".join(sorted(set(values) ^ known))
            raise ConfigError(f"the recipe's fields are not those of this version: {odd}.", "Make the set again.")
        for key in ("backgrounds", "objects"):
            values[key] = Path(values[key]) if values[key] else None
        values["sides"] = tuple(cast("list[Side]", values["sides"]))
        try:
            return cls(**values)
        except TypeError as error:
            raise ConfigError(f"a value of the recipe has the wrong type: {error}.", "Make the set again.") from error
