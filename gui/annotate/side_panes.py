# SPDX-License-Identifier: GPL-3.0-or-later
"""The panes beside the views: the turnable scene, the object's mesh, the edge sensor; all show the chosen frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gui.jobs import Jobs
from gui.panels.segments import Segments
from gui.qt import QtWidgets, Signal
from gui.sessions import AnnotationSession
from gui.theme import Theme
from hoi_core.errors import HoiError
from hoi_core.types import F64, U8

from .canvas import Canvas
from .picture import OBJECT_RGB, Body, Layers, Picture, bodies, hand_marks, overlay, spread_points
from .scene import Orbit, Scene
from .scene_view import Marks, SceneView
from .selection import Selection

# Points further from what one looks at are left out, m: they cost time and hide it.
_REACH_M = 0.3


class SidePanes(QtWidgets.QWidget):
    """One of three pictures; all of them where there is room.

    Signals:
        point_chosen(): a point of the object's mesh was chosen.
        failed(HoiError): something cannot be read.
    """

    point_chosen = Signal()
    failed = Signal(object)

    def __init__(self, session: AnnotationSession, selection: Selection, jobs: Jobs, theme: Theme) -> None:
        super().__init__()
        self._session, self._selection, self._jobs = session, selection, jobs
        self.layers = Layers()
        self.choice = Segments([("scene", "3D"), ("object", "Object"), ("sensor", "Sensor")], stretch=True)
        self.scene = SceneView(theme, "3D scene")
        self.object = SceneView(theme, "Object mesh")
        self.sensor = Canvas(theme, "sensor", selection)
        self.sensor.editable = self.sensor.smooth = False
        self.sensor.title = "Edge sensor"
        self.stack = QtWidgets.QStackedWidget()
        for pane in (self.scene, self.object, self.sensor):
            self.stack.addWidget(pane)
        self._cloud: tuple[F64, U8] = (np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
        self._cloud_frame = -1
        self._at_home = False
        self._mesh_name, self.mesh_points_m = "", np.zeros((0, 3))
        self.point_m: F64 | None = None
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.choice)
        column.addWidget(self.stack, 1)
        self.choice.chosen.connect(self.show_pane)
        self.scene.joint_chosen.connect(selection.choose_joint)
        self.object.surface_chosen.connect(lambda x, y, z: self._choose_point(np.array([x, y, z])))

    def show_pane(self, name: str) -> None:
        """Show `scene`, `object` or `sensor`."""
        self.choice.choose(name)
        self.stack.setCurrentWidget({"scene": self.scene, "object": self.object, "sensor": self.sensor}[name])
        self.refresh()

    def refresh(self, *, playing: bool = False) -> None:
        """Show the chosen frame; the measured points come when they are read, and not while it plays."""
        if not self._session.n_frames:
            return
        shown = self.stack.currentWidget()
        if shown is self.sensor:
            self._show_sensor()
        elif shown is self.object:
            self._show_object()
        else:
            frame = self._selection.frame
            if self._cloud_frame != frame and not playing:
                self._cloud_frame = frame
                self._jobs.run("cloud", lambda: self._session.cloud(frame, 2), self._take_cloud, self._no_cloud)
            elif playing:
                self._cloud = (np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
                self._cloud_frame = -1
            self._show_scene()

    def _take_cloud(self, cloud: tuple[F64, U8]) -> None:
        self._cloud = cloud
        self._show_scene()

    def _no_cloud(self, error: HoiError) -> None:
        self._cloud = (np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
        self.failed.emit(error)

    def _show_scene(self) -> None:
        session, chosen = self._session, self._selection
        joints_m = self._joints_m()
        shown = bodies(session, chosen.frame, self.layers)
        centre = self._centre_m(joints_m, shown)
        if centre is not None:
            self._look_at(centre)
        points_m, rgb_of = self._cloud
        near = np.linalg.norm(points_m - np.asarray(self.scene.orbit.centre_m), axis=1) < _REACH_M
        cameras = [session.camera(view) for view in session.views]
        marks = Marks(joints_m if self.layers.keypoints else None, chosen.joint, cameras)
        self.scene.set_scene(Scene(points_m[near], rgb_of[near], shown), marks)

    def _joints_m(self) -> F64 | None:
        track = self._session.revision.hands.get(self._selection.side)
        valid = track is not None and bool(track.valid[self._selection.frame])
        return track.joints_m[self._selection.frame] if track is not None and valid else None

    def _centre_m(self, joints_m: F64 | None, shown: list[Body]) -> F64 | None:
        if joints_m is not None:
            return np.asarray(np.nanmean(joints_m, axis=0))
        if shown:
            return np.asarray(shown[0].vertices_m.mean(0))
        points_m = self._cloud[0]
        return np.asarray(np.median(points_m, axis=0)) if len(points_m) and not self._at_home else None

    def _look_at(self, centre_m: F64) -> None:
        x, y, z = (float(c) for c in centre_m)
        if not self._at_home:
            self._at_home = True
            view = self._session.views[0] if self._session.views else None
            home = Orbit.of_camera(self._session.camera(view), centre_m) if view is not None else Orbit((x, y, z))
            self.scene.home = self.scene.orbit = replace(home.turned(0.5, 0.1), distance_m=0.44)
        # Whoever moved what they look at keeps it there beside the hand, until a double click.
        was, seen = self.scene.home.centre_m, self.scene.orbit.centre_m
        self.scene.home = replace(self.scene.home, centre_m=(x, y, z))
        moved = (x + seen[0] - was[0], y + seen[1] - was[1], z + seen[2] - was[2])
        self.scene.orbit = replace(self.scene.orbit, centre_m=moved)

    def look_as(self, view: str) -> None:
        """Look at the scene from where a camera stands."""
        centre = np.asarray(self.scene.orbit.centre_m)
        orbit = Orbit.of_camera(self._session.camera(view), centre)
        self.scene.set_orbit(replace(orbit, distance_m=self.scene.orbit.distance_m))

    def look_from_above(self) -> None:
        """Look straight down."""
        self.scene.set_orbit(replace(self.scene.orbit, pitch_rad=np.radians(88.0)))

    @property
    def turning(self) -> SceneView:
        """What keys turn: the object's mesh while it is shown, else the scene."""
        return self.object if self.stack.currentWidget() is self.object else self.scene

    def _show_object(self) -> None:
        name = self._selection.object_name
        if not name:
            self.object.empty_text = "no object in this recording"
            return
        try:
            vertices_m, faces = self._session.object_mesh(name)
        except HoiError as error:
            self._mesh_name = ""
            self.object.set_scene(Scene(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), ()), Marks())
            self.failed.emit(error)
            return
        if name != self._mesh_name:
            self._mesh_name, self.point_m = name, None
            self.mesh_points_m = spread_points(vertices_m)
            low, high = vertices_m.min(0), vertices_m.max(0)
            x, y, z = (float(c) for c in (low + high) / 2)
            size_m = float(np.linalg.norm(high - low))
            self.object.home = self.object.orbit = Orbit((x, y, z), -1.2, 0.5, 1.9 * size_m)
        points_m, index = self.mesh_points_m, None
        if self.point_m is not None:
            points_m = np.concatenate([points_m, self.point_m[None]])
            index = len(points_m) - 1
        self.object.set_scene(
            Scene(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), [Body(vertices_m, faces, OBJECT_RGB)]),
            Marks(points_m=points_m, point=index),
        )

    def step_point(self, by: int) -> None:
        """Choose the next of the points that lie far from each other, or the one before."""
        self.show_pane("object")
        count = len(self.mesh_points_m)
        if count:
            chosen = self._selection
            chosen.point = (chosen.point + by) % count if chosen.point is not None else (0 if by > 0 else count - 1)
            self._choose_point(self.mesh_points_m[chosen.point])

    def _choose_point(self, point_m: F64) -> None:
        self.point_m = point_m
        self._show_object()
        self.point_chosen.emit()

    def _show_sensor(self) -> None:
        session, frame = self._session, self._selection.frame
        image, camera = session.sensor_image(frame), session.sensor_camera
        self.sensor.empty_text = "no sensor image at this moment"
        if image is None or camera is None:
            self.sensor.set_picture(Picture())
            return
        shown = bodies(session, frame, self.layers)
        marks = hand_marks(session, "sensor", frame, camera) if self.layers.keypoints else ()
        self.sensor.set_picture(Picture(image, overlay(shown, camera, opacity=0.4), hands=marks))
