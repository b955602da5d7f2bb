"""Keypoint providers: what a person clicked, a network in a file, MediaPipe's results, and which hand is which."""

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from annotate.keypoints import auto, clicks, mediapipe, onnx, stored
from annotate.keypoints._hands import Detection, assign_sides
from annotate.keypoints._network import HeatmapNetwork, peaks, read_sidecar
from annotate.keypoints._search import MovingThings, largest
from hoi_core import camera as cameras
from hoi_core import plugins
from hoi_core.conventions import JOINT_ORDERS
from hoi_core.detect import Detection as Found
from hoi_core.errors import AssetError
from hoi_core.sequence import (
    Binding,
    CaptureHeader,
    CaptureWriter,
    open_annotation,
    open_capture,
    write_revision,
)
from hoi_core.types import MARKS, Camera, Frame, HandKeypoints, Revision, StreamInfo

MOMENTS = 4
SIZE = 192


def two_cameras() -> dict[str, Camera]:
    out = {}
    for name, x in (("left", -0.3), ("right", 0.3)):
        T = cameras.look_at(np.array([x, -0.5, 0.25]), np.zeros(3), np.array([0.0, 0.0, 1.0]))
        lens = (0.05, -0.1, 0.0, 0.0, 0.0)
        out[name] = Camera(320, 240, 300.0, 300.0, 160.0, 120.0, distortion=lens, T_world_cam=T)
    return out


def hand_m(moment: int = 0, x: float = 0.0) -> np.ndarray:
    """(21, 3) m: five straight fingers, 4 cm between joints, moving along x."""
    joints = np.zeros((21, 3))
    for f in range(5):
        for b in range(4):
            joints[1 + 4 * f + b] = [0.035 * (f - 2), 0.04 * b - 0.02, 0.012 * b]
    joints[0] = [0.0, -0.11, 0.0]
    return joints + np.array([x + 0.006 * moment, 0.0, 0.0])


def seen(camera: Camera, points_m: np.ndarray) -> np.ndarray:
    return cameras.project(camera, cameras.transform(camera.T_cam_world, points_m))


def painted(camera: Camera, points_m: np.ndarray) -> np.ndarray:
    """An image in which the red of a dot says which joint it is."""
    image = np.zeros((camera.height, camera.width, 3), np.uint8)
    v, u = np.mgrid[: camera.height, : camera.width]
    for j, (x, y) in enumerate(seen(camera, points_m)):
        image[(u - x) ** 2 + (v - y) ** 2 <= 4.5**2] = (11 * (j + 1), 0, 255)
    return image


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    folder = tmp_path / "sequences" / "seq_001"
    folder.mkdir(parents=True)
    streams = [
        StreamInfo(f"{view}/color", "camera", (240, 320, 3), "uint8", 30.0, camera)
        for view, camera in two_cameras().items()
    ]
    with CaptureWriter.create(folder / "capture.h5", CaptureHeader(sequence="seq_001"), streams) as writer:
        for m in range(MOMENTS):
            t_ns = m * 33_333_333
            for stream in streams:
                image = painted(stream.camera, hand_m(m))
                writer.append(Frame(stream.name, m + 1, t_ns, t_ns, "hardware_clock", image))
            names = [stream.name for stream in streams]
            writer.sync(t_ns, dict.fromkeys(names, m), dict.fromkeys(names, 0))
        writer.close()
    return folder


def write_clicks(folder: Path, marks: dict[str, np.ndarray], source: str) -> np.ndarray:
    points = np.concatenate([np.arange(MOMENTS * 42.0).reshape(MOMENTS, 21, 2), np.ones((MOMENTS, 21, 1))], axis=-1)
    with open_capture(folder) as capture:
        content, t_ns = capture.content_hash(), capture.sync.t_ns
    revision = Revision(
        t_ns,
        {},
        {},
        {"right": HandKeypoints({"left": points, "right": points + 1}, marks)},
        {view: np.arange(MOMENTS) for view in ("left", "right")},
        keypoint_source=source,
    )
    write_revision(folder, revision, binding=Binding(content))
    return points


def test_only_marked_keypoints_are_clicks(recording: Path) -> None:
    marks = {view: np.zeros((MOMENTS, 21), np.uint8) for view in ("left", "right")}
    marks["left"][1, 4] = MARKS["clicked"]
    marks["left"][2, 5] = MARKS["clicked"] | MARKS["occluded"]
    marks["right"][2, 6] = MARKS["occluded"]
    points = write_clicks(recording, marks, "detected")
    with open_capture(recording) as capture:
        found = clicks.provide(clicks.Config(), recording, capture)
        everything = stored.provide(stored.Config(), recording, capture)
    assert found.source == "clicked"
    hand = found.hands["right"]
    assert np.argwhere(np.isfinite(hand.by_view["left"][..., 0])).tolist() == [[1, 4], [2, 5]]
    np.testing.assert_array_equal(hand.by_view["left"][1, 4], points[1, 4])
    assert np.isnan(hand.by_view["right"]).all()
    assert hand.marks["right"][2, 6] == MARKS["occluded"]
    assert np.isfinite(everything.hands["right"].by_view["right"]).all()


def test_files_without_marks_are_of_one_source(recording: Path) -> None:
    write_clicks(recording, {}, "clicked")
    with open_capture(recording) as capture:
        found = clicks.provide(clicks.Config(), recording, capture)
    assert np.isfinite(found.hands["right"].by_view["left"]).all()


def test_detections_alone_are_no_clicks(recording: Path) -> None:
    with open_capture(recording) as capture:
        assert clicks.provide(clicks.Config(), recording, capture) is None
    write_clicks(recording, {}, "detected")
    with open_capture(recording) as capture:
        assert clicks.provide(clicks.Config(), recording, capture) is None


def write_network(path: Path, order: str = "openpose21", output: str = "heatmaps", **told) -> Path:
    """A real network: joint j's heatmap is bright where red is 11 (j + 1) and blue is full; 21 joints in an order."""
    import onnx as graphs
    from onnx import TensorProto, helper, numpy_helper

    ours = [JOINT_ORDERS["openpose21"].index(name) for name in JOINT_ORDERS[order]]
    levels = (11.0 * (np.array(ours) + 1) / 255.0).reshape(1, 21, 1, 1).astype(np.float32)
    constants = {
        "levels": levels,
        "sharp": np.float32(-(255.0**2) / 12.0),
        "red": np.array([0]),
        "blue": np.array([2]),
        "power": np.float32(4.0),
    }
    nodes = [
        helper.make_node("Gather", ["image", "red"], ["r"], axis=1),
        helper.make_node("Gather", ["image", "blue"], ["b"], axis=1),
        helper.make_node("Sub", ["r", "levels"], ["d"]),
        helper.make_node("Mul", ["d", "d"], ["dd"]),
        helper.make_node("Mul", ["dd", "sharp"], ["scaled"]),
        helper.make_node("Exp", ["scaled"], ["near"]),
        helper.make_node("Pow", ["b", "power"], ["full"]),
        helper.make_node("Mul", ["near", "full"], ["sharp_map"]),
        helper.make_node("AveragePool", ["sharp_map"], ["heatmaps"], kernel_shape=[9, 9], pads=[4, 4, 4, 4]),
    ]
    graph = helper.make_graph(
        nodes,
        "dots",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("heatmaps", TensorProto.FLOAT, [1, 21, SIZE, SIZE])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    graphs.checker.check_model(str(path))
    sidecar = {"format": "hoi-keypoints", "output": output, "size": SIZE, "joint_order": order} | told
    path.with_suffix(".json").write_text(json.dumps(sidecar))
    return path


@pytest.mark.parametrize("order", ["openpose21", "mano21", "interhand21"])
def test_a_network_finds_the_hand_in_every_image(recording: Path, tmp_path: Path, order: str) -> None:
    model = write_network(tmp_path / "net.onnx", order)
    with open_capture(recording) as capture:
        found = onnx.provide(onnx.Config(str(model), least_confidence=0.08), recording, capture)
        assert found.source == "detected"
        for view, camera in two_cameras().items():
            points = found.hands["right"].by_view[view]
            for m in range(MOMENTS):
                error = np.linalg.norm(points[m, :, :2] - seen(camera, hand_m(m)), axis=-1)
                assert error.max() < 1.5, (view, m)
            assert (points[..., 2] > 0.1).all()
            assert (points[..., 2] <= 1.0).all()


def test_a_network_of_the_other_hand_sees_it_mirrored(recording: Path, tmp_path: Path) -> None:
    model = write_network(tmp_path / "net.onnx", side="left")
    with open_capture(recording) as capture:
        found = onnx.provide(onnx.Config(str(model), side="right", least_confidence=0.08), recording, capture)
    error = found.hands["right"].by_view["left"][0, :, :2] - seen(two_cameras()["left"], hand_m(0))
    assert np.linalg.norm(error, axis=-1).max() < 1.5


def test_a_hand_that_is_not_there_is_not_found(recording: Path, tmp_path: Path) -> None:
    model = write_network(tmp_path / "net.onnx", mean=[0.0, 0.0, 0.9])
    with open_capture(recording) as capture:
        assert onnx.provide(onnx.Config(str(model), least_confidence=0.08), recording, capture) is None


def test_bad_networks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOI_KEYPOINTS", raising=False)
    with pytest.raises(AssetError, match="HOI_KEYPOINTS"):
        onnx.load(Path(""))
    path = write_network(tmp_path / "net.onnx")
    told = json.loads(path.with_suffix(".json").read_text())
    for change, text in (
        ({"format": "other"}, "hoi-keypoints"),
        ({"joint_order": "mano16"}, "joint order|tip"),
        ({"joint_order": "no such"}, "no such"),
        ({"output": "meshes"}, "meshes"),
        ({"size": 0}, "size"),
        ({"colour": 1}, "colour"),
    ):
        with pytest.raises(AssetError, match=text):
            read_sidecar(told | change, "net.json")
    path.with_suffix(".json").unlink()
    with pytest.raises(AssetError, match=r"net\.json"):
        onnx.load(path)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    broken.with_suffix(".json").write_text(json.dumps(told))
    with pytest.raises(AssetError, match="ONNX Runtime"):
        onnx.load(broken)


def test_outputs_that_the_sidecar_does_not_describe_are_refused(tmp_path: Path) -> None:
    path = write_network(tmp_path / "net.onnx", output="pixels")
    network = HeatmapNetwork(path, read_sidecar(json.loads(path.with_suffix(".json").read_text()), "net.json"))
    camera = two_cameras()["left"]
    with pytest.raises(AssetError, match="Correct `output`"):
        network.find(painted(camera, hand_m()), camera, (0.0, 0.0, 319.0, 239.0), "right")
    wrong_size = HeatmapNetwork(path, replace(network.sidecar, size=64))
    with pytest.raises(AssetError, match="Correct `size`"):
        wrong_size.find(painted(camera, hand_m()), camera, (0.0, 0.0, 319.0, 239.0), "right")


def test_peaks_of_gaussians_are_exact() -> None:
    rng = np.random.default_rng(0)
    at = rng.uniform([4.0, 4.0], [27.0, 19.0], size=(21, 2))
    v, u = np.mgrid[:24, :32]
    maps = np.exp(-((u - at[:, 0, None, None]) ** 2 + (v - at[:, 1, None, None]) ** 2) / (2 * 1.8**2)) * 0.8
    found = peaks(maps)
    np.testing.assert_allclose(found[:, :2], at, atol=1e-6)
    assert (found[:, 2] > 0.7).all()
    corner = np.zeros((1, 5, 5))
    corner[0, 0, 4] = 2.0
    np.testing.assert_array_equal(peaks(corner), [[4.0, 0.0, 1.0]])


def test_what_moves_is_nearer_than_it_mostly_is() -> None:
    images = [np.full((120, 160), 0.8, np.float32) for _ in range(9)]
    images[4] = images[4].copy()
    images[4][40:70, 50:90] = 0.6
    images[4][0:3, 0:3] = 0.6
    images[5][:] = 0.0
    capture = SimpleNamespace(
        streams={"left/depth": None}, sync=SimpleNamespace(index={"left/depth": np.array([*range(9), -1])})
    )
    moving = MovingThings(SimpleNamespace(name="left", depth_in_color_m=lambda i: images[i]), capture)
    assert moving.box(4) == (50.0, 40.0, 89.0, 69.0)
    assert [moving.box(m) for m in (0, 5, 9)] == [None, None, None]
    assert largest(np.zeros((8, 8), bool)) is None


class Marked:
    """A network that reads a hand surely where the image has a bright square, and a detector that finds them."""

    def __init__(self) -> None:
        self.boxes: list = []
        self.looks = 0

    def find(self, rgb, camera, box, side):
        self.boxes.append(box)
        # As a crop does, it shows a margin around the box: a hand that moves is still in it.
        x0, y0, x1, y1 = (max(round(v), 0) for v in (box[0] - 8.0, box[1] - 8.0, box[2] + 8.0, box[3] + 8.0))
        rows, columns = np.nonzero(rgb[y0 : y1 + 1, x0 : x1 + 1, 0])
        if not len(rows):
            return np.full((21, 3), [x0, y0, 0.1])
        corners = np.array([[columns.min() + x0, rows.min() + y0], [columns.max() + x0, rows.max() + y0]])
        points = corners[0] + np.linspace(0.0, 1.0, 21)[:, None] * (corners[1] - corners[0])
        return np.concatenate([points, np.full((21, 1), 0.9)], -1)

    def detect(self, rgb):
        self.looks += 1
        rows, columns = np.nonzero(rgb[..., 0])
        if not len(rows):
            return []
        box = (columns.min() - 5.0, rows.min() - 5.0, columns.max() + 5.0, rows.max() + 5.0)
        # The surest is a false one.
        return [Found("left", (5.0, 5.0, 25.0, 25.0), 0.9), Found("right", box, 0.6)]


def test_a_hand_is_looked_for_with_the_detector_first_and_then_followed() -> None:
    images = np.zeros((8, 120, 160, 3), np.uint8)
    for m in range(8):
        x = 40 + 4 * m if m < 5 else 110
        images[m, 60:90, x : x + 30] = 0 if m == 5 else 255
    view = SimpleNamespace(name="left", color=images, camera=Camera(160, 120, 140.0, 140.0, 79.5, 59.5))
    index = {"left/color": np.arange(8), "left/depth": np.full(8, -1)}
    capture = SimpleNamespace(streams={"left/depth": None}, sync=SimpleNamespace(index=index))
    eyes = Marked()
    found = onnx._detect(onnx._Search(eyes, eyes, view, capture), view, capture, onnx.Config())
    # Found in the first image, followed to the fifth, gone in the sixth, elsewhere from then on.
    assert eyes.looks == 3
    assert np.isnan(found[5]).all()
    middles = found[[0, 1, 2, 3, 4, 6, 7], :, :2].mean(1)
    np.testing.assert_allclose(middles, [[54.5 + 4 * m, 74.5] for m in range(5)] + [[124.5, 74.5]] * 2, atol=2.1)
    # In the first image: the false one, the hand, the hand closely; the whole image only where nothing was found.
    assert eyes.boxes[0] == (5.0, 5.0, 25.0, 25.0)
    assert sum(box[2] - box[0] > 150 for box in eyes.boxes) == 1


def landmarks(points: np.ndarray, side: str, score: float, presence: float | None = None) -> tuple[list, list]:
    """What a hand landmarker says of one hand, as its own objects would."""
    marks = [SimpleNamespace(x=x, y=y, z=0.0, visibility=None, presence=presence) for x, y in points]
    other = "Left" if side == "Right" else "Right"
    return marks, [
        SimpleNamespace(category_name=side, score=score),
        SimpleNamespace(category_name=other, score=1 - score),
    ]


def test_landmarks_become_pixels_and_keep_their_confidence() -> None:
    points = np.linspace(0.0, 1.0, 42).reshape(21, 2)
    a, b = landmarks(points, "Right", 0.9), landmarks(points, "Left", 0.8, presence=0.4)
    result = SimpleNamespace(hand_landmarks=[a[0], b[0]], handedness=[a[1], b[1]])
    first, second = mediapipe.detections(result, 640, 480, mirrored=False)
    np.testing.assert_allclose(first.points[0, :2], [-0.5, points[0, 1] * 480 - 0.5])
    np.testing.assert_allclose(first.points[20, :2], [points[20, 0] * 640 - 0.5, 479.5])
    assert first.points[3, 2] == 0.9
    assert second.points[3, 2] == 0.4
    assert first.right == 0.9
    assert second.right == pytest.approx(0.2)
    assert mediapipe.detections(result, 640, 480, mirrored=True)[0].right == pytest.approx(0.1)


def test_mediapipe_finds_boxes_for_other_models(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.linspace([0.25, 0.5], [0.5, 0.75], 21)
    told = landmarks(points, "Left", 0.8)
    result = SimpleNamespace(hand_landmarks=[told[0]], handedness=[told[1]])
    times: list[int] = []
    landmarker = SimpleNamespace(detect_for_video=lambda image, t_ms: times.append(t_ms) or result)

    @contextmanager
    def opened(config: mediapipe.Config) -> Iterator[tuple[object, object]]:
        yield landmarker, lambda rgb: rgb

    monkeypatch.setattr(mediapipe, "_landmarker", opened)
    image = np.zeros((100, 200, 3), np.uint8)
    with mediapipe.HandsInImages() as hands:
        first, second = hands.detect(image), hands.detect(image)
    assert first == second
    assert first[0].side == "left"
    assert first[0].score == pytest.approx(0.8)
    # Its image goes from -0.5 to 199.5 across and to 99.5 down.
    assert first[0].box == pytest.approx((49.5, 49.5, 99.5, 74.5))
    assert times[0] < times[1]


def test_mediapipe_asks_for_its_model_and_its_package(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOI_KEYPOINTS", raising=False)
    model = tmp_path / "hand_landmarker.task"
    model.write_bytes(b"no model")
    with open_capture(recording) as capture:
        with pytest.raises(AssetError, match=r"hand_landmarker\.task"):
            mediapipe.provide(mediapipe.Config(), recording, capture)
        if importlib.util.find_spec("mediapipe") is None:
            with pytest.raises(AssetError, match=r"hoi-toolkit\[mediapipe\]"):
                mediapipe.provide(mediapipe.Config(str(model)), recording, capture)
        else:
            with pytest.raises(AssetError, match="Download it again"):
                mediapipe.provide(mediapipe.Config(str(model)), recording, capture)


def two_hands(moments: int = 12) -> dict[str, list[list[Detection]]]:
    """A right hand at x = 0.1 and a left one at -0.1, found in both views, in changing order."""
    out = {}
    for view, camera in two_cameras().items():
        images = []
        for m in range(moments):
            pair = [
                Detection(np.concatenate([seen(camera, hand_m(m, x)), np.ones((21, 1))], axis=-1), right)
                for x, right in ((0.1, 0.9), (-0.1, 0.1))
            ]
            images.append(pair if m % 2 else pair[::-1])
        out[view] = images
    return out


def flipped(detection: Detection) -> Detection:
    return replace(detection, right=1.0 - detection.right)


def x_of(hand: HandKeypoints, view: str, moment: int) -> float:
    return float(hand.by_view[view][moment, 0, 0])


def test_hands_are_followed_and_matched_between_views() -> None:
    hands = assign_sides(two_hands(), two_cameras())
    assert sorted(hands) == ["left", "right"]
    for view, camera in two_cameras().items():
        for m in range(12):
            assert x_of(hands["right"], view, m) == pytest.approx(seen(camera, hand_m(m, 0.1))[0, 0])
            assert x_of(hands["left"], view, m) == pytest.approx(seen(camera, hand_m(m, -0.1))[0, 0])


def test_errors_of_one_view_and_of_single_images_are_outvoted() -> None:
    found = two_hands()
    # The right view calls both hands wrong, but is less sure; single images of the left one are wrong too.
    found["right"] = [[replace(d, right=0.5 - 0.5 * (d.right - 0.5)) for d in image] for image in found["right"]]
    found["left"][3] = [flipped(d) for d in found["left"][3]]
    hands = assign_sides(found, two_cameras())
    for view, camera in two_cameras().items():
        assert x_of(hands["right"], view, 5) == pytest.approx(seen(camera, hand_m(5, 0.1))[0, 0])
        assert x_of(hands["left"], view, 3) == pytest.approx(seen(camera, hand_m(3, -0.1))[0, 0])


def test_two_hands_at_once_have_two_sides() -> None:
    found = {view: [[replace(d, right=0.9 if d.right > 0.5 else 0.6) for d in image] for image in images]
             for view, images in two_hands().items()}  # fmt: skip
    hands = assign_sides(found, two_cameras())
    camera = two_cameras()["left"]
    assert x_of(hands["left"], "left", 0) == pytest.approx(seen(camera, hand_m(0, -0.1))[0, 0])


def test_a_gap_and_a_single_view_do_not_end_a_hand() -> None:
    found = two_hands()
    found["right"] = [[] for _ in found["right"]]
    for m in (4, 5):
        found["left"][m] = []
    hands = assign_sides(found, two_cameras())
    assert np.isnan(hands["right"].by_view["left"][4:6]).all()
    assert np.isfinite(hands["right"].by_view["left"][6:]).all()
    assert np.isnan(hands["right"].by_view["right"]).all()
    assert assign_sides({"left": [[], []]}, two_cameras()) == {}


def test_every_provider_can_be_chosen() -> None:
    known = plugins.names("annotate.keypoints")
    assert {"auto", "stored", "clicks", "onnx", "mediapipe"} == set(known)
    for name, line in known.items():
        module = plugins.load("annotate.keypoints", name)
        assert callable(module.provide)
        module.Config()
        assert line.endswith(".")


def test_a_provider_reads_labels_without_changing_them(recording: Path) -> None:
    write_clicks(recording, {}, "clicked")
    before = (recording / "annotation.h5").read_bytes()
    with open_capture(recording) as capture:
        clicks.provide(clicks.Config(), recording, capture)
    assert (recording / "annotation.h5").read_bytes() == before
    with open_annotation(recording) as annotation:
        assert annotation.revisions == ["r000"]


def test_a_real_recording_gets_what_is_stored_or_asks_for_a_model(recording: Path, monkeypatch) -> None:
    monkeypatch.delenv("HOI_KEYPOINTS", raising=False)
    with open_capture(recording) as capture, pytest.raises(AssetError, match="rendered hands only") as refused:
        auto.provide(auto.Config(), recording, capture)
    for what in ("--keypoint-model", "hand_landmarker.task", "HOI_KEYPOINTS"):
        assert what in refused.value.hint
    points = write_clicks(recording, {}, "clicked")
    with open_capture(recording) as capture:
        found = auto.provide(auto.Config(), recording, capture)
    np.testing.assert_array_equal(found.hands["right"].by_view["left"], points)


def test_a_model_that_is_named_is_used(recording: Path, monkeypatch) -> None:
    write_clicks(recording, {}, "clicked")
    asked = []
    monkeypatch.setattr(onnx, "provide", lambda config, *args: asked.append(config.model))
    monkeypatch.setenv("HOI_KEYPOINTS", "net.onnx")
    with open_capture(recording) as capture:
        assert auto.provide(auto.Config(), recording, capture) is None
        auto.provide(auto.Config(model="other.onnx"), recording, capture)
        with pytest.raises(AssetError, match=r"hand landmarker \(.task\)"):
            auto.provide(auto.Config(model="none.task"), recording, capture)
    assert asked == ["net.onnx", "other.onnx"]


def test_a_simulated_recording_gets_the_shipped_network_else_what_is_stored(recording: Path, monkeypatch) -> None:
    monkeypatch.delenv("HOI_KEYPOINTS", raising=False)
    (recording / "truth.h5").touch()
    points = write_clicks(recording, {}, "clicked")
    asked = []
    monkeypatch.setattr(onnx, "provide", lambda config, *args: asked.append((config.model, config.detector)))
    with open_capture(recording) as capture:
        found = auto.provide(auto.Config(), recording, capture)
    assert asked == [(onnx.SHIPPED, onnx.SHIPPED)]
    np.testing.assert_array_equal(found.hands["right"].by_view["left"], points)
