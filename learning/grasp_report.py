"""What an evaluation found of hands and objects: a table of the objects, as papers print it, and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hoi_core import bootstrap, draw
from hoi_core import camera as cameras
from hoi_core.errors import ConfigError, StorageError
from hoi_core.mano import ManoLayer
from hoi_core.render import Light, Mesh, render_quick
from hoi_core.types import F64, U8, Camera
from hoi_core.whole_file import write_whole
from learning.evaluate import Evaluation, Grasps
from learning.grasps import GraspDataset
from learning.overlays import picture_of

AVERAGE = "average"
"""Name of the row that has the means of the others."""
_PICTURES, _COLUMNS = 40, 8
_SKIN, _THING = (225, 175, 150), (90, 150, 230)
_TRUE = (255, 235, 90)
_OPACITY, _LEAST_PX = 0.75, 160


@dataclass(frozen=True)
class ObjectRow:
    """Errors of one object's poses."""

    name: str
    """What its dataset calls it, or `AVERAGE`: the mean of all objects, each counting alike."""
    symmetric: bool
    """Whether it is measured by the nearest point: papers put an (S) or a star behind the name."""
    n: int
    """Samples in which it is labelled."""
    add01d: float
    """Share of poses whose ADD, or ADD-S, is below a tenth of the diameter."""
    add01d_ci95: bootstrap.Interval
    """Its interval."""
    add01d_box: float
    """The same with the diagonal of the box."""
    mce_mm: float
    """Mean corner error of those that were found, mm."""
    mce_ci95: bootstrap.Interval
    """Its interval."""

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


def per_object(found: Evaluation) -> list[ObjectRow]:
    """One row for each object that occurs, in the order of their numbers, and one of their average.

    Raises:
        ConfigError: a model that says nothing of objects.
    """
    grasps = _need(found)
    rows = []
    for number in sorted(set(grasps.object_id[grasps.object_id >= 0].tolist())):
        rows += _row(found, grasps, number)
    if rows:
        nothing = float("nan"), float("nan")
        means = [_mean([getattr(row, name) for row in rows]) for name in ("add01d", "add01d_box", "mce_mm")]
        n = sum(row.n for row in rows)
        rows.append(ObjectRow(AVERAGE, False, n, means[0], nothing, means[1], means[2], nothing))
    return rows


def _row(found: Evaluation, grasps: Grasps, number: int) -> list[ObjectRow]:
    names = ("object_add01d", "object_add01d_box", "object_mce_mm")
    # What was left out of the evaluation is unknown there.
    own = np.flatnonzero((grasps.object_id == number) & np.isfinite(found.errors["object_add01d"]))
    if not len(own):
        return []
    errors = {name: found.errors[name][own] for name in names}
    ends = bootstrap.intervals(errors, [found.groups[n] for n in own])
    right, right_box, corners = (_mean(errors[name]) for name in names)
    about = grasps.objects[number]
    return [ObjectRow(about.name, about.symmetric, len(own), right, ends[names[0]], right_box, corners, ends[names[2]])]


def lines(rows: Sequence[ObjectRow]) -> list[str]:
    """The table as text."""
    width = max([len(row.name) for row in rows] + [8]) + 4
    head = f"{'object':{width}s}{'N':>6s}  {'ADD-0.1D':>9s}  {'by box':>7s}  {'corners mm':>10s}"
    return [head, *(_line(row, width) for row in rows)]


def _line(row: ObjectRow, width: int) -> str:
    name = f"{row.name} (S)" if row.symmetric else row.name
    shares = f"{100 * row.add01d:9.1f}  {100 * row.add01d_box:7.1f}"
    return f"{name:{width}s}{row.n:6d}  {shares}  {row.mce_mm:10.1f}"


def write_sheet(path: Path, found: Evaluation, count: int = _PICTURES) -> int:
    """Write a contact sheet (.png): predicted hands and objects over their images, the labelled box in yellow.

    Args:
        path: of the file.
        found: what was measured.
        count: pictures, spread evenly over the samples; returns how many there are.

    Raises:
        ConfigError: a model that says nothing of objects.
        StorageError: it cannot be written.
    """
    _need(found)
    numbers = np.unique(np.linspace(0, len(found.samples) - 1, min(count, len(found.samples))).round().astype(int))
    sheet = draw.montage([picture(found, number) for number in numbers.tolist()], columns=_COLUMNS)
    try:
        write_whole(path, cv2.imencode(".png", sheet[..., ::-1])[1].tobytes())
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}.", "Name another file with --sheet.") from error
    return len(numbers)


def picture(found: Evaluation, number: int) -> U8:
    """A crop with the predicted hand and object drawn over it, and the labelled box of the object.

    Small crops are enlarged. `-> (S, S, 3)`
    """
    grasps, samples = _need(found), found.samples
    if not isinstance(samples, GraspDataset):
        raise ConfigError("these samples have no objects.", "Evaluate on a dataset of hands with objects.")
    batch = samples.as_batch(samples.stack([samples[number, 0]]))
    larger = max(1, -(-_LEAST_PX // batch.image.shape[-1]))
    shown = picture_of(batch.image[0].numpy(), "rgb")
    image = np.asarray(cv2.resize(shown, None, fx=larger, fy=larger, interpolation=cv2.INTER_NEAREST), np.uint8)
    centre, size = (image.shape[1] - 1) / 2, image.shape[1]
    focal = larger * float(batch.K[0, 0, 0])
    camera = Camera(size, size, focal, focal, centre, centre, distortion_model="none")
    hand = ManoLayer.from_env("right")
    bodies = [_body(grasps.said.vertices_m[number], hand.closed_faces.astype(np.int32), _SKIN, 1)]
    corners_px = np.zeros((0, 2))
    name = "no object"
    if batch.object_valid[0]:
        about = grasps.objects[int(batch.object_id[0])].scaled(float(batch.object_scale[0]))
        about, name = (about.mirrored if batch.mirrored[0] else about), about.name
        bodies.append(
            _body(cameras.transform(grasps.said.T_crop_obj[number], about.vertices_m), about.faces, _THING, 2)
        )
        # Pixel centres lie at integers: enlarging moves them.
        corners_px = (batch.control_px[0, :8].double().numpy() + 0.5) * larger - 0.5
    drawn = render_quick([body for body in bodies if body is not None], camera, Light((0.3, -0.4, -0.87)), image)[0]
    mixed = np.rint(_OPACITY * drawn.astype(np.float64) + (1.0 - _OPACITY) * image).astype(np.uint8)
    return draw.label(_box(mixed, corners_px), name, scale=0.35)


def _body(vertices_m: F64, faces: Any, colour: tuple[int, int, int], label: int) -> Mesh | None:
    """What to draw of a mesh; None of one that is unknown or reaches behind the camera."""
    if not np.isfinite(vertices_m).all() or vertices_m[:, 2].min() <= 0:
        return None
    return Mesh(vertices_m, faces, np.tile(np.array(colour, np.uint8), (len(vertices_m), 1)), label)


def _box(image: U8, corners_px: F64) -> U8:
    """The edges of a box whose corners come as `hoi_core.known_object.control_points` has them. `(8, 2)` px or none."""
    out = np.ascontiguousarray(image).copy()
    places = np.rint(16.0 * corners_px).astype(int).tolist()
    for a in range(len(places)):
        for bit in (1, 2, 4):
            if not a & bit:
                cv2.line(out, places[a], places[a | bit], _TRUE, 1, cv2.LINE_AA, 4)
    return out


def _need(found: Evaluation) -> Grasps:
    if found.grasps is None:
        raise ConfigError("this model says nothing of objects.", "Leave out --sheet.")
    return found.grasps


def _mean(values: Sequence[float] | F64) -> float:
    known = np.asarray(values)[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
