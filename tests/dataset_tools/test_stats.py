"""What datasets hold: measures against hand-made hands, pictures and depth, and over every reader's fake."""

import pickle
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from dataset_tools.readers import freihand, ours, rhd
from dataset_tools.stats import charts, hands, measure, sparsity, tables
from dataset_tools.stats import collect as collecting
from dataset_tools.stats.collect import Collected, Options, collect
from dataset_tools.stats.files import write_tables
from dataset_tools.stats.page import page
from dataset_tools.stats.sensor import sensor_sparsity
from dataset_tools.stats.visibility import Surface, visibility
from hoi_core import camera as cameras
from hoi_core import sequence as sequences
from hoi_core import workers
from hoi_core.biomechanics import DOF_MASK, LIMITS_RAD, pose_from_angles
from hoi_core.conventions import JOINT_PARENTS
from hoi_core.edges import EdgeParams, fused_input
from hoi_core.errors import ConfigError, DatasetError, StorageError
from hoi_core.mano import ManoLayer
from hoi_core.render import Mesh, render_depth
from hoi_core.rotation import exp_so3
from hoi_core.types import Camera, Frame, Sample, StreamInfo

CAMERA = Camera(320, 240, 300.0, 300.0, 159.5, 119.5)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three datasets side by side."""
    folder = tmp_path_factory.mktemp("data")
    ours.tiny(folder)
    for reader in (freihand, rhd):
        (folder / reader.INFO.name).mkdir()
        assert reader.tiny(folder / reader.INFO.name) == folder / reader.INFO.name
    return folder


def hand_seen(orient: np.ndarray, side="right") -> Sample:
    """A flat stand-in hand half a metre before the camera."""
    layer = ManoLayer.stand_in(side)
    posed = layer(orient[None], np.zeros((1, 45)))
    shift = np.array([0.0, 0.0, 0.5]) - posed.joints_m[0].mean(0)
    return Sample(
        image=np.zeros((240, 320, 3), np.uint8),
        camera=CAMERA,
        side=side,
        joints_m=posed.joints_m[0] + shift,
        joints_valid=np.ones(21, np.bool_),
        vertices_m=posed.vertices_m[0] + shift,
        dataset="made",
        key="made",
    )


# --- pose and view ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("side", ["right", "left"])
def test_angles_of_the_joints_are_those_that_the_hand_was_posed_with(side):
    rng = np.random.default_rng(3)
    layer, right = ManoLayer.stand_in(side), ManoLayer.stand_in("right")
    angles = rng.uniform(LIMITS_RAD[..., 0], LIMITS_RAD[..., 1], (40, 15, 3))
    posed = layer(
        rng.normal(0, 1, (40, 3)), pose_from_angles(angles, layer.joint_frames), None, rng.normal(0, 1, (40, 3))
    )
    template_m = right.model.J_regressor @ right.model.v_template
    as_right = hands.as_right(posed.joints_m, np.full(40, side == "left"))
    found = hands.joint_angles(as_right, template_m, right.joint_frames)
    fingers = slice(0, 13)  # all but the thumb's outer joints
    np.testing.assert_allclose(found[:, fingers], angles[:, fingers, :2], atol=np.deg2rad(0.2))
    assert np.isnan(found[:, 13:, 1]).all()
    assert (found[:, 13:, 0] >= 0).all()


def test_an_unknown_joint_leaves_its_own_angles_open():
    sample = hand_seen(np.zeros(3))
    layer = ManoLayer.stand_in("right")
    joints = sample.joints_m.copy()
    joints[8] = np.nan  # the tip of the index finger
    found = hands.joint_angles(joints[None], layer.model.J_regressor @ layer.model.v_template, layer.joint_frames)
    assert np.isnan(found[0, 2]).all()
    assert np.isfinite(np.delete(found[0, :12], 2, axis=0)).all()


def back_of_a_right_hand() -> np.ndarray:
    """Fingers up, thumb to the left of the picture: so one sees the back of one's right hand."""
    joints = np.tile([0.0, 0.0, 0.5], (21, 1))
    joints[[0, 5, 9, 13, 17, 1], :2] = [
        [0, 0.05],
        [-0.02, -0.05],
        [0, -0.05],
        [0.015, -0.05],
        [0.03, -0.05],
        [-0.03, 0],
    ]
    return joints - [joints[[0, 1, 5, 9, 13, 17], 0].mean(), joints[[0, 1, 5, 9, 13, 17], 1].mean(), 0]


def test_the_camera_sees_the_back_of_the_hand_or_its_palm():
    back = back_of_a_right_hand()
    elevation, _, roll = np.rad2deg(hands.view_angles(back[None]))[0]
    assert elevation == pytest.approx(90)
    assert roll == pytest.approx(0, abs=1e-6)
    turned = np.rad2deg(hands.view_angles((back @ exp_so3(np.array([0, 0, np.pi / 2])).T)[None]))[0]
    assert turned[2] == pytest.approx(90)  # the fingers point to the right of the picture
    # Seen from behind: half a turn about the vertical axis through the hand.
    palm = (back - [0, 0, 0.5]) * [-1, 1, -1] + [0, 0, 0.5]
    assert np.rad2deg(hands.view_angles(palm[None]))[0, 0] == pytest.approx(-90)
    # A left hand whose back is seen is its mirror image.
    left = back * [-1, 1, 1]
    assert np.rad2deg(hands.view_angles(hands.as_right(left[None], np.array([True]))))[0, 0] == pytest.approx(90)


@pytest.mark.parametrize(("to_camera", "azimuth"), [("fingertips", 0), ("thumb", 90), ("little", -90)])
def test_azimuth_tells_the_side_that_the_camera_is_on(to_camera, azimuth):
    middle = np.array([0, 0, 0.5])
    hand = back_of_a_right_hand() - middle
    axis = {"fingertips": [0, -1, 0], "thumb": [-1, 0, 0], "little": [1, 0, 0]}[to_camera]
    # Turn the hand so that this axis of it points to the camera.
    turn = np.cross(axis, [0, 0, -1]) * (np.pi / 2)
    found = np.rad2deg(hands.view_angles((hand @ exp_so3(turn.astype(float)).T + middle)[None]))[0]
    assert found[0] == pytest.approx(0, abs=1e-6)
    assert found[1] == pytest.approx(azimuth, abs=1e-6)


def test_bones_and_bent_fingers():
    joints = np.zeros((1, 21, 3))
    joints[0, 8] = [0.003, 0.004, 0]  # the tip of the index finger, all other joints in one place
    lengths = hands.bone_lengths_m(joints)[0]
    assert lengths[measure.BONE_NAMES.index("index end to index tip")] == pytest.approx(0.005)
    assert np.count_nonzero(lengths) == 1
    flexions = np.zeros((1, 15))
    flexions[0, 6:9] = np.deg2rad(25)  # the third finger in MANO's order is the little one
    assert hands.bent_fingers(flexions).tolist() == [[0, 0, 0, 0, 1]]


# --- what is seen ----------------------------------------------------------------------------------------------------
FACING = hand_seen(np.array([np.pi / 2, 0.0, 0.0]))
PLANE_M = float(FACING.joints_m[:, 2].mean())


def covered(column: int, near_m: float) -> np.ndarray:
    """What a camera measures: the hand's plane, and something nearer on the left of a column."""
    depth = np.full((240, 320), PLANE_M, np.float32)
    depth[:, :column] = near_m
    return depth


def middle_column() -> int:
    """It has half of the hand's outline on its left."""
    corners = cameras.project(CAMERA, FACING.vertices_m)[ManoLayer.stand_in("right").faces]
    outline = np.zeros((240, 320), np.uint8)
    for triangle in np.rint(corners).astype(np.int32):
        cv2.fillConvexPoly(outline, triangle, 1)
    return int(np.median(np.nonzero(outline)[1]))


def middle_of_the_bones() -> int:
    points = np.linspace(FACING.joints_m[list(JOINT_PARENTS[1:])], FACING.joints_m[1:], 9)
    return int(np.median(cameras.project(CAMERA, points)[..., 0]))


@pytest.mark.parametrize("mesh", [True, False])
def test_what_depth_shows_before_the_hand_hides_it(mesh):
    shown = FACING if mesh else replace(FACING, vertices_m=None)
    surface = Surface.of(ManoLayer.stand_in("right"))
    free = visibility(shown, surface, covered(0, PLANE_M))
    assert free.hidden == 0
    assert free.depth_valid == 1
    half = visibility(shown, surface, covered(middle_column() if mesh else middle_of_the_bones(), 0.3))
    assert half.hidden == pytest.approx(0.5, abs=0.05 if mesh else 0.1)
    assert np.isnan(visibility(shown, surface).hidden)
    nothing = visibility(shown, surface, np.full((240, 320), np.nan, np.float32))
    assert nothing.depth_valid == 0
    assert np.isnan(nothing.hidden)
    assert np.isnan(nothing.depth_offset_mm)


def test_depth_that_is_too_far_throughout_shows_as_an_offset():
    surface = Surface.of(ManoLayer.stand_in("right"))
    depth_m, _ = render_depth(
        [Mesh(FACING.vertices_m, surface.faces.astype(np.int32), np.zeros((778, 3), np.uint8), 1)], CAMERA
    )
    measured = np.where(depth_m > 0, depth_m + np.float32(0.004), np.float32(np.nan))
    found = visibility(FACING, surface, measured)
    assert found.depth_offset_mm == pytest.approx(4, abs=0.3)
    assert found.hidden < 0.02
    assert found.depth_valid > 0.95


def test_the_segmentation_tells_what_covers_the_hand():
    marked = np.where(covered(middle_column(), 0.3) < 0.4, 2, 1).astype(np.uint8)
    found = visibility(FACING, Surface.of(ManoLayer.stand_in("right")), None, marked)
    assert found.segmented_object == pytest.approx(0.5, abs=0.05)
    assert found.segmented_object + found.segmented_hand == pytest.approx(1)


def test_a_flat_hand_hides_nothing_of_itself_until_it_is_turned_on_its_edge():
    surface = Surface.of(ManoLayer.stand_in("right"))
    turns = np.array([[a, b, c] for a in (0, np.pi / 2) for b in (0, np.pi / 2) for c in (0, np.pi / 2)])
    samples = [hand_seen(turn) for turn in turns]
    # The flat hand's extent in depth tells how it lies, whatever axes the template has.
    depths = np.array([np.ptp(s.joints_m[5:, 2]) for s in samples])
    spans = np.array([np.ptp(s.joints_m[[5, 9, 13, 17], 2]) for s in samples])
    facing, edge = samples[int(depths.argmin())], samples[int(spans.argmax())]
    assert visibility(facing, surface).self_hidden == 0
    assert visibility(edge, surface).self_hidden > 0.3


def test_a_mesh_of_another_topology_is_left_aside():
    sample = hand_seen(np.zeros(3))
    mixed = np.random.default_rng(0).permutation(sample.vertices_m)
    assert np.isnan(visibility(replace(sample, vertices_m=mixed), Surface.of(ManoLayer.stand_in("right"))).self_hidden)


def test_joints_outside_of_the_picture_are_counted():
    sample = hand_seen(np.zeros(3))
    surface = Surface.of(ManoLayer.stand_in("right"))
    assert visibility(sample, surface).outside == 0
    columns = np.sort(cameras.project(CAMERA, sample.joints_m)[:, 0])
    cut = cameras.crop(CAMERA, float(columns[7] + columns[6]) / 2 + 0.5, 0, 320, 240)
    assert visibility(replace(sample, camera=cut), surface).outside == pytest.approx(7 / 21)
    pixels = np.tile([10.0, 10.0], (21, 1))
    pixels[:3] = [-5.0, 10.0]
    pixels[3:6] = np.nan
    unknown = replace(sample, joints_m=np.full((21, 3), np.nan), joints_valid=np.zeros(21, np.bool_), joints_px=pixels)
    assert visibility(unknown, surface).outside == pytest.approx(3 / 18)


# --- edges -----------------------------------------------------------------------------------------------------------
def test_sparsity_is_that_of_the_networks_input():
    crop = np.random.default_rng(1).integers(0, 255, (128, 128, 3)).astype(np.uint8)
    crop[:, 64:] = 90
    for params in (
        EdgeParams(),
        EdgeParams(blur_px=2.0, threshold_sobel=15, threshold_canny_low=25, threshold_canny_high=60),
    ):
        found = dict(zip(sparsity.names(), sparsity.sparsity(crop, params), strict=True))
        image = fused_input(crop, params)
        assert found["fused"] == pytest.approx((image == 0).all(0).mean())
        assert found[f"sobel_{params.threshold_sobel}"] == pytest.approx((image[0] == 0).mean())
        low_high = f"canny_{params.threshold_canny_low}_{params.threshold_canny_high}"
        assert found[low_high] == pytest.approx((image[1] == 0).mean())
    assert set(sparsity.sparsity(np.full_like(crop, 7), EdgeParams())) == {1.0}


def test_the_sensors_own_images_are_counted_whole(tmp_path):
    folder = sequences.new_sequence_dir(tmp_path, "seq_001")
    streams = [
        StreamInfo(f"edge128/{kind}", "sensor", (128, 128), "uint8", 30.0, replace(CAMERA, width=128, height=128))
        for kind in ("gray", "edge")
    ]
    writer = sequences.CaptureWriter.create(folder / "capture.h5", sequences.CaptureHeader("seq_001"), streams)
    for m in range(5):
        image = np.zeros((128, 128), np.uint8)
        image[: 32 * m] = 200  # a quarter more in each
        for stream in streams:
            writer.append(Frame(stream.name, m, m, m, "host", image))
    writer.close()
    assert sensor_sparsity(tmp_path, ["seq_001"], 0).tolist() == [1, 0.75, 0.5, 0.25, 0]
    assert sensor_sparsity(tmp_path, ["seq_001"], 3).tolist() == [1, 0.5, 0]
    assert sensor_sparsity(tmp_path, ["seq_001", "seq_009"], 2).tolist() == [1]
    (folder / "capture.h5").write_bytes(b"no recording")
    assert len(sensor_sparsity(tmp_path, ["seq_001"], 0)) == 0


def test_strides_keep_the_cells_in_which_anything_was_a_site():
    active = np.random.default_rng(2).random((30, 30)) > 0.9
    for stride, empty in zip((2, 4, 8), sparsity.strided(active, (2, 4, 8)), strict=True):
        cells = {(int(v) // stride, int(u) // stride) for v, u in np.argwhere(active)}
        assert empty == pytest.approx(1 - len(cells) / (-(-30 // stride)) ** 2)


# --- over datasets ---------------------------------------------------------------------------------------------------
def test_counts_tell_who_what_and_where(root):
    found = collect(root, "ours", Options())
    counted = tables.counts(root, found).set_index(["by", "value"])["samples"]
    assert counted["participant"].to_dict() == {"p01": 2}
    assert counted["side"].to_dict() == {"right": 1, "left": 1}
    assert counted["view"].to_dict() == {"left": 2}
    rhd_found = collect(root, "rhd", Options())
    keys = rhd.index(root / "rhd", "all")
    row = tables.tables(root, [rhd_found])["datasets"].iloc[0]
    assert row["samples"] == len(keys)
    assert row["pictures"] == len({key.rpartition("/")[0] for key in keys})  # both hands of a picture are one
    assert row["modalities"] == "colour, depth"


class LastFirst(ThreadPoolExecutor):
    """Stands for worker processes, which take seconds to start: all is pickled, and the last is done first."""

    def __init__(self, count, context, initializer):
        super().__init__(count)
        assert initializer is workers.end_with_parent
        assert context.get_start_method() == "spawn"
        self.waiting = []

    def submit(self, function, *arguments):
        future = Future()
        self.waiting.append((future, pickle.dumps((function, arguments))))
        if len(self.waiting) == 3:
            for future_of, job in reversed(self.waiting):
                call, given = pickle.loads(job)  # noqa: S301 -- our own bytes
                future_of.set_result(pickle.loads(pickle.dumps(call(*given))))  # noqa: S301
        return future


def test_a_sample_of_a_dataset_is_the_same_each_time_and_for_any_number_of_workers(root, monkeypatch):
    monkeypatch.setattr(collecting, "CHUNK", 2)
    monkeypatch.setattr(workers, "ProcessPoolExecutor", LastFirst)
    some = collect(root, "freihand", Options(sample=5))
    assert len(some.rows) == 5
    assert len(some.key_parts) == len(freihand.index(root / "freihand", "all"))
    again = collect(root, "freihand", Options(sample=5, workers=2))
    pd.testing.assert_frame_equal(some.rows, again.rows)


def test_a_run_that_was_stopped_goes_on_where_it_was(root, tmp_path, monkeypatch):
    monkeypatch.setattr(collecting, "CHUNK", 3)
    whole = collect(root, "freihand", Options())
    measured: list[list[str]] = []

    def stops(reader, home, keys, edges):
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append(list(keys))
        return measure.measure(reader, home, keys, edges)

    monkeypatch.setattr(collecting, "measure", stops)
    with pytest.raises(KeyboardInterrupt):
        collect(root, "freihand", Options())
    first = [key for keys in measured for key in keys]
    assert len(first) == 6

    def counts(reader, home, keys, edges):
        measured.append(list(keys))
        return measure.measure(reader, home, keys, edges)

    monkeypatch.setattr(collecting, "measure", counts)
    measured.clear()
    pieces = next((tmp_path / "cache" / "hoi-toolkit" / "stats").iterdir())
    (pieces / "1.npz").write_bytes(b"half a file")  # damaged: measured again
    resumed = collect(root, "freihand", Options())
    assert {key for keys in measured for key in keys} == set(whole.rows["key"]) - set(first[:3])
    pd.testing.assert_frame_equal(resumed.rows, whole.rows)
    assert not list((tmp_path / "cache" / "hoi-toolkit" / "stats").iterdir())


def test_without_a_place_to_keep_pieces_everything_is_measured(root, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(collect(root, "rhd", Options()).rows) == len(rhd.index(root / "rhd", "all"))


def test_a_damaged_picture_is_told_and_the_others_are_measured(tmp_path):
    home = tmp_path / "freihand"
    home.mkdir()
    freihand.tiny(home)
    pictures = sorted(home.rglob("*.jpg"))
    pictures[0].write_bytes(pictures[0].read_bytes()[:100])
    found = collect(tmp_path, "freihand", Options())
    assert len(found.failed) == 1
    assert len(found.rows) == len(freihand.index(home, "all")) - 1
    assert tables.tables(tmp_path, [found])["datasets"]["unreadable"].tolist() == [1]
    for picture in pictures:
        picture.write_bytes(b"")
    with pytest.raises(DatasetError, match="none of"):
        collect(tmp_path, "freihand", Options())


def test_a_dataset_or_a_split_that_is_not_there(root):
    with pytest.raises(DatasetError, match="found no"):
        collect(root, "stb", Options())
    with pytest.raises(ConfigError, match="split"):
        collect(root, "freihand", Options(split="nothing"))


# --- tables ----------------------------------------------------------------------------------------------------------
def made_up(values: dict[str, np.ndarray], n: int) -> Collected:
    """Rows of a dataset that was never there."""
    rows = pd.DataFrame(np.full((n, len(measure.COLUMNS)), np.nan), columns=list(measure.COLUMNS)).assign(**values)
    rows.insert(0, "key", [f"s/left/{k}" for k in range(n)])
    rows.insert(1, "objects", "")
    return Collected("made", pd.DataFrame({"image": range(n), "moment": range(n)}), rows, {}, ("colour",))


def angle_columns(angles_deg: np.ndarray) -> dict[str, np.ndarray]:
    return {f"angle_{name}": angles_deg[:, k] for k, name in enumerate(measure.ANGLE_NAMES)}


def test_ranges_that_are_reached():
    limits = np.rad2deg(LIMITS_RAD[DOF_MASK])
    share = np.random.default_rng(0).random((4000, 23))
    share[:, 0] *= 0.5  # the first angle reaches half of its range
    share[:, 1] = 1.5  # the second lies beyond its limits
    found = tables.angles(made_up(angle_columns(limits[:, 0] + share * (limits[:, 1] - limits[:, 0])), 4000))
    assert found["reached"].iloc[0] == pytest.approx(0.5)
    assert (found["reached"].iloc[1], found["beyond"].iloc[1]) == (0, 1)
    assert (found["reached"].iloc[2:] == 1).all()
    assert (found["beyond"].iloc[2:] == 0).all()


@pytest.mark.parametrize("dimensions", [1, 4, 23])
def test_poses_that_spread_alike_in_k_directions_have_k_dimensions(dimensions):
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(rng.normal(size=(23, 23)))[0][:dimensions]
    found = tables.poses(made_up(angle_columns(rng.normal(size=(6000, dimensions)) @ basis), 6000)).iloc[0]
    assert found["dimensions"] == pytest.approx(dimensions, rel=0.01)
    assert found["components_90"] == int(np.ceil(0.9 * dimensions))


def test_finger_states_and_their_entropy():
    bent = np.array([[k >> f & 1 for f in range(5)] for k in (0, 0, 31, 1)], float)
    columns = {f"bent_{finger}": bent[:, f] for f, finger in enumerate(("thumb", "index", "middle", "ring", "little"))}
    found = tables.poses(made_up(columns, 4)).iloc[0]
    assert found["finger_states"] == 3
    assert found["finger_entropy_bits"] == pytest.approx(1.5)  # shares of a half and twice a quarter


def test_views_are_counted_in_areas_of_one_size():
    rng = np.random.default_rng(5)
    directions = rng.normal(size=(72_000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    elevation, azimuth = np.arcsin(directions[:, 2]), np.arctan2(directions[:, 0], directions[:, 1])
    columns = {"view_elevation_deg": np.rad2deg(elevation), "view_azimuth_deg": np.rad2deg(azimuth)}
    found = tables.views(made_up(columns, 72_000))
    assert len(found) == 72
    assert found["samples"].sum() == 72_000
    assert found["samples"].between(850, 1150).all()  # of 1000 expected, five deviations either way


def test_table_5_prints_sizes_as_the_paper_does():
    assert [tables.short(n) for n in (720, 3_145, 134_200, 999_700, 1_160_000, 2_400_000)] == [
        "720", "3K", "134K", "1M", "1.16M", "2.4M",
    ]  # fmt: skip
    datasets = pd.DataFrame(
        {"dataset": ["a", "b"], "pictures": [135_000, 12], "mesh_share": [0.2, 0.0], "views": [2, 1],
         "modalities": ["colour, depth, edge sensor", "colour"]}
    )  # fmt: skip
    assert tables.table5(datasets).to_numpy().tolist() == [
        ["a", "135K", "✓", "✓(2)", "✓(3)"],
        ["b", "12", "×", "×", "×"],
    ]


def test_views_of_one_moment():
    keys = pd.DataFrame({"view": ["l", "r", "l", "l"], "image": [0, 1, 2, 2], "moment": [0, 0, 1, 1]})
    assert tables.most_views(replace(made_up({}, 1), key_parts=keys)) == 2


# --- page and files --------------------------------------------------------------------------------------------------
def test_the_page_shows_every_dataset(root, monkeypatch):
    monkeypatch.setattr(charts, "_svg", lambda draw, size_inch, name, legend=False: f"<svg>{name}</svg>")
    measured = [collect(root, name, Options(sample=3)) for name in ("ours", "rhd")]
    measured[1].failed["training/00009/left"] = "<broken> picture"
    text = page(measured, tables.tables(root, measured), ["<section>labels</section>"])
    assert "<svg>sobel</svg>" in text
    assert "<svg>views rhd</svg>" in text
    assert "<section>labels</section>" in text
    assert "samples of ours" in text
    assert "samples of rhd" in text
    assert "&lt;broken&gt; picture" in text
    assert ">nan<" not in text


def test_the_same_numbers_make_the_same_chart():
    table = pd.DataFrame({"dataset": ["made"] * 72, "share": np.linspace(0, 1, 72)})
    first = charts.view_map(table, "made")
    assert first == charts.view_map(table, "made")
    assert first != charts.view_map(table.assign(share=0.5), "made")


def test_tables_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        write_tables(tmp_path / "file" / "folder", {"a": pd.DataFrame({"x": [1]})})
    write_tables(tmp_path / "new", {"a": pd.DataFrame({"x": [1.5, np.nan]})})
    assert (tmp_path / "new" / "a.csv").read_text().splitlines() == ["x", "1.5", '""']
    assert [path.name for path in Path(tmp_path / "new").iterdir()] == ["a.csv"]
