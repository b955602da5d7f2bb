"""The simulated laboratory: where its cameras really are, who plays, and what every imager sees at a time."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from hoi_core import camera as cam
from hoi_core import edges, rotation
from hoi_core.conventions import Side
from hoi_core.mano import ManoLayer
from hoi_core.render import Light, Mesh, Window, render_color, render_depth, window_of
from hoi_core.scene import objects
from hoi_core.scene._shapes import tube
from hoi_core.scene.anatomy import hand_frame
from hoi_core.scene.background import Room, Still, darken, empty_depth, random_room, soft_shadow, still
from hoi_core.scene.light import random_light
from hoi_core.scene.motion import HandMoments, Moments, Play, random_play
from hoi_core.scene.other_hand import OtherHand, random_other_hand
from hoi_core.scene.skin import skin_colors
from hoi_core.scene.unkind import Unkindness, unkind_layer
from hoi_core.types import F32, F64, U8, Camera

VIEWS = ("left", "right")
SENSOR = "edge128"
HAND, OBJECT, SLEEVE, CLUTTER, OTHER_HAND = 1, 2, 3, 4, 5
"""Labels in the segmentation."""
_SIDE_SEED: Mapping[Side, int] = {"right": 0, "left": 1}
_CENTRE_M = np.array([0.0, 0.02, 0.09])


@dataclass(frozen=True)
class Cameras:
    """Every imager of the rig: as it is, and as the calibration says it is."""

    true: Mapping[str, Camera]
    """stream -> camera."""
    calibrated: Mapping[str, Camera]
    """stream -> camera, wrong by the calibration's error."""
    T_color_depth: F64
    """(4, 4) m, depth to colour imager, the same in both D435s."""

    def recalibrated(self, found: Mapping[str, Camera]) -> Cameras:
        """The same rig with other calibrated cameras, by view or sensor; those not named stay."""
        said = dict(self.calibrated)
        for name, camera in found.items():
            if name == SENSOR:
                said[f"{name}/gray"] = said[f"{name}/edge"] = camera
            elif name in VIEWS:
                T_world_depth = camera.T_world_cam @ self.T_color_depth
                said[f"{name}/color"] = camera
                said[f"{name}/depth"] = replace(said[f"{name}/depth"], T_world_cam=T_world_depth)
        return replace(self, calibrated=said)


@dataclass(frozen=True)
class Patch:
    """What moves in one image, cut out; the rest is the still room."""

    window: Window
    """Where it belongs."""
    image: U8 | F32
    """(h, w, 3) RGB, or (h, w) depth in m."""


def place_cameras(rng: np.random.Generator, error_px: float, error_m: float) -> Cameras:
    """Put up the rig: two D435s 60 to 90 degrees apart and the sensor between them.

    Args:
        rng: varies the places a little.
        error_px: calibration error of the directions, px in the image; the view `left` has none.
        error_m: calibration error of the positions, m.
    """
    half = np.deg2rad(rng.uniform(31.0, 43.0))
    eyes = {
        "left": (-half, rng.uniform(0.56, 0.66), rng.uniform(30.0, 40.0)),
        "right": (half, rng.uniform(0.56, 0.66), rng.uniform(30.0, 40.0)),
        SENSOR: (rng.uniform(-0.1, 0.1), rng.uniform(0.46, 0.52), rng.uniform(48.0, 56.0)),
    }
    T_color_depth = cam.rigid(rotation.exp_so3(rng.normal(0.0, 0.002, 3)), np.array([0.0148, 0.0002, 0.0003]))
    true: dict[str, Camera] = {}
    for name, (azimuth, distance, elevation) in eyes.items():
        up = np.deg2rad(elevation)
        away = np.array([np.sin(azimuth) * np.cos(up), -np.cos(azimuth) * np.cos(up), np.sin(up)])
        pose = cam.look_at(
            _CENTRE_M + distance * away, _CENTRE_M + rng.normal(0.0, 0.008, 3), np.array([0.0, 0.0, 1.0])
        )
        if name == SENSOR:
            lens = Camera(
                128, 128, 138.0, 138.0, 63.2, 64.1, (-0.12, 0.03, 0.0005, -0.0004, 0.0), "brown_conrady", pose
            )
            true[f"{name}/gray"] = true[f"{name}/edge"] = lens
            continue
        jitter = rng.normal(0.0, 1.0, 6)
        color = Camera(
            640, 480, 614.0 + jitter[0], 614.0 + jitter[1], 321.0 + 2 * jitter[2], 240.0 + 2 * jitter[3],
            (0.0, 0.0, 0.0, 0.0, 0.0), "inverse_brown_conrady", pose,
        )  # fmt: skip
        true[f"{name}/color"] = color
        focal = 384.0 + jitter[4]
        true[f"{name}/depth"] = Camera(
            640, 480, focal, focal, 319.5 + jitter[5], 238.5, T_world_cam=color.T_world_cam @ T_color_depth
        )
    return Cameras(true, _calibrate(true, rng, error_px, error_m), T_color_depth)


def _calibrate(
    true: Mapping[str, Camera], rng: np.random.Generator, error_px: float, error_m: float
) -> dict[str, Camera]:
    """Wrong poses for every view but the first, so that the world itself is known."""
    out = dict(true)
    for name in ("right", SENSOR):
        streams = [s for s in true if s.startswith(name + "/")]
        turn, shift = rng.normal(0.0, 1.0, 3), rng.normal(0.0, 1.0, 3)
        turn *= error_px / true[streams[0]].fx / np.linalg.norm(turn)
        shift *= error_m / np.linalg.norm(shift)
        error = cam.rigid(rotation.exp_so3(turn), np.zeros(3))
        for stream in streams:
            T = true[stream].T_world_cam
            first = true[streams[0]].T_world_cam
            # The whole device turns about its first imager.
            wrong = first @ error @ np.linalg.inv(first) @ T
            wrong[:3, 3] += shift
            out[stream] = replace(true[stream], T_world_cam=wrong)
    return out


@dataclass(frozen=True)
class Cast:
    """Who and what is in the scene."""

    fitted: ManoLayer
    """The hand as every fit knows it."""
    play: Play
    """Motion of the true hand and the object."""
    skin: U8
    """(778, 3) RGB."""
    sleeve: tuple[int, int, int]
    """Colour of the sleeve."""
    light: Light
    """Lamp and light of the room."""
    room: Room
    """Table, wall and floor."""
    clutter: tuple[Mesh, ...]
    """Things that stand about."""
    other: OtherHand | None = None
    """The hand that does not take the object."""

    def at(self, times_s: F64) -> Moments:
        """Everything that moves at times `(M,)` s of the play."""
        moments = self.play.at(times_s)
        return moments if self.other is None else replace(moments, other=self.other.at(times_s))


@lru_cache(maxsize=2)  # a window opens the rig for its preview, and again to record
def choose_cast(
    seed: int, participant: str, object_name: str, side: Side, unkindness: Unkindness, *, both: bool = False
) -> Cast:
    """Choose hand, object, motion, light and room. The hand depends on the participant only.

    Args:
        seed: decides everything else.
        participant: whose hand it is.
        object_name: what is taken.
        side: which hand takes it.
        unkindness: how far the true hand lies off the model.
        both: whether the other hand is in the scene too.
    """
    fitted = ManoLayer.stand_in(side)
    true, betas, skin = _hand_of(participant, fitted, unkindness)
    other = None
    if both:
        left_over: Side = "left" if side == "right" else "right"
        own = _hand_of(participant, ManoLayer.stand_in(left_over), unkindness)
        other = random_other_hand(own[0], own[1], np.random.default_rng([seed, 9]))
    rng = np.random.default_rng([seed, 1])
    sleeve = tuple(int(c) for c in rng.integers(30, 200, 3))
    model = objects.make(object_name)
    play = random_play(true, betas, model, rng, side)
    light, room = random_light(rng), random_room(rng)
    clutter = _clutter(rng, model.name)
    return Cast(fitted, play, skin, (sleeve[0], sleeve[1], sleeve[2]), light, room, clutter, other)


def _hand_of(participant: str, fitted: ManoLayer, unkindness: Unkindness) -> tuple[ManoLayer, F64, U8]:
    """A person's true hand of one side: layer, betas `(10,)` and skin `(778, 3)`."""
    person = np.random.default_rng([zlib.crc32(participant.encode()), _SIDE_SEED[fitted.side]])
    true = unkind_layer(fitted, person, unkindness)
    betas = np.clip(person.normal(0.0, 0.8, 10), -1.8, 1.8)
    return true, betas, skin_colors(true, person)


def _clutter(rng: np.random.Generator, taken: str) -> tuple[Mesh, ...]:
    """A few other objects at the back of the table."""
    names = [n for n in objects.NAMES if n != taken]
    spots = np.array([[-0.34, 0.28], [-0.16, 0.40], [0.18, 0.40], [0.35, 0.26]])
    meshes = []
    for spot, name in zip(spots[: int(rng.integers(2, 5))], rng.permutation(names), strict=False):
        T = cam.rigid(rotation.exp_so3(np.array([0.0, 0.0, rng.uniform(-3, 3)])), np.array([*spot, 0.0]))
        T[:2, 3] += rng.normal(0.0, 0.02, 2)
        meshes.append(objects.make(str(name)).mesh(T, CLUTTER))
    return tuple(meshes)


class _Body:
    """What it takes to draw a hand."""

    def __init__(self, layer: ManoLayer, betas: F64, label: int) -> None:
        self.layer = layer
        self.label = label
        self.faces = np.ascontiguousarray(layer.closed_faces, np.int32)
        self.forward = hand_frame(layer, betas).forward


class Stage:
    """Draws the scene. Stateless but for the still images."""

    def __init__(self, cast: Cast, cameras: Cameras) -> None:
        self.cast = cast
        self.cameras = cameras
        self._hand = _Body(cast.play.layer, cast.play.betas, HAND)
        self._other = None if cast.other is None else _Body(cast.other.layer, cast.other.betas, OTHER_HAND)
        self.stills: dict[str, Still] = {
            stream: still(cast.room, camera, cast.light, cast.clutter)
            for stream, camera in cameras.true.items()
            if stream.endswith(("/color", "/gray"))
        }
        self.empty_depth_m: dict[str, F32] = {
            stream: empty_depth(camera, cast.clutter)
            for stream, camera in cameras.true.items()
            if stream.endswith("/depth")
        }

    def meshes(self, moments: Moments, i: int) -> list[Mesh]:
        """Hand, object and sleeve at moment `i`, and the other hand with its sleeve."""
        hand, sleeve = self._arm(self._hand, moments.hand, i)
        meshes = [hand, self.cast.play.model.mesh(moments.T_world_obj[i], OBJECT), sleeve]
        if self._other is not None and moments.other is not None:
            meshes += self._arm(self._other, moments.other, i)
        return meshes

    def color(self, view: str, meshes: list[Mesh]) -> Patch:
        """The moving part of a colour image, shadow included."""
        stream = f"{view}/color"
        camera, base = self.cameras.true[stream], self.stills[stream]
        window = self._window(meshes, camera)
        x0, y0, x1, y1 = window
        soft = soft_shadow(meshes, camera, self.cast.light, window)
        behind = darken(base.color[y0:y1, x0:x1], soft, base.on_table[y0:y1, x0:x1])
        image = render_color(meshes, camera, self.cast.light, behind, supersample=2, window=window)
        return Patch(window, image)

    def depth(self, view: str, meshes: list[Mesh]) -> Patch:
        """The moving part of an ideal depth image."""
        stream = f"{view}/depth"
        camera = self.cameras.true[stream]
        window = self._window(meshes, camera)
        x0, y0, x1, y1 = window
        depth_m, _ = render_depth(meshes, camera, window=window)
        room = self.empty_depth_m[stream][y0:y1, x0:x1]
        nearer = (depth_m > 0) & ((room <= 0) | (depth_m < room))
        return Patch(window, np.where(nearer, depth_m, room).astype(np.float32))

    def sensor(self, meshes: list[Mesh]) -> U8:
        """The sensor's gray image before noise, `(128, 128)`."""
        stream = f"{SENSOR}/gray"
        camera, base = self.cameras.true[stream], self.stills[stream]
        window = (0, 0, camera.width, camera.height)
        behind = darken(base.color, soft_shadow(meshes, camera, self.cast.light, window), base.on_table)
        image = render_color(meshes, camera, self.cast.light, behind, supersample=3)
        return edges.gray(np.asarray(cv2.GaussianBlur(image, (0, 0), 0.5), np.uint8))

    def labels(self, view: str, meshes: list[Mesh]) -> tuple[F32, U8]:
        """Ideal depth m and labels of a whole colour image, for visibility."""
        return render_depth(meshes, self.cameras.true[f"{view}/color"])

    def _window(self, meshes: list[Mesh], camera: Camera) -> Window:
        """The part of the image that meshes and their shadows touch."""
        towards = np.asarray(self.cast.light.direction)
        points = np.concatenate([mesh.vertices_m for mesh in meshes])
        on_table = points - points[:, 2:] / towards[2] * towards
        found = window_of(np.concatenate([points, on_table]), camera, margin_px=12)
        return found or (0, 0, 16, 16)

    def _arm(self, body: _Body, hand: HandMoments, i: int) -> list[Mesh]:
        """A hand and its sleeve."""
        skin = Mesh(
            hand.vertices_m[i], body.faces, self.cast.skin, body.label, gloss=0.07, grain=0.045, grain_m=0.0016,
            rest_m=body.layer.model.v_template,
        )  # fmt: skip
        return [skin, self._sleeve(body, hand, i)]

    def _sleeve(self, body: _Body, hand: HandMoments, i: int) -> Mesh:
        """The arm in its sleeve, from the wrist towards the person's shoulder."""
        R = rotation.exp_so3(hand.orient[i])
        wrist = hand.joints_m[i, 0]
        back = -R @ body.forward
        shoulder = np.array([-0.18 if body.layer.side == "right" else 0.18, 0.75, 0.42])
        goal = shoulder - wrist
        arm = back + 0.9 * goal / np.linalg.norm(goal)
        arm /= np.linalg.norm(arm)
        s = np.linspace(0.0, 1.0, 18)[:, None]
        centres = wrist + back * 0.022 + s * (0.55 * ((1 - s) * back + s * arm))
        radii = np.interp(s[:, 0], [0.0, 0.06, 0.3, 1.0], [0.029, 0.033, 0.040, 0.055])
        shape = tube(centres, radii, 20)
        colors = np.tile(np.array(self.cast.sleeve, np.uint8), (len(shape.vertices_m), 1))
        colors[:40] = (colors[:40] * 0.6).astype(np.uint8)
        return Mesh(shape.vertices_m, shape.faces, colors, SLEEVE, 0.0, 0.12, 0.004)
