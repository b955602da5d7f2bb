"""A person shows a ChArUco board to all cameras, for calibration; drawn as it is needed, with motion blur."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from capture.calibrate.board import Board
from capture.simulation.board_motion import BoardMotion, random_motion
from capture.simulation.board_render import PlateView, paint
from capture.simulation.clocks import DeviceClock
from capture.simulation.develop import Images, Lab
from capture.simulation.film import Reel
from capture.simulation.truth import ClickNoise, clicked_revision
from capture.simulation.twin import SENSOR, Stage
from hoi_core import camera as cam
from hoi_core import edges
from hoi_core.render import Light, Mesh, Window, render_color, render_depth, window_of
from hoi_core.scene._shapes import resample, tube
from hoi_core.types import F32, F64, I64, STATUSES, U8, Camera, ObjectTrack, Revision

_EXPOSURE_S = 0.0085
_BLUR_PX = {False: 0.55, True: 0.5}
_SAMPLES = {False: 2, True: 4}
"""Colour samples per pixel and axis, of a camera and of the sensor."""
_TEXELS_PER_M = {False: 3000.0, True: 1500.0}
_STICK, _FIST = 1, 2
_OBJECT = "board"


class BoardScene:
    """Images and truth of the board; slots are frames.

    Args:
        stage: the room.
        board: what is shown.
        clocks: device -> when it exposes.
        lab: adds the noise.
        rng: decides the motion.
    """

    object_name = _OBJECT

    def __init__(
        self, stage: Stage, board: Board, clocks: Mapping[str, DeviceClock], lab: Lab, rng: np.random.Generator
    ) -> None:
        self.stage = stage
        self.board = board
        self.reel = Reel(1 << 40, loop=False, fps=next(iter(clocks.values())).fps)
        self._clocks = clocks
        self._lab = lab
        true = stage.cameras.true
        colors = {name: true[f"{name}/{'gray' if name == SENSOR else 'color'}"] for name in clocks}
        self.motion: BoardMotion = random_motion(board, list(colors.values()), rng)
        printed = {kind: paint(board, texels) for kind, texels in _TEXELS_PER_M.items()}
        self._views = {
            name: PlateView(camera, printed[name == SENSOR], _SAMPLES[name == SENSOR])
            for name, camera in colors.items()
        }
        self._depths = {
            name: PlateView(true[f"{name}/depth"], printed[False], 1) for name in clocks if f"{name}/depth" in true
        }
        self._plain = {name: stage.stills[f"{name}/{'gray' if name == SENSOR else 'color'}"].color for name in clocks}
        self._base = {name: _soften(image, sensor=name == SENSOR) for name, image in self._plain.items()}
        self._holder = _holder(board)

    def slots_to_draw(self) -> list[int]:
        """Nothing is drawn ahead."""
        return []

    def ready(self, slot: int) -> bool:
        """Whether a slot can be developed: always."""
        return slot >= 0

    def draw(self, slot: int) -> None:
        """Nothing is drawn ahead."""

    def poses(self, name: str, slots: I64) -> F64:
        """Where the board is at mid-exposure of a device's slots `(M,)`. `-> (M, 4, 4)`."""
        return self.motion.at(self._clocks[name].true_ns(slots) * 1e-9)

    def develop(self, name: str, slot: int, n: int) -> Images:
        """Full images of frame `n`, noise included: colour and depth, or gray and edge."""
        middle_s = float(self._clocks[name].true_ns(np.array([slot], np.int64))[0]) * 1e-9
        moments = self._views[name].moments
        spread = (np.arange(moments) + 0.5) / moments - 0.5
        poses = self.motion.at(middle_s + _EXPOSURE_S * spread)
        color = self._color(name, poses)
        if name == SENSOR:
            return self._lab.sensor(name, edges.gray(color), n)
        return self._lab.camera(name, color, self._depth_m(name, self.motion.at(np.array([middle_s]))[0]), n)

    def truth(self, slots: I64, t_ns: I64) -> tuple[Revision, F32]:
        """Where the board was at the left view's exposures `(M,)`; there is no hand, so no vertices."""
        return object_truth(_OBJECT, self.poses("left", slots), t_ns)

    def clicks(
        self, t_ns: I64, slots: Mapping[str, I64], frame_index: dict[str, I64], noise: ClickNoise, seed: int
    ) -> Revision:
        """What a simulated person clicks in images without a hand: nothing."""
        return no_clicks(self.stage, t_ns, slots, frame_index)

    def _color(self, name: str, poses: F64) -> U8:
        """The whole colour image before noise."""
        view, image = self._views[name], self._base[name].copy()
        middle = poses[len(poses) // 2]
        holder = self._holding(middle)
        held = window_of(np.concatenate([mesh.vertices_m for mesh in holder]), view.camera)
        window = _join(view.window(poses), held)
        if window is None:
            return image
        x0, y0, x1, y1 = window
        part = np.ascontiguousarray(self._plain[name][y0:y1, x0:x1])
        in_front = middle[:3, 2] @ (middle[:3, 3] - view.camera.T_world_cam[:3, 3]) < 0
        if not in_front:
            self._draw_holder(holder, view.camera, held, part, window)
        part = view.color(poses, light_on_plate(self.stage.cast.light, middle), part, window)
        if in_front:
            self._draw_holder(holder, view.camera, held, part, window)
        image[y0:y1, x0:x1] = _soften(part, sensor=name == SENSOR)
        return image

    def _draw_holder(self, holder: list[Mesh], camera: Camera, held: Window | None, part: U8, window: Window) -> None:
        """Draw stick and fist into the part of an image that lies in `window`."""
        if held is not None:
            x0, y0, x1, y1 = held
            place = part[y0 - window[1] : y1 - window[1], x0 - window[0] : x1 - window[0]]
            light = self.stage.cast.light
            place[:] = render_color(holder, camera, light, place, supersample=2, window=held)

    def _depth_m(self, name: str, pose: F64) -> F32:
        """The whole ideal depth image."""
        view = self._depths[name]
        image = self.stage.empty_depth_m[f"{name}/depth"].copy()
        holder = self._holding(pose)
        held = window_of(np.concatenate([mesh.vertices_m for mesh in holder]), view.camera)
        if held is not None:
            x0, y0, x1, y1 = held
            near, _ = render_depth(holder, view.camera, window=held)
            room = image[y0:y1, x0:x1]
            image[y0:y1, x0:x1] = np.where((near > 0) & ((room <= 0) | (near < room)), near, room)
        window = view.window(pose[None])
        if window is not None:
            x0, y0, x1, y1 = window
            image[y0:y1, x0:x1] = view.depth(pose, np.ascontiguousarray(image[y0:y1, x0:x1]), window)
        return image

    def _holding(self, pose: F64) -> list[Mesh]:
        """Stick and fist in the world."""
        return [
            Mesh(cam.transform(pose, mesh.vertices_m), mesh.faces, mesh.colors, mesh.label, mesh.gloss)
            for mesh in self._holder
        ]


def object_truth(name: str, T_world_obj: F64, t_ns: I64) -> tuple[Revision, F32]:
    """The truth of a scene without a hand: poses `(M, 4, 4)` at times `(M,)`, and no vertices."""
    m = len(t_ns)
    accepted = np.full(m, STATUSES.index("accepted"), np.uint8)
    track = ObjectTrack(T_world_obj, np.ones(m, bool), accepted)
    revision = Revision(t_ns=t_ns, hands={}, objects={name: track}, keypoints={}, frame_index={}, author="simulator")
    return revision, np.zeros((m, 0, 3), np.float32)


def no_clicks(stage: Stage, t_ns: I64, slots: Mapping[str, I64], frame_index: dict[str, I64]) -> Revision:
    """The revision of a person who found no hand to click in M moments."""
    keypoints = {view: np.full((len(t_ns), 21, 3), np.nan) for view in slots}
    side = stage.cast.play.layer.side
    return clicked_revision(t_ns, {side: keypoints}, frame_index, "There is no hand to click.")


def light_on_plate(light: Light, T_world_board: F64) -> F64:
    """Light that falls on the plate's front, linear RGB `(3,)`."""
    towards = np.asarray(light.direction) / np.linalg.norm(light.direction)
    cosine = max((float(-T_world_board[:3, 2] @ towards) + light.wrap) / (1.0 + light.wrap), 0.0)
    return np.asarray(light.ambient) + np.asarray(light.diffuse) * cosine


def _holder(board: Board) -> list[Mesh]:
    """A stick behind the plate and the fist around it, in the board's frame."""
    width, height = board.size_m
    x = 0.5 * width
    bend = np.array([[x, height * 0.6, 0.009], [x, height + 0.10, 0.010], [x, height + 0.21, 0.02]])
    wrist = np.array([[x, height + 0.10, 0.02], [x, height + 0.15, 0.03], [x, height + 0.19, 0.05]])
    # Short pieces: the rasteriser looks at every pixel of a triangle's box.
    rod, arm = resample(bend, 0.012), resample(wrist, 0.012)
    stick = tube(rod, np.full(len(rod), 0.008), 12)
    fist = tube(arm, np.interp(np.linspace(0.0, 1.0, len(arm)), [0.0, 0.5, 1.0], [0.028, 0.036, 0.030]), 16)
    wood, skin = np.array([150, 110, 70], np.uint8), np.array([205, 150, 125], np.uint8)
    return [
        Mesh(shape.vertices_m, shape.faces, np.tile(color, (len(shape.vertices_m), 1)), label)
        for shape, color, label in ((stick, wood, _STICK), (fist, skin, _FIST))
    ]


def _join(a: Window | None, b: Window | None) -> Window | None:
    if a is None or b is None:
        return a or b
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _soften(image: U8, *, sensor: bool) -> U8:
    """The blur of lens and demosaicing."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), _BLUR_PX[sensor]), np.uint8)
