"""A first guess of hand and object from a network that sees both: where tracks of objects begin that nobody clicked.

A guess is believed where depth shows the object: it is laid onto the depth of its moment, and the moment that agrees
best is where the track begins. Without depth, or where no guess agrees, there is none, and the reason is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annotate.keypoints import Keypoints, onnx
from annotate.keypoints.auto import is_simulated
from annotate.objects.mesh import SolidMesh, load_mesh
from annotate.objects.on_depth import Laid, lay
from annotate.objects.track import Start
from hoi_core import boxes
from hoi_core.conventions import Side
from hoi_core.crop import Box, box_of
from hoi_core.errors import AssetError, ConfigError, FitError
from hoi_core.grasp_model import GraspModel
from hoi_core.held import about_hand
from hoi_core.live_grasp import GraspReader, known_objects, open_grasps, said
from hoi_core.sequence import Capture
from hoi_core.types import F32, F64, U8, Camera, ObjectPoints

MOMENTS = 10
"""Moments of a sequence at which a network is asked."""
LEAST_AGREEMENT = 0.45
"""Share of the object's surface that depth must show where a guess is believed."""
FEWEST_JOINTS = 6
"""Joints that must be known in a view for them to say where the hand is."""


@dataclass(frozen=True)
class Picture:
    """What one view shows at one moment, and where the hand is in it."""

    view: str
    """Its name."""
    rgb: U8
    """(H, W, 3)."""
    camera: Camera
    """Of it."""
    side: Side
    """Which hand."""
    hand: Box
    """Box of the hand's joints, px."""


@dataclass(frozen=True)
class ObjectGuess:
    """Where a network sees an object, laid onto depth where there is any."""

    T_world_obj: F64
    """(4, 4) m, object to world."""
    agreement: float
    """Share of its surface that depth shows there; NaN without depth."""
    view: str
    """The view that it was seen in."""

    @property
    def believed(self) -> bool:
        """Whether depth shows it."""
        return bool(self.agreement >= LEAST_AGREEMENT)


def open_model(path: Path) -> GraspModel:
    """The network of an exported file, ready for this user's hand model.

    Raises:
        AssetError: missing, damaged, of hands alone, or trained with another hand model.
        ConfigError: trained on objects alone.
    """
    return GraspReader(open_grasps(path, threads=1), None).model


def guess_object(
    model: GraspModel,
    mesh: SolidMesh,
    pictures: Iterable[Picture],
    depth_m: Mapping[str, F32],
    cameras: Mapping[str, Camera],
) -> ObjectGuess | None:
    """Where an object is at one moment.

    Args:
        model: the network.
        mesh: of the object.
        pictures: the views that show the hand.
        depth_m: view -> `(H, W)` m as its colour camera sees it.
        cameras: view -> its colour camera.

    Returns:
        The guess that depth agrees with best, without depth the first; None where the network says none.

    Raises:
        ConfigError: the network does not know the object.
        AssetError: the mesh is another object's than the one it was trained with.
    """
    control_m = known_objects(model, {mesh.name: mesh.vertices_m}, mesh.name)[mesh.name]
    found: list[ObjectGuess] = []
    for one in pictures:
        for box in _places(one, depth_m.get(one.view)):
            about = (one.hand, box)
            grasp = said(model, one.rgb, one.camera, about, side=one.side, name=mesh.name, control_m=control_m)
            if np.isfinite(grasp.T_cam_obj).all():
                T = one.camera.T_world_cam @ grasp.T_cam_obj
                laid = lay(mesh, T, cameras, depth_m, one.view) if depth_m else Laid(T, np.nan)
                found.append(ObjectGuess(laid.T_world_obj, laid.agreement, one.view))
    return max(found, key=_rank, default=None)


def _rank(guess: ObjectGuess) -> float:
    return guess.agreement if np.isfinite(guess.agreement) else -1.0


def _places(picture: Picture, depth_m: F32 | None) -> Iterator[Box]:
    """Where the object of a hand can be: about the hand, and what stands out of the table there."""
    yield about_hand(picture.hand)
    deep = None if depth_m is None else boxes.of_depth(depth_m, [picture.hand])
    if deep is not None:
        yield deep


def first_poses(
    root: Path, capture: Capture, model: GraspModel, keypoints: Keypoints, names: Iterable[str]
) -> tuple[dict[str, Start], dict[str, str]]:
    """Where the tracks of objects begin that nobody placed.

    Args:
        root: the dataset, which holds the meshes.
        capture: the open recording.
        model: the network.
        keypoints: of the hands, which say where they are.
        names: the objects.

    Returns:
        Object -> its start; and object -> in words, where it begins or why it does not.
    """
    starts: dict[str, Start] = {}
    told: dict[str, str] = {}
    for name in names:
        try:
            mesh = load_mesh(root, name)
            moment, best = _best(capture, model, mesh, keypoints)
        except (ConfigError, AssetError, FitError) as error:
            told[name] = str(error)
            continue
        told[name] = f"first seen by the network at moment {moment} in {best.view}, {best.agreement:.0%} of it on depth"
        nothing = ObjectPoints(np.zeros(0, np.int64), (), np.zeros((0, 2)), np.zeros((0, 3)))
        starts[name] = Start(mesh, nothing, {moment: best.T_world_obj})
    return starts, told


def _best(capture: Capture, model: GraspModel, mesh: SolidMesh, keypoints: Keypoints) -> tuple[int, ObjectGuess]:
    """The moment and the guess that depth agrees with best.

    Raises:
        FitError: nobody sees the hand, or no guess is believed.
    """
    shown = [m for m in range(len(capture.sync)) if any(True for _ in hands_at(capture, keypoints, m, read=False))]
    if not shown:
        raise FitError(f"no hand is seen that could hold {mesh.name}.", "Click three points of it in one frame.")
    cameras = {name: view.camera for name, view in capture.views.items()}
    found: dict[int, ObjectGuess] = {}
    asked = [shown[k] for k in np.unique(np.linspace(0, len(shown) - 1, MOMENTS).round().astype(int))]
    for m in asked:
        guess = guess_object(model, mesh, hands_at(capture, keypoints, m), depth_at(capture, m), cameras)
        if guess is not None:
            found[m] = guess
    if not found:
        raise FitError(
            f"the network is at none of {len(asked)} moments sure enough of {mesh.name}.", "Click three points of it."
        )
    best = max(found, key=lambda m: _rank(found[m]))
    if not found[best].believed:
        share = found[best].agreement
        met = f"agrees with {share:.0%} of its surface" if np.isfinite(share) else "does not show it"
        raise FitError(f"where the network sees {mesh.name}, depth {met}.", "Click three points of it in one frame.")
    return best, found[best]


def depth_at(capture: Capture, moment: int) -> dict[str, F32]:
    """View -> `(H, W)` m as its colour camera sees it; views without depth at a moment are left out."""
    found = {}
    for name, view in capture.views.items():
        frame = int(capture.sync.index[f"{name}/depth"][moment]) if f"{name}/depth" in capture.streams else -1
        if frame >= 0:
            found[name] = view.depth_in_color_m(frame)
    return found


def hands_at(capture: Capture, keypoints: Keypoints, moment: int, *, read: bool = True) -> Iterator[Picture]:
    """What views show of hands at a moment; without `read` the images stay black."""
    for side, points in keypoints.hands.items():
        for name, px in points.by_view.items():
            known = np.isfinite(px[moment]).all(-1) & (px[moment, :, 2] > 0)
            frame = int(capture.sync.index[f"{name}/color"][moment])
            if frame < 0 or known.sum() < FEWEST_JOINTS:
                continue
            view = capture.views[name]
            rgb = np.asarray(view.color[frame], np.uint8) if read else np.zeros((1, 1, 3), np.uint8)
            yield Picture(name, rgb, view.camera, side, box_of(px[moment, :, :2], known))


def hand_keypoints(path: Path, folder: Path, capture: Capture) -> Keypoints | None:
    """The joints that the network sees in every image, where nobody knows any; None where it sees none.

    A right hand is looked for, as by the provider `onnx`.
    """
    detector = onnx.SHIPPED if is_simulated(folder) else ""
    least = GraspReader.least_confidence
    return onnx.provide(onnx.Config(str(path), detector=detector, least_confidence=least), folder, capture)
