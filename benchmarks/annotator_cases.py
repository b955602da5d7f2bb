"""Takes of the simulated rig for the annotator's benchmark: written once into a lab folder, then used again.

`<lab>/<kind>/<case>/` is a dataset; sequence `seq_000` ... is the take of seed 0 ...: another person, object, play and
noise each. Kind `kind`: the hand is what the fit can be, calibration and depth have no systematic error, clicks err
independently. Kind `default`: everything as unkind as the simulated rig is.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from capture.devices import simulated
from capture.simulation.noise import DepthNoise
from capture.simulation.offline import write_take
from capture.simulation.truth import ClickNoise
from hoi_core.scene.unkind import Unkindness
from hoi_core.sequence import CaptureHeader, annotation_path, sequence_dir

Kind = Literal["kind", "default"]
KINDS: tuple[Kind, ...] = ("kind", "default")
SECONDS = 6.0


def rig_config(kind: Kind, seed: int) -> simulated.Config:
    """The rig of a base take: one of eight people with one of eight objects, clicks on every frame."""
    config = simulated.Config(
        seed=seed,
        seconds=SECONDS,
        object=f"o{seed % 8 + 1:02d}",
        participant=f"p{seed % 8 + 1:02d}",
        clicks=ClickNoise(every=1),
    )
    if kind == "default":
        return config
    return replace(
        config,
        calibration_error_px=0.0,
        calibration_error_m=0.0,
        depth=DepthNoise(bias_m=0.0, bias_wave_m=0.0),
        unkind=Unkindness(field_m=0.0, bone_share=0.0, tip_m=0.0),
        clicks=ClickNoise(correlation=0.0, occluded_factor=1.0, every=1),
    )


def sequence_name(seed: int) -> str:
    """Name of a seed's take."""
    return f"seq_{seed:03d}"


def root_of(lab: Path, kind: Kind, case: str) -> Path:
    """The dataset of a case."""
    return lab / kind / case


def make_base(lab: Path, kind: Kind, seed: int, *, colour: bool = False, case: str = "base") -> Path:
    """Write the base take of a seed where it is missing; returns its dataset."""
    root, name = root_of(lab, kind, case), sequence_name(seed)
    if annotation_path(root, name).exists():
        return root
    (sequence_dir(root, name) / "capture.h5").unlink(missing_ok=True)
    rig = simulated.open(rig_config(kind, seed))
    try:
        write_take(rig, root, CaptureHeader(name, rig.config.participant), colour=colour)
    finally:
        rig.stop()
    return root
