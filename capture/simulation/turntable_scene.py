"""An object stands on a ChArUco board that turns once around: what `hoi-data scan` takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from capture.calibrate.board import Board
from capture.simulation.board_render import PlateView, paint
from capture.simulation.board_scene import light_on_plate, no_clicks, object_truth
from capture.simulation.clocks import DeviceClock
from capture.simulation.develop import Images, Lab
from capture.simulation.film import Reel
from capture.simulation.truth import ClickNoise
from capture.simulation.twin import OBJECT, SENSOR, Patch, Stage
from hoi_core import camera as cam
from hoi_core import edges, rotation
from hoi_core.render import Window, render_color, render_depth, window_of
from hoi_core.types import F32, F64, I64, U8, Camera, Revision

TURN_S = 11.5
"""Time of one turn."""
_PLATE_M = 0.004
"""Height of the board's face above the table."""
_OFF_CENTRE_M = 0.006
_EASE_S = 0.6
_BLUR_PX = 0.55
_SAMPLES = 2
_TEXELS_PER_M = 3000.0


@dataclass(frozen=True)
class _Drawn:
    """What is not the still room in the images of one device in one slot."""

    color: Patch
    """RGB before noise."""
    depth: Patch | None
    """Ideal depth, m; None for the sensor."""


class TurntableScene:
    """Images and truth of the turning board and its object, slot by slot of the reel.

    Args:
        stage: the room, its light and the object of its play.
        board: what the object stands on.
        reel: how the slots follow each other.
        clocks: device -> when it exposes.
        lab: adds the noise.
        rng: decides how the object stands and where the turn begins.
    """

    def __init__(
        self,
        stage: Stage,
        board: Board,
        reel: Reel,
        clocks: Mapping[str, DeviceClock],
        lab: Lab,
        rng: np.random.Generator,
    ) -> None:
        self.stage = stage
        self.board = board
        self.reel = reel
        self._lab = lab
        self._times_s: dict[str, F64] = {
            name: np.asarray(reel.scene_ns(clock) * 1e-9) for name, clock in clocks.items()
        }
        self._start_rad = rng.uniform(0.0, 2.0 * np.pi)
        self._T_board_obj = _standing(board, rng)
        printed = paint(board, _TEXELS_PER_M)
        self._plates = {
            stream: PlateView(camera, printed, 1 if stream.endswith("/depth") else _SAMPLES)
            for stream, camera in stage.cameras.true.items()
            if not stream.endswith("/edge")
        }
        self._base = {stream: _soften(still.color) for stream, still in stage.stills.items()}
        self._drawn: dict[tuple[str, int], _Drawn] = {}

    @property
    def object_name(self) -> str:
        """Identifier of the object on the board."""
        return self.stage.cast.play.model.name

    def slots_to_draw(self) -> list[int]:
        """Every slot: the object is drawn ahead."""
        return list(range(self.reel.slots))

    def ready(self, slot: int) -> bool:
        """Whether every device's image of a slot is drawn."""
        return all((name, slot) in self._drawn for name in self._times_s)

    def draw(self, slot: int) -> None:
        """Render the board and the object in a slot of every device."""
        for name in self._times_s:
            if (name, slot) not in self._drawn:
                self._drawn[name, slot] = self._draw(name, slot)

    def board_poses(self, name: str, slots: I64) -> F64:
        """Where the board is when a device sees slots `(M,)`. `-> (M, 4, 4)`."""
        return _turned(self.board, self._start_rad, self._times_s[name][slots])

    def develop(self, name: str, slot: int, n: int) -> Images:
        """Full images of frame `n`, noise included: colour and depth, or gray and edge."""
        drawn = self._drawn[name, slot]
        if name == SENSOR:
            return self._lab.sensor(name, edges.gray(_laid(self._base[f"{name}/gray"], drawn.color)), n)
        depth_m = self.stage.empty_depth_m[f"{name}/depth"]
        if drawn.depth is not None:
            depth_m = _laid(depth_m, drawn.depth)
        return self._lab.camera(name, _laid(self._base[f"{name}/color"], drawn.color), depth_m, n)

    def truth(self, slots: I64, t_ns: I64) -> tuple[Revision, F32]:
        """Where the object was at the left view's exposures `(M,)`; there is no hand, so no vertices."""
        return object_truth(self.object_name, self.board_poses("left", slots) @ self._T_board_obj, t_ns)

    def clicks(
        self, t_ns: I64, slots: Mapping[str, I64], frame_index: dict[str, I64], noise: ClickNoise, seed: int
    ) -> Revision:
        """What a simulated person clicks in images without a hand: nothing."""
        return no_clicks(self.stage, t_ns, slots, frame_index)

    def _draw(self, name: str, slot: int) -> _Drawn:
        stream = f"{name}/{'gray' if name == SENSOR else 'color'}"
        pose = self.board_poses(name, np.array([slot]))[0]
        mesh = self.stage.cast.play.model.mesh(pose @ self._T_board_obj, OBJECT)
        color = self._plates[stream]
        window = _around(color, pose, mesh.vertices_m)
        x0, y0, x1, y1 = window
        behind = np.ascontiguousarray(self.stage.stills[stream].color[y0:y1, x0:x1])
        light = light_on_plate(self.stage.cast.light, pose)
        part = color.color(np.repeat(pose[None], color.moments, axis=0), light, behind, window)
        part = render_color([mesh], color.camera, self.stage.cast.light, part, supersample=2, window=window)
        seen = Patch(window, _soften(part))
        if name == SENSOR:
            return _Drawn(seen, None)
        depth = self._plates[f"{name}/depth"]
        window = _around(depth, pose, mesh.vertices_m)
        x0, y0, x1, y1 = window
        empty = np.ascontiguousarray(self.stage.empty_depth_m[f"{name}/depth"][y0:y1, x0:x1])
        plate_m = depth.depth(pose, empty, window)
        near_m, _ = render_depth([mesh], depth.camera, window=window)
        nearer = (near_m > 0) & ((plate_m <= 0) | (near_m < plate_m))
        return _Drawn(seen, Patch(window, np.where(nearer, near_m, plate_m).astype(np.float32)))


def _standing(board: Board, rng: np.random.Generator) -> F64:
    """T_board_obj `(4, 4)`: upright near the middle of the board, whose z points into the table."""
    yaw = rotation.exp_so3(np.array([0.0, 0.0, rng.uniform(-np.pi, np.pi)]))
    flip = np.diag([1.0, -1.0, -1.0])
    middle = 0.5 * np.array([*board.size_m, 0.0])
    return cam.rigid(flip @ yaw, middle + np.array([*rng.normal(0.0, _OFF_CENTRE_M, 2), 0.0]))


def _turned(board: Board, start_rad: float, t_s: F64) -> F64:
    """T_world_board `(M, 4, 4)` at times `(M,)` s: one even turn about the board's middle, which lies on the table."""
    t = np.asarray(t_s, np.float64)
    # It starts gently, as a hand turns it.
    eased = np.where(t < _EASE_S, t**2 / (2.0 * _EASE_S), t - _EASE_S / 2.0)
    angle = start_rad + 2.0 * np.pi * eased / TURN_S
    turn = rotation.exp_so3(angle[:, None] * np.array([0.0, 0.0, 1.0]))
    R = turn @ np.diag([1.0, -1.0, -1.0])
    middle = 0.5 * np.array([*board.size_m, 0.0])
    centre = np.array([0.0, 0.02, _PLATE_M])
    return cam.rigid(R, centre - R @ middle)


def _around(view: PlateView, pose: F64, points_m: F64) -> Window:
    """The part of an image that plate and object touch."""
    a, b = view.window(pose[None]), window_of(points_m, view.camera)
    if a is None or b is None:
        return a or b or _corner(view.camera)
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _corner(camera: Camera) -> Window:
    """A small part of the image, for what is seen of nothing."""
    return 0, 0, min(16, camera.width), min(16, camera.height)


def _laid(image: np.ndarray, patch: Patch) -> np.ndarray:
    """An image with a patch laid over it."""
    out = image.copy()
    x0, y0, x1, y1 = patch.window
    out[y0:y1, x0:x1] = patch.image
    return out


def _soften(image: U8) -> U8:
    """The blur of lens and demosaicing."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), _BLUR_PX), np.uint8)
