"""A hand takes an object: drawn ahead, frame by frame, then developed with the noise of each device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from capture.simulation.clocks import DeviceClock
from capture.simulation.develop import Images, Lab
from capture.simulation.film import Reel
from capture.simulation.stock import Stock
from capture.simulation.truth import OPPOSITE, ClickNoise, click, click_object, clicked_revision, truth_revision
from capture.simulation.twin import SENSOR, VIEWS, Patch, Stage
from hoi_core import edges
from hoi_core.conventions import Side
from hoi_core.scene.motion import Moments
from hoi_core.types import F32, F64, I64, U8, Revision

_BLUR_PX = 0.55


@dataclass(frozen=True)
class _Drawn:
    """What moves in the images of one device in one slot; None where nothing does, or the device has no such image."""

    color: Patch | None = None
    """RGB."""
    depth: Patch | None = None
    """Ideal depth, m."""
    gray: U8 | None = None
    """(128, 128), the whole image before noise."""


class PlayScene:
    """Images and truth of the play, slot by slot of its reel.

    Args:
        stage: draws.
        reel: how the slots follow each other.
        clocks: device -> when it exposes.
        lab: adds the noise.
        stocked: keep images with their noise (see `_stock`), instead of fresh noise for every frame.
        pace: how fast the play goes.
    """

    def __init__(
        self,
        stage: Stage,
        reel: Reel,
        clocks: Mapping[str, DeviceClock],
        lab: Lab,
        *,
        stocked: bool = False,
        pace: float = 1.0,
    ) -> None:
        self.stage = stage
        self.reel = reel
        self._pace = pace
        self._lab = lab
        self._base = {
            stream: _soften(still.color) if stream.endswith("/color") else still.color
            for stream, still in stage.stills.items()
        }
        self._drawing = {name: reel.drawing(clock) for name, clock in clocks.items()}
        self.moments = {name: self._moments_of(reel, clock) for name, clock in clocks.items()}
        """Hand and object as each device's drawings show them, by slot."""
        self._drawn: dict[tuple[str, int], _Drawn] = {}
        self._stocks = {
            name: Stock(lab, name, self._base[f"{name}/color"], stage.empty_depth_m[f"{name}/depth"])
            for name in (VIEWS if stocked else ())
        }

    @property
    def object_name(self) -> str:
        """Identifier of the object in the scene."""
        return self.stage.cast.play.model.name

    def slots_to_draw(self) -> list[int]:
        """All slots that have a drawing of their own on some device, in the order in which they are shown."""
        return sorted({int(slot) for drawing in self._drawing.values() for slot in drawing})

    def ready(self, slot: int) -> bool:
        """Whether every device's image of a slot is drawn."""
        return all((name, int(drawing[slot])) in self._drawn for name, drawing in self._drawing.items())

    def draw(self, slot: int) -> None:
        """Render what moves in a slot of every device."""
        for name, drawing in self._drawing.items():
            if drawing[slot] == slot and (name, slot) not in self._drawn:
                drawn = self._draw(name, slot)
                if name in self._stocks and drawn.color is not None and drawn.depth is not None:
                    images = self._develop(name, drawn, slot)
                    self._stocks[name].keep(slot, images, drawn.color.window, drawn.depth.window)
                    drawn = _Drawn()
                self._drawn[name, slot] = drawn

    def shown(self, name: str, slots: I64) -> Moments:
        """Hand and object as a device's images show them in slots `(M,)`."""
        return _take(self.moments[name], self._drawing[name][slots])

    def develop(self, name: str, slot: int, n: int) -> Images:
        """Full images of frame `n`, noise included: colour and depth, or gray and edge."""
        own = int(self._drawing[name][slot])
        if name in self._stocks:
            return self._stocks[name].take(own, n)
        return self._develop(name, self._drawn.get((name, own), _Drawn()), n)

    def depth(self, name: str, slot: int, n: int) -> np.ndarray:
        """Depth `(H, W)` uint16 mm of a view's frame `n` without its colour: drawn at once, and kept nowhere."""
        meshes = self.stage.meshes(self.moments[name], int(self._drawing[name][slot]))
        ideal_m = _composed(self.stage.empty_depth_m[f"{name}/depth"], self.stage.depth(name, meshes))
        return self._lab.depth(name, ideal_m, n)

    def _develop(self, name: str, drawn: _Drawn, n: int) -> Images:
        if name == SENSOR:
            gray = drawn.gray if drawn.gray is not None else edges.gray(self._base[f"{SENSOR}/gray"])
            return self._lab.sensor(name, gray, n)
        color = _composed(self._base[f"{name}/color"], drawn.color)
        depth_m = _composed(self.stage.empty_depth_m[f"{name}/depth"], drawn.depth)
        return self._lab.camera(name, color, depth_m, n)

    def truth(self, slots: I64, t_ns: I64) -> tuple[Revision, F32]:
        """What the left view shows in slots `(M,)` at true times `(M,)`: labels, and vertices `(M, 778, 3)` m."""
        # A long recording shows the same surfaces again and again: they are repeated in single precision only.
        index, drawn = self._drawing["left"][slots], self.moments["left"]
        moments = _take(replace(drawn, vertices_m=drawn.vertices_m[:, :0]), index)
        side = self.stage.cast.play.layer.side
        revision = truth_revision(moments, t_ns, side, self.object_name)
        return revision, drawn.vertices_m.astype(np.float32)[index]

    def other_vertices_m(self, slots: I64) -> dict[Side, F32]:
        """Vertices `(M, 778, 3)` m of the hand that does not take the object, by side; empty where there is none."""
        other = self.moments["left"].other
        if other is None:
            return {}
        shown = other.vertices_m.astype(np.float32)[self._drawing["left"][slots]]
        return {OPPOSITE[self.stage.cast.play.layer.side]: shown}

    def clicks(
        self, t_ns: I64, slots: Mapping[str, I64], frame_index: dict[str, I64], noise: ClickNoise, seed: int
    ) -> Revision:
        """What a simulated person clicks.

        Args:
            t_ns: `(M,)` common times.
            slots: view -> `(M,)` slots shown.
            frame_index: view -> `(M,)`; -1 where the view has no frame.
            noise: how the person clicks.
            seed: of the errors.
        """
        moments = {view: self.shown(view, shown[:: noise.every]) for view, shown in slots.items()}
        index = {view: frames[:: noise.every] for view, frames in frame_index.items()}
        dense = replace(noise, every=1)
        side = self.stage.cast.play.layer.side
        keypoints = {side: _spread(click(self.stage, moments, index, dense, seed), noise.every, len(t_ns))}
        if self.stage.cast.other is not None:
            found = click(self.stage, moments, index, dense, seed, other=True)
            keypoints[OPPOSITE[side]] = _spread(found, noise.every, len(t_ns))
        often = f"every {noise.every}th moment"
        comment = f"The simulator plays the annotator: truth plus {noise.sigma_px:g} px on {often}."
        touched = click_object(self.stage, moments, index, noise, seed)
        on_object = {self.object_name: replace(touched, moment=touched.moment * noise.every)}
        return clicked_revision(t_ns, keypoints, frame_index, comment, on_object)

    def _moments_of(self, reel: Reel, clock: DeviceClock) -> Moments:
        return self.stage.cast.at(np.asarray(reel.scene_ns(clock) * (1e-9 * self._pace), np.float64))

    def _draw(self, name: str, slot: int) -> _Drawn:
        meshes = self.stage.meshes(self.moments[name], slot)
        if name == SENSOR:
            return _Drawn(gray=self.stage.sensor(meshes))
        color = self.stage.color(name, meshes)
        soft = Patch(color.window, _soften(np.asarray(color.image, np.uint8)))
        return _Drawn(soft, self.stage.depth(name, meshes))


def _soften(image: U8) -> U8:
    """The blur of lens and demosaicing."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), _BLUR_PX), np.uint8)


def _composed(base: np.ndarray, patch: Patch | None) -> np.ndarray:
    """The still image with what moves laid over it."""
    image = base.copy()
    if patch is not None:
        x0, y0, x1, y1 = patch.window
        image[y0:y1, x0:x1] = patch.image
    return image


def _spread(clicked: Mapping[str, F64], every: int, moments: int) -> dict[str, F64]:
    """Clicks on every so many of the moments. `(K, 21, 3) -> (M, 21, 3)` by view, NaN between."""
    out = {view: np.full((moments, 21, 3), np.nan) for view in clicked}
    for view, points in clicked.items():
        out[view][::every] = points
    return out


def _take(moments: Moments, index: I64) -> Moments:
    """Moments by index. `(M,)`."""

    def pick(values: F64) -> F64:
        return values[index]

    return Moments(
        pick(moments.orient),
        pick(moments.pose),
        moments.betas,
        pick(moments.trans_m),
        pick(moments.joints_m),
        pick(moments.vertices_m),
        pick(moments.T_world_obj),
        None if moments.other is None else moments.other.taken(index),
    )
