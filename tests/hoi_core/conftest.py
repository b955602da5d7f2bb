"""Files of older versions, made with h5py alone: what the program of that time wrote."""

import json
import zlib

import h5py
import numpy as np
import pytest

_PERIOD_NS = 33_333_333


@pytest.fixture
def write_capture_1_0():
    """Writes a recording of one D435: (path, (N, 48, 64, 3) colours, (N, 48, 64) depths)."""
    return _write


def _write(path, colors, depths) -> None:
    """A file with the layout of format 1.0, made with h5py alone."""
    with h5py.File(path, "w") as file:
        text = {"sequence": "seq_001", "participant": "p01", "scenario": "s1", "action": "", "rig": "", "software": ""}
        file.attrs.update({"format": "hoi-capture", "format_version": "1.0", "complete": np.uint8(1), **text})
        file.attrs.update({"calibration": "", "created": "", "objects": json.dumps(["o01"]), "edge_params": "{}"})
        number = np.arange(len(colors))
        for kind, images, packing in (("color", colors, "none"), ("depth", depths, "left_delta")):
            group = file.create_group(f"cameras/left/{kind}")
            camera = {"width": 64, "height": 48, "fx": 61.5, "fy": 61.0, "cx": 31.8, "cy": 24.2}
            group.attrs.update({**camera, "distortion": np.zeros(5), "distortion_model": "none"})
            group.attrs.update({"T_world_cam": np.eye(4), "serial": "901", "fps": 30.0})
            stored = images
            if packing == "left_delta":
                group.attrs["depth_scale_m"] = 0.001
                stored = np.diff(images, axis=2, prepend=np.zeros((len(images), 48, 1), np.uint16))
            group["frames"] = stored
            group["frames"].attrs["filter"] = packing
            group["t_device_ns"] = number * _PERIOD_NS
            group["t_host_ns"] = number * _PERIOD_NS + 5
            group["clock_domain"] = np.zeros(len(number), np.uint8)
            group["clock_domain"].attrs["names"] = ["hardware_clock", "global_time", "system_time", "host"]
            group["frame_number"] = number + 10
            group["exposure_us"] = np.full(len(number), 8500.0, np.float32)
            group["gain"] = np.full(len(number), 16.0, np.float32)
            group["crc32"] = np.array([zlib.crc32(image.tobytes()) for image in images], np.uint32)
            clock = [("reference_ns", "i8"), ("offset_ns", "i8"), ("drift_ppm", "f8"), ("residual_ns", "f8")]
            file[f"clocks/left/{kind}"] = np.array((0, 77, 10.0, 1.0), dtype=clock)
        file["sync/t_ns"] = number * _PERIOD_NS + 77
        file["sync/index"] = np.stack([number, number], axis=1)
        file["sync/skew_ns"] = np.zeros((len(number), 2), np.int64)
        file["sync"].attrs["streams"] = ["left/color", "left/depth"]
        kinds = [("stream", "S64"), ("frame_number", "i8"), ("t_ns", "i8"), ("reason", "S64")]
        file["drops"] = np.array([(b"left/depth", 9, 3, b"not delivered")], dtype=kinds)
