"""An object's mesh from a turntable take: depth of all views fused in the frame of the board it stands on.

The board gives every image its pose, so nothing about the object's shape is assumed and symmetric objects scan as well
as others. Fusion is a truncated signed distance field (Curless and Levoy 1996), by open3d.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hoi_core import camera as cameras
from hoi_core.errors import FitError
from hoi_core.types import F32, F64, U8, Camera

if TYPE_CHECKING:
    import open3d

_GAP_DEG = 20.0
"""A larger gap between two directions was not seen."""
_EDGE_M = 0.010
_ON_BOARD_M = 0.012
_BOARD_POINTS = 200
_FEWEST_TRIANGLES = 100
_NEAREST_M = 0.05
_SMALLEST_PX = 16
_REMEDY = "Stand the object on the printed board, turn it once around slowly, and keep hands out of the views."


@dataclass(frozen=True)
class Shot:
    """One image of one view, and where the board is in it."""

    view: str
    """Name of the view."""
    color: U8
    """(H, W, 3) RGB."""
    depth_m: F32
    """(H, W) m aligned to colour; 0 where nothing was measured."""
    camera: Camera
    """The colour camera."""
    T_cam_board: F64
    """(4, 4) m; the board's z points away from its printed face."""


@dataclass(frozen=True)
class Config:
    """What is fused."""

    radius_m: float = 0.12
    """Nothing farther from the middle of the board belongs to the object, m."""
    height_m: float = 0.35
    """Nothing higher above it does, m."""
    voxel_m: float = 0.0015
    """Edge of a cell of the distance field, m."""
    floor_m: float = 0.002
    """What lies lower above the board is the board, m; the object is closed there."""
    triangles: int = 8000
    """Triangles of the mesh at most."""
    least_turn_deg: float = 270.0
    """How far around the object has to be seen, degrees."""


@dataclass(frozen=True)
class Scan:
    """A scanned object. Its frame: origin where its middle touches the table, z up."""

    vertices_m: F64
    """(N, 3) m."""
    faces: NDArray[np.int32]
    """(F, 3), counter-clockwise seen from outside."""
    colors: U8
    """(N, 3) RGB."""
    shots: int
    """Images that were fused."""
    seen_deg: float
    """How far around it was seen, degrees."""
    residual_mm: float
    """Median distance of the depth points from the mesh, mm."""
    bias_mm: dict[str, float] = field(default_factory=dict)
    """view -> how much too far its depth was on the board, mm; taken out."""

    @property
    def size_m(self) -> F64:
        """(3,) m extent along the axes of its frame."""
        return np.asarray(np.ptp(self.vertices_m, axis=0))


def fuse(shots: Iterable[Shot], outline_m: F64, config: Config | None = None) -> Scan:
    """Fuse a turntable take.

    Args:
        shots: of all views, in any order; taken one at a time.
        outline_m: `(4, 3)` m, corners of the board in its own frame.
        config: what is fused.

    Raises:
        FitError: too little of the turn was seen, or nothing stands on the board.
    """
    import open3d as o3d

    config = config or Config()
    T_obj_board = _upright(outline_m)
    volume = o3d.pipelines.integration.ScalableTSDFVolume(
        config.voxel_m, 4.0 * config.voxel_m, o3d.pipelines.integration.TSDFVolumeColorType.RGB8
    )
    azimuths_deg = []
    bias_m: dict[str, list[float]] = {}
    samples = []
    count = 0
    for whole in shots:
        shot = _cropped(whole, T_obj_board, config)
        own = bias_m.setdefault(shot.view, [])
        points_m = _points(shot)
        found = _bias_on_board(shot, points_m, outline_m)
        if np.isfinite(found):
            own.append(found)
        T_cam_obj = shot.T_cam_board @ cameras.inverse_rigid(T_obj_board)
        kept_m = _object_depth(shot, points_m, T_cam_obj, float(np.median(own)) if own else 0.0, config)
        _integrate(volume, shot, kept_m, T_cam_obj)
        eye = cameras.inverse_rigid(T_cam_obj)[:3, 3]
        azimuths_deg.append(float(np.rad2deg(np.arctan2(eye[1], eye[0]))))
        samples.append(_sample(kept_m, shot, T_cam_obj, config))
        count += 1
    seen_deg = _seen_deg(azimuths_deg)
    if seen_deg < config.least_turn_deg:
        raise FitError(
            f"a scan needs the object from {config.least_turn_deg:g} degrees around, the board was seen in {count} "
            f"images from {seen_deg:.0f} degrees.",
            _REMEDY,
        )
    vertices_m, faces, colors = _closed(volume, config)
    middle = np.append((vertices_m[:, :2].min(0) + vertices_m[:, :2].max(0)) / 2.0, 0.0)
    residual_mm = _distance_mm(vertices_m, faces, np.concatenate(samples))
    bias_mm = {view: 1e3 * float(np.median(values)) for view, values in bias_m.items() if values}
    return Scan(vertices_m - middle, faces, colors, count, seen_deg, residual_mm, bias_mm)


def _seen_deg(azimuths_deg: list[float]) -> float:
    """How much of a full turn was seen from directions, degrees."""
    if not azimuths_deg:
        return 0.0
    ordered = np.sort(azimuths_deg)
    gaps = np.diff(np.append(ordered, ordered[0] + 360.0))
    return 360.0 - float(gaps[gaps > _GAP_DEG].sum())


def _upright(outline_m: F64) -> F64:
    """T_obj_board `(4, 4)`: origin in the middle of the board, z up from its face."""
    flip = np.diag([1.0, -1.0, -1.0])
    return cameras.rigid(flip, -flip @ outline_m.mean(0))


def _cropped(shot: Shot, T_obj_board: F64, config: Config) -> Shot:
    """The part of an image that the object can be in."""
    r = config.radius_m
    corners = np.array([[x, y, z] for x in (-r, r) for y in (-r, r) for z in (-0.01, config.height_m)])
    local = cameras.transform(shot.T_cam_board @ cameras.inverse_rigid(T_obj_board), corners)
    pixels = cameras.project(shot.camera, local[local[:, 2] > _NEAREST_M])
    size = [shot.camera.width, shot.camera.height]
    if len(pixels) < len(corners):
        return shot
    x0, y0 = np.clip(np.floor(pixels.min(0)), 0, size).astype(int)
    x1, y1 = np.clip(np.ceil(pixels.max(0)) + 1, 0, size).astype(int)
    if x1 - x0 < _SMALLEST_PX or y1 - y0 < _SMALLEST_PX:
        return shot
    camera = replace(
        shot.camera, width=int(x1 - x0), height=int(y1 - y0), cx=shot.camera.cx - x0, cy=shot.camera.cy - y0
    )
    return replace(shot, color=shot.color[y0:y1, x0:x1], depth_m=shot.depth_m[y0:y1, x0:x1], camera=camera)


def _points(shot: Shot) -> F64:
    """(H, W, 3) m of every pixel in the camera's frame; zero where nothing was measured."""
    height, width = shot.depth_m.shape
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float64)
    return cameras.unproject(shot.camera, grid, shot.depth_m.astype(np.float64))


def _bias_on_board(shot: Shot, points_m: F64, outline_m: F64) -> float:
    """How much too far the depth of the bare board is, m; NaN where too little of it is seen."""
    on = cameras.transform(cameras.inverse_rigid(shot.T_cam_board), points_m)
    low, high = outline_m.min(0)[:2], outline_m.max(0)[:2]
    bare = (shot.depth_m > 0) & (on[..., :2] > low).all(-1) & (on[..., :2] < high).all(-1)
    bare &= np.abs(on[..., 2]) < _ON_BOARD_M
    if bare.sum() < _BOARD_POINTS:
        return float("nan")
    # Along the ray, a plane at distance d along z is missed by d / cos.
    z_axis = shot.T_cam_board[:3, 2]
    rays = points_m[bare] / shot.depth_m[bare][:, None]
    return float(np.median(on[bare][:, 2] / (rays @ z_axis)))


def _object_depth(shot: Shot, points_m: F64, T_cam_obj: F64, bias_m: float, config: Config) -> F32:
    """(H, W) m depth of what stands on the board, edges and bias taken out; 0 elsewhere."""
    depth_m = shot.depth_m
    there = depth_m > 0
    near = cv2.erode(np.where(there, depth_m, np.float32(9.0)), np.ones((3, 3), np.uint8))
    far = cv2.dilate(depth_m, np.ones((3, 3), np.uint8))
    inside = there & (far - near < _EDGE_M)
    at = cameras.transform(cameras.inverse_rigid(T_cam_obj), points_m)
    inside &= np.hypot(at[..., 0], at[..., 1]) < config.radius_m
    inside &= (at[..., 2] > -2.0 * config.floor_m) & (at[..., 2] < config.height_m)
    return np.where(inside, depth_m - np.float32(bias_m), np.float32(0.0)).astype(np.float32)


def _integrate(
    volume: open3d.pipelines.integration.ScalableTSDFVolume, shot: Shot, depth_m: F32, T_cam_obj: F64
) -> None:
    import open3d as o3d

    color, flat = np.ascontiguousarray(shot.color), depth_m
    camera = shot.camera
    if any(camera.distortion):
        # open3d knows pinholes only.
        color, flat = _undistorted(color, camera, cv2.INTER_LINEAR), _undistorted(depth_m, camera, cv2.INTER_NEAREST)
    image = o3d.geometry.RGBDImage.create_from_color_and_depth(
        o3d.geometry.Image(color),
        o3d.geometry.Image(np.ascontiguousarray(flat)),
        depth_scale=1.0,
        depth_trunc=3.0,
        convert_rgb_to_intensity=False,
    )
    pinhole = o3d.camera.PinholeCameraIntrinsic(camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy)
    volume.integrate(image, pinhole, T_cam_obj)


def _undistorted(image: NDArray[Any], camera: Camera, how: int) -> NDArray[Any]:
    """The image of the same camera without distortion."""
    grid = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), axis=-1).astype(np.float64)
    straight = (grid - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    bent = cameras.project(camera, np.concatenate([straight, np.ones((*straight.shape[:2], 1))], axis=-1))
    return np.asarray(cv2.remap(image, bent[..., 0].astype(np.float32), bent[..., 1].astype(np.float32), how))


def _sample(depth_m: F32, shot: Shot, T_cam_obj: F64, config: Config) -> F64:
    """Some points of the object, `(K, 3)` m in its frame."""
    v, u = np.nonzero(depth_m)
    pick = np.linspace(0, len(v) - 1, min(len(v), 200)).astype(int)
    u, v = u[pick], v[pick]
    local = cameras.unproject(shot.camera, np.stack([u, v], -1).astype(np.float64), depth_m[v, u].astype(np.float64))
    points = cameras.transform(cameras.inverse_rigid(T_cam_obj), local)
    return points[points[:, 2] > 2.0 * config.floor_m]


def _closed(
    volume: open3d.pipelines.integration.ScalableTSDFVolume, config: Config
) -> tuple[F64, NDArray[np.int32], U8]:
    """The largest body of the field without the board, closed where it stood on it."""
    import open3d as o3d

    legacy = volume.extract_triangle_mesh()
    if len(legacy.triangles):
        above = o3d.t.geometry.TriangleMesh.from_legacy(legacy).clip_plane([0, 0, config.floor_m], [0, 0, 1])
        legacy = above.to_legacy().merge_close_vertices(1e-6)
        clusters, sizes, _ = (np.asarray(part) for part in legacy.cluster_connected_triangles())
        if len(sizes):
            legacy.remove_triangles_by_mask(clusters != int(np.argmax(sizes)))
    if len(legacy.triangles) < _FEWEST_TRIANGLES:
        raise FitError("a scan needs an object on the board, nothing stands there.", _REMEDY)
    legacy.remove_degenerate_triangles()
    legacy.remove_duplicated_triangles()
    legacy.remove_non_manifold_edges()
    legacy.remove_unreferenced_vertices()
    legacy = legacy.filter_smooth_taubin(number_of_iterations=5)
    vertices_m = np.asarray(legacy.vertices).copy()
    # The rim at the cut goes down to the board.
    vertices_m[vertices_m[:, 2] < 1.2 * config.floor_m, 2] = 0.0
    body = _capped(vertices_m, np.asarray(legacy.triangles, dtype=np.int32), np.asarray(legacy.vertex_colors))
    return _simplified(*body, config.triangles)


def _simplified(
    vertices_m: F64, faces: NDArray[np.int32], colors: F64, triangles: int
) -> tuple[F64, NDArray[np.int32], U8]:
    """Fewer triangles of the same body; colours in 0 to 1 become bytes."""
    import open3d as o3d

    mesh = o3d.geometry.TriangleMesh(o3d.utility.Vector3dVector(vertices_m), o3d.utility.Vector3iVector(faces))
    mesh.vertex_colors = o3d.utility.Vector3dVector(colors)
    if len(faces) > triangles:
        mesh = mesh.simplify_quadric_decimation(triangles)
    painted = np.clip(np.asarray(mesh.vertex_colors) * 255.0, 0, 255).astype(np.uint8)
    return np.asarray(mesh.vertices), np.asarray(mesh.triangles, dtype=np.int32), painted


def _capped(vertices_m: F64, faces: NDArray[np.int32], colors: F64) -> tuple[F64, NDArray[np.int32], F64]:
    """Close every hole by a fan about the middle of its rim."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    count = len(vertices_m)
    there, back = edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0]
    rim = edges[~np.isin(there, back)]
    used, local = np.unique(rim, return_inverse=True)
    local = local.reshape(-1, 2)
    graph = coo_array((np.ones(len(rim)), (local[:, 0], local[:, 1])), (len(used), len(used)))
    holes, hole_of = connected_components(graph, directed=False)
    middles_m, middle_colors = np.zeros((holes, 3)), np.zeros((holes, 3))
    for hole in range(holes):
        around = used[hole_of == hole]
        middles_m[hole], middle_colors[hole] = vertices_m[around].mean(0), colors[around].mean(0)
    fans = np.stack([rim[:, 1], rim[:, 0], count + hole_of[local[:, 0]]], axis=-1).astype(np.int32)
    return (
        np.concatenate([vertices_m, middles_m]),
        np.concatenate([faces, fans]),
        np.concatenate([colors, middle_colors]),
    )


def _distance_mm(vertices_m: F64, faces: NDArray[np.int32], points_m: F64) -> float:
    """Median distance of points from the surface, mm."""
    import open3d as o3d

    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(vertices_m.astype(np.float32), faces.astype(np.uint32))
    return 1e3 * float(np.median(scene.compute_distance(points_m.astype(np.float32)).numpy()))
