"""librealsense's Python module, or a typed error that says how to get it."""

from __future__ import annotations

from hoi_core.errors import DeviceError

try:
    import pyrealsense2 as rs
except ImportError as error:
    raise DeviceError(
        f"recording needs pyrealsense2, which does not load: {error}.",
        "Install it: pip install 'hoi-toolkit[capture]'; on Debian also: apt install libusb-1.0-0.",
    ) from error

__all__ = ["rs"]
