"""Run an exported model: an image in, joints and mesh in its camera's frame out. Needs no torch.

A model is two files: `model.onnx`, and `model.json` (the sidecar) that says how its input is made and what its
outputs mean.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, get_args

import numpy as np

from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core.conventions import SIDES, Side
from hoi_core.edges import EdgeParams
from hoi_core.errors import AssetError, ConfigError
from hoi_core.network_input import IN_WORDS, Input, network_input, pixels_of
from hoi_core.onnx_session import onnx_session
from hoi_core.types import F32, F64, U8, Camera, Prediction

if TYPE_CHECKING:
    from hoi_core.grasp_model import GraspModel

Engine = Literal["onnxruntime", "native", "auto"]
"""`auto`: `native` where it is built and runs the file, else `onnxruntime`."""

FORMAT = "hoi-model"
FORMAT_VERSION = "1.1"
NARROW_BITS = 7
"""Weights of so few bits never overflow the 16 bits in which x86 without VNNI adds up two products."""


@dataclass(frozen=True)
class Sidecar:
    """What a user of the exported file must know."""

    model: str
    """Name of the network."""
    precision: str
    """`fp32` or `int8`."""
    sha256: str
    """Hash of the ONNX file it describes."""
    size: int
    """Side of the crop, px."""
    edges: EdgeParams
    """How edges are made from the crop."""
    crop_scale: float
    """Side of the crop over the longer side of the joints' box."""
    length_unit_m: float
    """Unit of relative depths and vertices, m."""
    root_unit_m: float
    """Unit of the root's depth times crop size over focal length, m."""
    joint_order: str
    """A key of `conventions.JOINT_ORDERS`."""
    tips: str
    """Fingertip set of the labels it was trained on."""
    side: Side
    """The hand it knows; the other is shown to it mirrored."""
    hand_model: str
    """`stand-in`, or the SHA-256 of the MANO file that the mesh belongs to."""
    licence: str
    """What its use is bound to."""
    training: dict[str, Any] = field(default_factory=dict)
    """Run, steps, dataset, commit."""
    parity: dict[str, Any] = field(default_factory=dict)
    """Difference between the exported file and the trained model."""
    task: str = "hand"
    """What its outputs mean: a file of `learning/tasks`."""
    input: Input = "edges"
    """What it is shown."""
    preprocessing: str = ""
    """How an image becomes its input, in words."""
    inputs: dict[str, str] = field(default_factory=dict)
    """Shape, meaning and unit of each input besides the image, which `preprocessing` tells of."""
    outputs: dict[str, str] = field(default_factory=dict)
    """Shape, meaning and unit of each output."""
    weight_bits: int | None = None
    """Bits of the weights of an int8 file; None for float, and for int8 files of before it was noted (8)."""
    sparsity: str = "sites: pixels whose fused edge value is not zero; the mask is inside the graph"
    """How the sites are found."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the format and its version first."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__} | {"edges": self.edges.to_dict()}
        return {"format": FORMAT, "format_version": FORMAT_VERSION, **values}

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str) -> Sidecar:
        """The inverse of `to_dict`.

        Raises:
            AssetError: not a sidecar, or one of a version that is not known.
        """
        if values.get("format") != FORMAT or not str(values.get("format_version", "")).startswith("1."):
            raise AssetError(
                f"expected {where} to be a {FORMAT} 1.x description, got {values.get('format')!r} "
                f"{values.get('format_version')!r}.",
                "Export the model again with `hoi-export`.",
            )
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        try:
            sidecar = cls(**known | {"edges": EdgeParams.from_dict(known["edges"])})
            sidecar._check()
            return sidecar
        except (KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
            raise AssetError(
                f"{where} is incomplete or wrong: {error}.", "Export the model again with `hoi-export`."
            ) from error

    def _check(self) -> None:
        """Raise ValueError or TypeError where a value makes no sense."""
        if isinstance(self.size, bool) or not isinstance(self.size, int) or self.size < 1:
            raise ValueError(f"size must be a number of pixels, got {self.size!r}")
        if not 0.0 < self.crop_scale < float("inf"):
            raise ValueError(f"crop_scale must be above 0, got {self.crop_scale!r}")
        # `crop.camera_space` decodes in these; a file in others would be read as a hand of another size or order.
        for name, ours in (
            ("length_unit_m", crops.LENGTH_UNIT_M),
            ("root_unit_m", crops.ROOT_UNIT_M),
            ("joint_order", "openpose21"),
        ):
            if getattr(self, name) != ours:
                raise ValueError(f"{name} must be {ours!r}, got {getattr(self, name)!r}")
        for name, value, known in (("side", self.side, SIDES), ("input", self.input, get_args(Input))):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")


class ExportedModel:
    """An exported network and its sidecar; one subclass per task."""

    TASK: ClassVar[str]
    """What the outputs mean: a file of `learning/tasks`."""
    INPUTS: ClassVar[tuple[str, ...]] = ("image",)
    """Names of the network's inputs, in their order."""
    INPUT_MEANINGS: ClassVar[dict[str, str]] = {}
    """Shape, meaning and unit of each input besides the image."""
    OUTPUTS: ClassVar[tuple[str, ...]]
    """Names of the network's outputs, in their order."""
    MEANINGS: ClassVar[dict[str, str]]
    """Shape, meaning and unit of each output."""
    PLACED: ClassVar[str] = (
        f"A square around the box of the hand's joints, {crops.SCALE} times its longer side, is seen by a virtual "
        "pinhole camera that looks at the box's centre, without lens distortion, at {size} x {size} px; beyond the "
        "image its border goes on. A left hand is mirrored."
    )
    """Which part of an image the network is shown."""

    def __init__(self, session: Any, sidecar: Sidecar) -> None:
        self.session = session
        self.sidecar = sidecar
        self.computed_by = "ONNX Runtime"
        """Which engine computes what, for people."""

    @classmethod
    def preprocessing(cls, kind: Input, size: int) -> str:
        """How an image becomes the network's input, in words."""
        return f"{cls.PLACED.format(size=size)} {IN_WORDS[kind]}"

    def run(self, *shown: F32) -> tuple[F64, ...]:
        """The network alone: its `INPUTS`, images as `(B, 3, S, S)` of `network_input` -> its `OUTPUTS`, as float64."""
        found = self.session.run(list(self.OUTPUTS), dict(zip(self.INPUTS, shown, strict=True)))
        return tuple(np.asarray(x, dtype=np.float64) for x in found)

    def cut(self, image: U8, camera: Camera, box: crops.Box | None, side: Side | None) -> tuple[F32, crops.HandCrop]:
        """What the network is shown of an image.

        Args:
            image: `(H, W, 3)` RGB; a model of edges also takes `(H, W)`, an edge image as the sensor sends it.
            camera: camera of `image`.
            box: x0, y0, x1, y1 px around the hand's joints, or None for the whole image.
            side: which hand it is; None for the one the model knows.

        Returns:
            `(1, 3, S, S)` input, and where it was cut.
        """
        seen, crop = self.cut_pixels(image, camera, box, side)
        return self._input(seen), crop

    def run_crop(self, seen: U8) -> tuple[F64, ...]:
        """The network on a crop `(S, S, 3)` or `(S, S)` of `cut_pixels` -> its `OUTPUTS`, as float64, batch of one."""
        whole = getattr(self.session, "run_crop", None)
        if whole is None:
            return self.run(self._input(seen))
        return tuple(np.asarray(x[None], dtype=np.float64) for x in whole(seen))

    def _input(self, seen: U8) -> F32:
        pixels = pixels_of(seen, self.sidecar.input, self.sidecar.edges)
        return network_input(pixels[None], self.sidecar.input)

    def cut_pixels(
        self, image: U8, camera: Camera, box: crops.Box | None, side: Side | None
    ) -> tuple[U8, crops.HandCrop]:
        """The part of an image that the network is shown, `(S, S, 3)` or `(S, S)`, and where it was cut; as `cut`."""
        about = self.sidecar
        whole_shape = (camera.height, camera.width)
        shapes = [(*whole_shape, 3), whole_shape][: 2 if about.input == "edges" else 1]
        if image.shape not in shapes or image.dtype != np.uint8:
            raise ValueError(
                f"image must be {' or '.join(map(str, shapes))} uint8 as its camera says, "
                f"got {image.shape} {image.dtype}"
            )
        whole = (-0.5, -0.5, camera.width - 0.5, camera.height - 0.5)
        place = crops.Placement(scale=about.crop_scale if box else 1.0, mirror=side is not None and side != about.side)
        crop = crops.around(camera, box or whole, about.size, place)
        return crops.warp(image, camera, crop), crop


class HandModel(ExportedModel):
    """Joints and mesh in space.

    Example:
        >>> model = load(Path("splite_int8.onnx"))  # doctest: +SKIP
        >>> hand = model.predict(rgb, camera, box=(200, 120, 420, 330))  # doctest: +SKIP
    """

    TASK = "hand"
    OUTPUTS: ClassVar[tuple[str, ...]] = ("uv", "depth", "vertices", "confidence")
    MEANINGS: ClassVar[dict[str, str]] = {
        "uv": "(B, 21, 2) joints in the crop: x right and y down, -1 and 1 at its outer edges",
        "depth": f"(B, 22) depth of each joint less the wrist's, unit {crops.LENGTH_UNIT_M} m; last, the wrist's depth "
        f"times the crop's size over its focal length (both px), unit {crops.ROOT_UNIT_M} m",
        "vertices": "(B, 778, 3) mesh relative to the wrist in the crop's camera frame (x right, y down, z forward), "
        f"unit {crops.LENGTH_UNIT_M} m",
        "confidence": "(B, 21) of each joint, 0 to 1",
    }

    def hands(self, image: F32, focal_px: F64) -> tuple[F64, F64, F64]:
        """Hands in the crops' frames.

        Args:
            image: `(B, 3, S, S)` of `hoi_core.network_input`.
            focal_px: `(B,)` px, of the crops.

        Returns:
            Joints `(B, 21, 3)` m, vertices `(B, 778, 3)` m, confidence `(B, 21)`.
        """
        return self._placed(self.run(image), focal_px)

    def _placed(self, found: tuple[F64, ...], focal_px: F64) -> tuple[F64, F64, F64]:
        uv, depth, vertices, confidence = found
        joints = crops.camera_space(uv, depth, np.asarray(focal_px, dtype=np.float64), self.sidecar.size)
        return joints, joints[:, :1] + vertices * self.sidecar.length_unit_m, confidence

    def predict(
        self, image: U8, camera: Camera, box: crops.Box | None = None, *, side: Side | None = None
    ) -> Prediction:
        """Predict the hand in one image.

        Args:
            image: `(H, W, 3)` RGB; a model of edges also takes `(H, W)`, an edge image as the sensor sends it.
            camera: camera of `image`.
            box: x0, y0, x1, y1 px around the hand's joints, or None for the whole image.
            side: which hand it is; None for the one the model knows.

        Returns:
            Joints and mesh in the frame of `camera`.
        """
        seen, crop = self.cut_pixels(image, camera, box, side)
        joints, vertices, confidence = self._placed(self.run_crop(seen), np.array([crop.focal_px]))
        joints_m = crops.from_crop(crop, joints[0])
        return Prediction(
            joints_m=joints_m,
            vertices_m=crops.from_crop(crop, vertices[0]),
            joints_px=cameras.project(camera, joints_m),
            confidence=np.clip(confidence[0], 0.0, 1.0),
        )


M = TypeVar("M", bound=ExportedModel)


def load(path: Path | str, *, threads: int = 0, engine: Engine = "onnxruntime") -> HandModel | GraspModel:
    """Load an exported model of hands in space, as its sidecar says: of hands alone, or of the object in them too.

    Args:
        path: the `.onnx` file; the sidecar is the `.json` beside it.
        threads: 0 for one per core.
        engine: `native` computes a sparse encoder on its sites alone, and of SPLite in float everything; `computed_by`
            of the model says what computes it.

    Returns:
        A `HandModel` (`LixelModel` among them), whose `predict` gives a hand; or a `GraspModel` (`ObjectPoseModel`
        among them), whose `predict` gives a hand and an object.

    Raises:
        AssetError: a file is missing, foreign, damaged, of another task, or they do not belong together.
    """
    from hoi_core.grasp_model import GraspModel
    from hoi_core.object_pose_model import ObjectPoseModel

    of_objects = {kind.TASK: kind for kind in (GraspModel, ObjectPoseModel)}
    kind = of_objects.get(read_sidecar(Path(path)).task)
    if kind is not None:
        return load_as(kind, path, threads=threads, engine=engine)
    return load_hand(path, threads=threads, engine=engine)


def load_hand(path: Path | str, *, threads: int = 0, engine: Engine = "onnxruntime") -> HandModel:
    """Load an exported model of hands alone, of whichever task gives joints and mesh; as `load`."""
    from hoi_core.lixel_model import LixelModel

    kind = LixelModel if read_sidecar(Path(path)).task == LixelModel.TASK else HandModel
    return load_as(kind, path, threads=threads, engine=engine)


def load_as(kind: type[M], path: Path | str, *, threads: int = 0, engine: Engine = "onnxruntime") -> M:
    """Load an exported model of one task.

    Args:
        kind: class of the task's models.
        path: the `.onnx` file; the sidecar is the `.json` beside it.
        threads: of ONNX Runtime; 0 for one per core.
        engine: as for `load`.

    Raises:
        AssetError: a file is missing, foreign, damaged, of another task, or they do not belong together; or the native
            engine is wanted and missing, or does not run such a model.
    """
    path = Path(path)
    sidecar = read_sidecar(path)
    if sidecar.task != kind.TASK:
        raise AssetError(
            f"expected a model of the task {kind.TASK}, {path} is one of {sidecar.task}.", "Give another file."
        )
    session, computed_by = open_session(path, sidecar, threads, engine)
    for what, ports, expected in (
        ("inputs", session.get_inputs(), kind.INPUTS),
        ("outputs", session.get_outputs(), kind.OUTPUTS),
    ):
        got = tuple(port.name for port in ports)
        if got != expected:
            raise AssetError(
                f"expected the {what} {', '.join(expected)}, {path} has {', '.join(got)}.", "Export it again."
            )
    model = kind(session, sidecar)
    model.computed_by = computed_by
    return model


def open_session(path: Path, sidecar: Sidecar, threads: int, engine: Engine) -> tuple[Any, str]:
    """What computes a model, with the methods of a session of ONNX Runtime, and which engine that is; see `load_as`."""
    why, overflows = "", sidecar.weight_bits != NARROW_BITS
    if engine != "onnxruntime":
        from hoi_core.native.session import NativeSession

        try:
            native = NativeSession(path, sidecar.size, threads, sidecar.edges, overflows=overflows)
            return native, native.computed_by
        except AssetError as error:
            if engine == "native":
                raise
            why = f": {error.message}"
    session = onnx_session(path, threads, overflows=overflows)
    return session, f"ONNX Runtime computes everything but the edges{why}"


def read_sidecar(path: Path) -> Sidecar:
    """The sidecar of an ONNX file, checked against the file.

    Raises:
        AssetError: a file is missing, foreign, damaged, or they do not belong together.
    """
    if not path.is_file() or path.suffix != ".onnx":
        raise AssetError(
            f"expected a model file (.onnx), got {path}.", "Make one with `hoi-export RUN --out model.onnx`."
        )
    beside = path.with_suffix(".json")
    if not beside.is_file():
        raise AssetError(f"{path} has no sidecar: expected {beside}.", "Copy both files that `hoi-export` wrote.")
    try:
        values = json.loads(beside.read_text(encoding="utf8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise AssetError(f"{beside} is not JSON: {error}.", "Copy it again.") from error
    if not isinstance(values, dict):
        raise AssetError(f"{beside} holds no description of a model.", "Copy the one that `hoi-export` wrote.")
    sidecar = Sidecar.from_dict(values, str(beside))
    if sidecar.sha256 != file_hash(path):
        raise AssetError(
            f"{beside} describes another file than {path} (the hashes differ).", "Copy both files of one export."
        )
    return sidecar


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
