"""Composes the demo's report.html from what its commands left behind. Usage: demo_report.py DEMO_FOLDER."""

from __future__ import annotations

import io
import json
import platform
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dataset_tools.readers import ours
from hoi_core import draw, html, log, metrics, runtime
from hoi_core.camera import project
from hoi_core.conventions import Side
from hoi_core.crop import box_of
from hoi_core.errors import ConfigError
from hoi_core.mano import ManoLayer
from hoi_core.sequence import Capture, annotation_path, capture_path, list_sequences, open_annotation, open_capture
from hoi_core.types import F64, U8, Revision, Sample

MOMENTS = (0.2, 0.4, 0.6, 0.8)
"""Where in a sequence the pictures are taken, as shares of its length."""
TILE_WIDTH = 480
CLOSE_UP = 280
"""Side of a picture of the hand alone, px."""
SIDE: Side = "right"


def main() -> None:
    """Write `report.html` into the demo's folder."""
    if len(sys.argv) != 2:
        raise ConfigError("expected one folder.", "Type: python scripts/demo_report.py demo")
    demo = Path(sys.argv[1])
    results = {path.stem: json.loads(path.read_text()) for path in sorted((demo / "results").glob("*.json"))}
    sequences = list_sequences(demo / "data")
    page = html.page(
        "From camera to deployed hand model, on a machine with no camera",
        "Two simulated recordings, their automatic annotation, and a small network trained on them, quantised and "
        "exported. Every number on this page was measured by the run that made it.",
        [
            _headline(results, sequences),
            _limits(),
            _recorded(demo / "data", sequences, results),
            _fitted(demo / "data", sequences, results),
            _trained(demo),
            _deployed(demo, results),
            _made_by(demo),
        ],
    )
    html.write(demo / "report.html", page)
    log.panel(
        "demo",
        [f"{demo / 'report.html'}: the report, in one file that needs no network"],
        f"hoi-annotate {sequences[0]} --data {demo / 'data'}",
    )


def _headline(results: dict[str, Any], sequences: list[str]) -> str:
    worst = max(results[f"compare_{name}"]["joint_error_mm"] for name in sequences)
    fp32, int8 = results["eval_fp32_test"], results["eval_int8_test"]
    return html.tiles(
        [
            (f"{worst:.1f} mm", "annotation error", "mean over joints, the worse sequence, against the truth"),
            (f"{int8['xyz_pa_mm']:.1f} mm", "int8 model, PA-MPJPE", f"fp32: {fp32['xyz_pa_mm']:.1f} mm"),
            (f"{_speed_up(results):.1f}x", "int8 against fp32", "speed in ONNX Runtime, one thread"),
            (f"{_size_share(results):.0%}", "int8 file", "of the size of fp32"),
        ]
    )


def _limits() -> str:
    return html.section(
        "What to believe",
        html.note(
            "Everything here is simulated: the hand is a stand-in with the array shapes of MANO, the cameras are "
            "librealsense software devices. The annotation starts from the keypoint network of this project, which "
            "was trained on rendered hands, and from clicks on the object by a simulated person. The truth that "
            "errors are measured against was never shown to the annotator."
        ),
        html.note(
            "The network was trained for minutes on one sequence of one simulated hand. It is a weak model: it shows "
            "that every step works, not how accurate SPLite is."
        ),
    )


def _recorded(data: Path, sequences: list[str], results: dict[str, Any]) -> str:
    parts = []
    for name in sequences:
        with open_capture(capture_path(data, name)) as capture:
            parts.append(html.picture(_streams_picture(capture), f"{name}: both colour views, their depth, the sensor"))
    head = ["sequence", "moments", "paired", "drops", "median skew (ms)", "size (MB)"]
    rows = []
    for name in sequences:
        r = results[f"capture_{name}"]
        size = capture_path(data, name).stat().st_size / 1e6
        rows.append([name, str(r["moments"]), str(r["paired"]), str(r["drops"]), f"{r['skew_ms']:.2f}", f"{size:.0f}"])
    return html.section("Recorded", html.table(head, rows), html.row(*parts))


def _fitted(data: Path, sequences: list[str], results: dict[str, Any]) -> str:
    pictures = []
    for name in sequences:
        with open_capture(capture_path(data, name)) as capture:
            revision = open_annotation(annotation_path(data, name)).load()
            pictures.append(html.picture(_fit_picture(capture, revision), f"{name}: the fit over both views"))
    head = [
        "sequence",
        "joints (mm)",
        "95th percentile",
        "vertices (mm)",
        "in its 90 % interval",
        "labelled",
        "s/frame",
    ]
    rows = []
    for name in sequences:
        c, a = results[f"compare_{name}"], results[f"annotate_{name}"]
        rows.append(
            [
                name,
                *(f"{c[key]:.2f}" for key in ("joint_error_mm", "joint_error_p95_mm", "vertex_error_mm")),
                f"{c['coverage90']:.0%}",
                f"{c['valid_share']:.0%}",
                f"{a['seconds_per_frame']:.3f}",
            ]
        )
    return html.section(
        "Annotated",
        html.text(
            "The fitted hand over both views. Clicks exist on every fifth frame; depth and smoothness do the rest."
        ),
        *pictures,
        html.table(head, rows, "Mean distance between fitted and true joints, in the world frame, over all frames."),
    )


def _trained(demo: Path) -> str:
    return html.section(
        "Trained",
        html.chart(
            _loss_chart(demo),
            "Training loss of every tenth step and its running mean: float, then with simulated int8.",
        ),
    )


def _deployed(demo: Path, results: dict[str, Any]) -> str:
    fp32, int8 = results["eval_fp32_test"], results["eval_int8_test"]
    keys = [
        ("xyz_pa_mm", "PA-MPJPE (mm)", 1),
        ("xyz_pa_auc", "PA AUC, 0 to 50 mm", 3),
        ("mesh_pa_mm", "PA-MPVPE (mm)", 1),
        ("f5_pa", "F@5 mm, aligned", 3),
        ("f15_pa", "F@15 mm, aligned", 3),
        ("xyz_mm", "camera space (mm)", 1),
    ]
    columns = fp32, int8, results["eval_int8_train"]
    rows = [[title, *(f"{column[key]:.{d}f}" for column in columns)] for key, title, d in keys]
    sizes = [(demo / f"splite_{p}.onnx").stat().st_size / 1e6 for p in ("fp32", "int8")]
    latency = _latencies(results)
    rows += [
        ["size (MB)", *(f"{size:.1f}" for size in sizes), ""],
        ["median latency (ms), one thread", f"{latency['fp32']:.2f}", f"{latency['int8']:.2f}", ""],
    ]
    data = demo / "data"
    samples = [ours.read(data, key) for key in ours.index(data, "test")]
    rows.insert(1, ["  the same of the mean training hand", *[f"{_mean_hand_pa_mm(data, samples):.1f}"] * 2, ""])
    parity = json.loads((demo / "splite_int8.json").read_text())["parity"]
    agreement = ", ".join(f"{key} {value:.3g}" for key, value in parity.items() if isinstance(value, float))
    return html.section(
        "Deployed",
        html.table(
            ["", "fp32", "int8", "int8, training sequence"],
            rows,
            f"On {int8['n']} images of the sequence kept out of training, against its labels (not the truth), aligned "
            "as the FreiHAND evaluator does. int8 was trained for more steps than fp32.",
        ),
        html.picture(_predictions_picture(demo, samples), "The int8 model on images of the held-out sequence"),
        html.text(f"The int8 file in ONNX Runtime against the network with simulated int8: {agreement}."),
    )


def _made_by(demo: Path) -> str:
    lines = (demo / "results" / "steps.jsonl").read_text().splitlines()
    steps = [json.loads(line) for line in lines]
    rows = [[step["title"], str(step["seconds"])] for step in steps]
    rows.append(["Total", str(sum(step["seconds"] for step in steps))])
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    return html.section("How long it took", html.table(["step", "seconds"], rows, f"On this machine: {machine}."))


def _streams_picture(capture: Capture) -> U8:
    """Both views, their depth and the sensor at one moment, as one RGB picture."""
    complete = np.flatnonzero(capture.sync.complete)
    moment = int(complete[len(complete) // 2])
    tiles = []
    for view in capture.views.values():
        color = view.color[capture.sync.index[f"{view.name}/color"][moment]]
        depth = view.depth_in_color_m(capture.sync.index[f"{view.name}/depth"][moment])
        tiles += [_tile(color, f"{view.name} colour"), _tile(draw.depth_colours(depth), f"{view.name} depth")]
    for sensor in capture.sensors.values():
        for kind, stream in (("gray", sensor.gray), ("edge", sensor.edge)):
            image = draw.to_rgb(stream[capture.sync.index[f"{sensor.name}/{kind}"][moment]])
            square = cv2.resize(image, (360, 360), interpolation=cv2.INTER_NEAREST).astype(np.uint8)
            tiles.append(_tile(np.pad(square, ((0, 0), (60, 60), (0, 0))), f"{sensor.name} {kind}"))
    return draw.montage(tiles, columns=2)


def _fit_picture(capture: Capture, revision: Revision) -> U8:
    """The fitted mesh in both views at a few moments: a row for each view, close to the hand."""
    hand = revision.hands[SIDE]
    layer = ManoLayer.from_env(SIDE)
    tiles = []
    for name, view in capture.views.items():
        for share in MOMENTS:
            m = int(share * (len(revision.t_ns) - 1))
            place = hand.orient[m : m + 1], hand.pose[m : m + 1], hand.betas, hand.trans_m[m : m + 1]
            image = draw.mesh(
                view.color[revision.frame_index[name][m]], view.camera, layer(*place).vertices_m[0], layer.faces
            )
            tiles.append(_close_up(image, draw.world_to_pixels(view.camera, hand.joints_m[m]), f"{name}, frame {m}"))
    return draw.montage(tiles, columns=len(MOMENTS))


def _predictions_picture(demo: Path, samples: list[Sample]) -> U8:
    """What the int8 model says about images it was not trained on: its mesh above, its skeleton below."""
    model = runtime.load_hand(demo / "splite_int8.onnx")
    faces = ManoLayer.from_env(SIDE).faces
    meshes, skeletons = [], []
    for share in MOMENTS:
        sample = samples[int(share * (len(samples) - 1))]
        camera = replace(sample.camera, T_world_cam=np.eye(4))  # draw in the camera's own frame
        true_px = project(camera, sample.joints_m)
        hand = model.predict(sample.image, camera, box_of(true_px), side=sample.side)
        if hand.vertices_m is not None:
            meshes.append(_close_up(draw.mesh(sample.image, camera, hand.vertices_m, faces), true_px, sample.key))
        skeletons.append(_close_up(draw.skeleton(sample.image, hand.joints_px), true_px, ""))
    return draw.montage([*meshes, *skeletons], columns=len(MOMENTS))


def _mean_hand_pa_mm(data: Path, samples: list[Sample]) -> float:
    """PA-MPJPE of always answering with the mean hand of the training images: what a network has to beat."""
    known = [ours.read(data, key).joints_m for key in ours.index(data, "train")]
    mean_m = np.mean([joints - joints[0] for joints in known], axis=0)
    truth = np.stack([sample.joints_m for sample in samples])
    return metrics.pa_mpjpe_mm(np.broadcast_to(mean_m, truth.shape), truth, allow_reflection=True)


def _close_up(image: U8, hand_px: F64, caption: str) -> U8:
    """The square around a hand, `(CLOSE_UP, CLOSE_UP, 3)`."""
    low, high = np.nanmin(hand_px, axis=0), np.nanmax(hand_px, axis=0)
    half = 0.75 * float((high - low).max())
    x, y = (low + high) / 2 - half
    scale = CLOSE_UP / (2 * half)
    to_tile = np.array([[scale, 0, -x * scale], [0, scale, -y * scale]])
    cut = cv2.warpAffine(image, to_tile, (CLOSE_UP, CLOSE_UP), borderMode=cv2.BORDER_REPLICATE).astype(np.uint8)
    return draw.label(cut, caption, scale=0.42) if caption else cut


def _tile(image: U8, caption: str) -> U8:
    height = round(image.shape[0] * TILE_WIDTH / image.shape[1])
    return draw.label(cv2.resize(image, (TILE_WIDTH, height), interpolation=cv2.INTER_AREA).astype(np.uint8), caption)


def _loss_chart(demo: Path) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots()
    start = 0
    for run, colour, title in (("float", "#0b7285", "float"), ("qat", "#d9480f", "simulated int8")):
        events = [json.loads(line) for line in (demo / "runs" / run / "metrics.jsonl").read_text().splitlines()]
        points = np.array([(event["step"], event["loss"]) for event in events if "loss" in event])
        window = min(5, len(points))
        mean = np.convolve(points[:, 1], np.ones(window) / window, mode="valid")
        axes.plot(points[:, 0] + start, points[:, 1], color=colour, linewidth=0.8, alpha=0.35)
        axes.plot(points[window - 1 :, 0] + start, mean, color=colour, linewidth=1.8, label=title)
        start += int(points[-1, 0])
    axes.set(xlabel="step", ylabel="loss", yscale="log")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    return buffer.getvalue()


def _latencies(results: dict[str, Any]) -> dict[str, float]:
    """Precision -> median latency in ms."""
    return {row["engine"].removeprefix("ort_"): row["median_ms"] for row in results["bench"] if row["threads"] == 1}


def _speed_up(results: dict[str, Any]) -> float:
    latency = _latencies(results)
    return latency["fp32"] / latency["int8"]


def _size_share(results: dict[str, Any]) -> float:
    demo = Path(sys.argv[1])
    return (demo / "splite_int8.onnx").stat().st_size / (demo / "splite_fp32.onnx").stat().st_size


if __name__ == "__main__":
    main()
