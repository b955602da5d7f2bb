"""Facts for `hoi-info` and for the records of runs: versions, machine, hand model, folders."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hoi_core import __version__, native
from hoi_core.config import data_root, runs_root

PACKAGES = (
    "numpy",
    "h5py",
    "pyrealsense2",
    "PyQt5",
    "torch",
    "lightning-fabric",
    "onnxruntime",
    "opencv-contrib-python-headless",
    "numba",
    "smplx",
    "MinkowskiEngine",
)


def package_versions() -> dict[str, str]:
    """Installed version of every package that matters here, or `not installed`."""
    return {name: _version(name) for name in PACKAGES}


def collect() -> dict[str, str]:
    """Everything that `hoi-info` shows, as name -> text."""
    root = data_root()
    free_gb = shutil.disk_usage(root if root.exists() else Path.cwd()).free / 1e9
    facts = {
        "hoi-toolkit": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "data": f"{root.resolve()} ({'exists' if root.exists() else 'not made yet'}, {free_gb:.0f} GB free)",
        "runs": str(runs_root().resolve()),
        "hand model": _hand_model(),
        "native engine": native.description(),
    }
    return facts | package_versions()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _hand_model() -> str:
    folder = os.environ.get("HOI_MANO")
    if not folder:
        return "stand-in (set HOI_MANO to the folder of MANO_RIGHT.pkl to use MANO)"
    found = [name for name in ("MANO_RIGHT.pkl", "MANO_LEFT.pkl") if (Path(folder) / name).is_file()]
    return f"MANO in {folder}: {', '.join(found) or 'no MANO_RIGHT.pkl or MANO_LEFT.pkl there'}"
