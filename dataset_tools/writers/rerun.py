"""Rerun recordings: pictures, depth, joints, mesh and objects of all cameras on one time line, for its viewer."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np

from dataset_tools.readers import OURS
from dataset_tools.writers import JPEG_QUALITY, PLAIN, Extras, WriterInfo
from dataset_tools.writers._object_files import surface_of
from dataset_tools.writers._pinhole import Shown, as_pinhole, pinhole_for
from dataset_tools.writers._places import Place, Places
from hoi_core import camera as cameras
from hoi_core.conventions import BONES, N_JOINTS, Side
from hoi_core.draw import joint_colour
from hoi_core.errors import ConfigError
from hoi_core.mano import ManoLayer
from hoi_core.types import F32, F64, I64, ObjectPose, Sample

INFO = WriterInfo(
    name="rerun",
    url="https://rerun.io",
    keeps="for each recording a file `.rrd` that its viewer opens: pictures without distortion, depth in millimetres, "
    "segmentation, cameras, joints in space and on the pictures, mesh, objects with their meshes; the time line counts "
    "moments. Parameters of the hand model are lost.",
    maps=True,
)
_SKIN = (222, 184, 160)
_CLASSES = [(1, "hand", _SKIN), (2, "object", (86, 180, 233))]
_LONGEST_EDGE_M = 0.06  # across the wrist, which is closed
_MOST_BYTES = 300_000_000
"""Of pictures in memory: a longer recording goes on in another file."""
_JOINT_M, _BONE_M, _AXIS_M = 0.003, 0.0015, 0.05
_COLOURS = [joint_colour(joint) for joint in range(N_JOINTS)]


class Rerun:
    """One split: a file for each group of samples."""

    def __init__(self, folder: Path, split: str) -> None:
        self._rr = _library()
        self._folder, self._split = folder / split, split
        self._folder.mkdir(parents=True)
        self._places = Places()
        self._group = ""
        self._path: Path | None = None
        self._names: Counter[str] = Counter()

    def add(self, sample: Sample, extras: Extras = PLAIN) -> bool:
        """Write a sample of which something is known in space."""
        place = self._places.of(sample, extras) if sample.joints_valid.any() else None
        if place is None:
            return False
        if self._path is None or extras.group != self._group or self._held > _MOST_BYTES:
            self._begin(extras.group)
        self._stream.set_time("moment", sequence=place.instant)
        flat = pinhole_for(sample.camera, sample.camera.width, sample.camera.height)
        shown = as_pinhole(sample, extras, flat)
        self._show_camera(place, shown)
        self._show_hand(place, shown.sample)
        for seen in sample.objects:
            self._show_object(sample, seen)
        return True

    def close(self) -> None:
        """Write the last recording.

        Raises:
            OSError: the disk is full or not writable.
        """
        if self._path is None:
            return
        # Written here and not by the library: on a full disk its own writing may wait for ever.
        content = self._content.read()
        self._stream.disconnect()
        path, self._path = self._path, None
        path.write_bytes(content)

    def _begin(self, group: str) -> None:
        self.close()
        name = _plain_name(group) or self._split
        self._names[name] += 1
        # A group that comes back goes on in a file of its own.
        title = name if self._names[name] == 1 else f"{name}_{self._names[name]}"
        self._group, self._known = group, set[str]()
        self._stream: Any = self._rr.RecordingStream("hoi-toolkit", recording_id=f"{self._split}-{title}")
        # When something was written says nothing about the recording.
        self._rr.set_log_time_enabled(False, recording=self._stream)
        self._content = self._stream.binary_stream()
        self._stream.send_recording_name(title)
        self._path, self._held = self._folder / f"{title}.rrd", 0

    def _once(self, path: str) -> bool:
        """Whether something was not yet said in this recording."""
        new = path not in self._known
        self._known.add(path)
        return new

    def _show_camera(self, place: Place, shown: Shown) -> None:
        rr, log, sample = self._rr, self._stream.log, shown.sample
        path, camera = f"world/camera_{place.camera}", sample.camera
        if self._once("world"):
            # The world of ours has z up; that of others is a camera's.
            up = rr.ViewCoordinates.RIGHT_HAND_Z_UP if sample.dataset == OURS else rr.ViewCoordinates.RDF
            log("world", up, static=True)
            log("world", rr.AnnotationContext(_CLASSES), static=True)
        if self._once(path):
            T = camera.T_world_cam
            log(path, rr.Transform3D(translation=T[:3, 3], mat3x3=T[:3, :3]), static=True)
            lens = rr.Pinhole(
                image_from_camera=camera.K, width=camera.width, height=camera.height, camera_xyz=rr.ViewCoordinates.RDF
            )
            log(path, lens, static=True)
        coded = _coded(".jpg", sample.image[..., ::-1])
        self._held += len(coded)
        log(f"{path}/color", rr.EncodedImage(contents=coded, media_type="image/jpeg"))
        if shown.extras.depth_m is not None:
            depth = rr.EncodedDepthImage(
                _coded(".png", _millimetres(shown.extras.depth_m)), media_type="image/png", meter=1000
            )
            log(f"{path}/depth", depth)
        if shown.extras.segmentation is not None:
            self._held += shown.extras.segmentation.size
            log(f"{path}/segmentation", rr.SegmentationImage(shown.extras.segmentation))
        pixels = cameras.project(camera, sample.joints_m)
        known = np.isfinite(pixels).all(-1) & sample.joints_valid
        log(f"{path}/color/{sample.side}_joints", rr.Points2D(pixels[known], colors=_colours(known), radii=3.0))

    def _show_hand(self, place: Place, sample: Sample) -> None:
        rr, log = self._rr, self._stream.log
        path, known = f"world/{sample.side}_hand", sample.joints_valid
        joints_m = cameras.transform(sample.camera.T_world_cam, sample.joints_m)
        log(f"{path}/joints", rr.Points3D(joints_m[known], colors=_colours(known), radii=_JOINT_M))
        bones = [(a, b) for a, b in BONES if known[a] and known[b]]
        strips = joints_m[np.array(bones, np.int64).reshape(-1, 2)]
        log(f"{path}/bones", rr.LineStrips3D(strips, colors=[_COLOURS[b] for _, b in bones], radii=_BONE_M))
        if sample.vertices_m is None:
            return
        vertices_m = cameras.transform(sample.camera.T_world_cam, sample.vertices_m)
        faces = _faces(sample.side)
        if _fit(vertices_m, faces):
            mesh = rr.Mesh3D(vertex_positions=vertices_m, triangle_indices=faces, albedo_factor=_SKIN)
            log(f"{path}/mesh", mesh)
        else:
            log(f"{path}/vertices", rr.Points3D(vertices_m, colors=[_SKIN], radii=_BONE_M))

    def _show_object(self, sample: Sample, seen: ObjectPose) -> None:
        rr, log = self._rr, self._stream.log
        path = f"world/objects/{_plain_name(seen.name)}"
        T = sample.camera.T_world_cam @ seen.T_cam_obj
        log(path, rr.Transform3D(translation=T[:3, 3], mat3x3=T[:3, :3]))
        if self._once(path):
            log(path, rr.TransformAxes3D(_AXIS_M), static=True)
            surface = surface_of(seen)
            if surface is not None:
                mesh = rr.Mesh3D(
                    vertex_positions=surface.vertices, triangle_indices=surface.faces, albedo_factor=_CLASSES[1][2]
                )
                log(f"{path}/mesh", mesh, static=True)


def _library() -> ModuleType:
    try:
        import rerun
    except ImportError as error:
        raise ConfigError("the format rerun needs rerun-sdk.", "pip install 'hoi-toolkit[rerun]'") from error
    rerun.set_strict_mode(True)  # else it warns where it should fail
    return rerun


def _plain_name(name: str) -> str:
    return re.sub(r"[^\w-]+", "_", name)


def _faces(side: Side) -> I64:
    return ManoLayer.from_env(side).closed_faces


def _fit(vertices_m: F64, faces: I64) -> bool:
    """Whether faces are those of a surface: of another hand model they would join points that lie far apart."""
    edges = vertices_m[faces] - vertices_m[np.roll(faces, 1, axis=1)]
    return bool(np.linalg.norm(edges, axis=-1).max() < _LONGEST_EDGE_M)


def _colours(known: np.ndarray) -> list[tuple[int, int, int]]:
    return [colour for colour, shown in zip(_COLOURS, known, strict=True) if shown]


def _millimetres(depth_m: F32) -> np.ndarray:
    whole = np.rint(1000 * np.nan_to_num(depth_m).astype(np.float64))
    return np.where(whole < 2**16, whole, 0).astype(np.uint16)


def _coded(suffix: str, image: np.ndarray) -> bytes:
    done, coded = cv2.imencode(suffix, image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix == ".jpg" else [])
    if not done:
        raise ValueError(f"a picture of shape {image.shape} cannot be encoded")
    return coded.tobytes()


def open(folder: Path, split: str) -> Rerun:  # noqa: A001 -- the name of the contract
    """Start a split.

    Raises:
        ConfigError: the package is not installed.
    """
    return Rerun(Path(folder), split)
