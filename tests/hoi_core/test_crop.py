"""The crop's geometry: what is at a pixel of the image is at the projected pixel of the crop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from hoi_core import camera as cameras
from hoi_core import crop as crops
from hoi_core.types import Camera

LENS = (0.08, -0.15, 0.001, 0.002, 0.03)
CAMERA = Camera(640, 480, 610.0, 612.0, 321.0, 239.0, LENS, "inverse_brown_conrady")

placements = st.builds(
    crops.Placement,
    scale=st.floats(1.1, 1.7),
    roll_rad=st.floats(-3.0, 3.0),
    shift=st.tuples(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1)),
    mirror=st.booleans(),
)


def blob(at, radius=6.0):
    y, x = np.mgrid[0:480, 0:640]
    value = 255 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * radius**2))
    return np.repeat(np.rint(value).astype(np.uint8)[..., None], 3, axis=2)


@settings(max_examples=25)
@given(placements, st.floats(-0.04, 0.04), st.floats(-0.04, 0.04), st.floats(0.4, 0.8))
def test_projected_points_lie_on_the_same_image_content(placement, dx, dy, z):
    point = np.array([0.08 + dx, -0.03 + dy, z])
    pixel = cameras.project(CAMERA, point)
    crop = crops.around(CAMERA, (*(pixel - 90), *(pixel + 90)), 128, placement)
    image = crops.warp(blob(pixel), CAMERA, crop)[..., 0].astype(float)
    v, u = np.mgrid[0:128, 0:128]
    centroid = np.array([(image * u).sum(), (image * v).sum()]) / image.sum()
    expected = cameras.project(crop.camera, crops.to_crop(crop, point))
    assert np.abs(centroid - expected).max() < 0.25


@settings(max_examples=50)
@given(placements, st.floats(60, 560), st.floats(60, 420))
def test_frames_are_orthogonal_and_round_trip(placement, x, y):
    crop = crops.around(CAMERA, (x - 50, y - 40, x + 50, y + 40), 128, placement)
    np.testing.assert_allclose(crop.R_cam_crop @ crop.R_cam_crop.T, np.eye(3), atol=1e-12)
    assert crop.mirrored == placement.mirror
    points = np.random.default_rng(0).normal(0, 0.1, (5, 3)) + np.array([0, 0, 0.5])
    np.testing.assert_allclose(crops.from_crop(crop, crops.to_crop(crop, points)), points, atol=1e-12)


def test_the_crop_looks_at_the_centre_of_the_box():
    crop = crops.around(CAMERA, (100, 50, 200, 180), 128)
    ray = cameras.rays(CAMERA, np.array([150.0, 115.0]))
    pixel = cameras.project(crop.camera, crops.to_crop(crop, ray))
    np.testing.assert_allclose(pixel, [63.5, 63.5], atol=1e-9)


def test_a_box_on_the_axis_fills_the_crop_by_the_scale():
    plain = Camera(640, 480, 600.0, 600.0, 319.5, 239.5)
    crop = crops.around(plain, (269.5, 189.5, 369.5, 289.5), 130)
    corner = cameras.project(crop.camera, crops.to_crop(crop, cameras.rays(plain, np.array([369.5, 289.5]))))
    # 100 px times 130 / (1.3 * 100) around the centre 64.5.
    np.testing.assert_allclose(corner, [114.5, 114.5], atol=1e-9)


def test_mirroring_flips_the_crop_left_to_right():
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    box = (250, 180, 390, 320)
    plain = crops.warp(image, CAMERA, crops.around(CAMERA, box, 64))
    mirrored = crops.warp(image, CAMERA, crops.around(CAMERA, box, 64, crops.Placement(mirror=True)))
    assert np.abs(plain[:, ::-1].astype(int) - mirrored).max() <= 2


@pytest.mark.parametrize("size", [64, 65])
@pytest.mark.parametrize("box", [(250, 180, 390, 320), (560, 400, 700, 520)])
def test_a_pixel_is_the_mean_of_four_samples_and_the_border_goes_on(box, size):
    rng = np.random.default_rng(0)
    image = ndimage.gaussian_filter(rng.uniform(0, 255, (480, 640, 3)), (3, 3, 0)) * 4.0 - 382.0
    image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    crop = crops.around(CAMERA, box, size, crops.Placement(roll_rad=0.7, mirror=True))
    fine = (np.arange(2 * size) + 0.5) / 2 - 0.5
    rays = cameras.rays(crop.camera, np.stack(np.meshgrid(fine, fine), axis=-1))
    u, v = np.moveaxis(cameras.project(CAMERA, crops.from_crop(crop, rays)), -1, 0)
    assert (u.max() > 639) == (box[2] > 640)
    for k in range(3):
        samples = ndimage.map_coordinates(image[..., k].astype(float), [v, u], order=1, mode="nearest")
        expected = samples.reshape(size, 2, size, 2).mean((1, 3))
        assert np.abs(crops.warp(image, CAMERA, crop)[..., k] - expected).max() < 1.5
        assert np.abs(crops.warp(image[..., k], CAMERA, crop) - expected).max() < 1.5
        assert abs((crops.warp(image, CAMERA, crop)[..., k] - expected).mean()) < 0.05  # rounded without a bias


def test_camera_space_inverts_projection_for_numpy_and_torch():
    rng = np.random.default_rng(0)
    joints = rng.normal(0, 0.05, (4, 21, 3)) + np.array([0, 0, 0.55])
    focal, size = np.array([200.0, 250.0, 300.0, 310.0]), 128
    uv = joints[..., :2] / joints[..., 2:] * focal[:, None, None] * 2 / size
    relative = (joints[..., 2] - joints[:, :1, 2]) / crops.LENGTH_UNIT_M + 0.3  # a common offset has no meaning
    root = joints[:, :1, 2] * size / focal[:, None] / crops.ROOT_UNIT_M
    depth = np.concatenate([relative, root], axis=1)
    np.testing.assert_allclose(crops.camera_space(uv, depth, focal, size), joints, atol=1e-12)
    torch = pytest.importorskip("torch")
    got = crops.camera_space(torch.tensor(uv), torch.tensor(depth), torch.tensor(focal), size)
    np.testing.assert_allclose(got.numpy(), joints, atol=1e-12)


def test_uv_is_measured_from_the_outer_edges():
    """uv -1 is the left edge of pixel 0, that is pixel -0.5: the crop's camera agrees."""
    crop = crops.HandCrop(128, 200.0, np.eye(3))
    joints = crops.camera_space(np.full((1, 21, 2), -1.0), np.ones((1, 22)), np.array([200.0]), 128)
    np.testing.assert_allclose(cameras.project(crop.camera, joints)[0, 0], [-0.5, -0.5], atol=1e-9)


def test_box_needs_a_point():
    assert crops.box_of(np.array([[1.0, 2.0], [np.nan, 3.0], [4.0, 0.0]])) == (1.0, 0.0, 4.0, 2.0)
    with pytest.raises(ValueError, match="finite pixel"):
        crops.box_of(np.full((21, 2), np.nan))


def test_a_box_far_off_the_axis_fills_the_crop_as_one_in_the_middle_does():
    """Measured across the direction to the image's centre, where a flat image stretches least."""
    camera = Camera(1280, 960, 300.0, 300.0, 640.0, 480.0, distortion_model="none")
    for u in (640.0, 900.0, 1200.0):
        crop = crops.around(camera, (u - 4.0, 476.0, u + 4.0, 484.0), 128)
        ends = cameras.rays(camera, np.array([[u, 476.0], [u, 484.0]]))
        top, bottom = cameras.project(crop.camera, crops.to_crop(crop, ends))
        assert bottom[1] - top[1] == pytest.approx(128 / crops.SCALE, rel=1e-3)


def test_what_a_network_says_of_points_is_read_back_as_these():
    rng = np.random.default_rng(0)
    joints_m = rng.normal((0.0, 0.0, 0.6), 0.05, (4, 21, 3))
    focal_px = np.array([90.0, 120.0, 250.0, 600.0])
    uv, depth = crops.network_space(joints_m, focal_px, 96)
    assert (uv.shape, depth.shape) == ((4, 21, 2), (4, 22))
    np.testing.assert_allclose(crops.camera_space(uv, depth, focal_px, 96), joints_m, atol=1e-12)
