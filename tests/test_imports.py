"""What may be loaded when: no torch outside learning, no Qt without a window, nothing heavy for --help."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
HEAVY = ("torch", "PyQt5", "pyrealsense2", "onnxruntime", "lightning_fabric", "numba", "cv2", "h5py", "pandas", "scipy")


def modules_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return {line.split(".")[0] for line in done.stdout.splitlines()}


def test_the_packages_load_neither_torch_nor_qt():
    loaded = modules_after("import hoi_core, capture, annotate, dataset_tools, gui")
    assert not loaded & {"torch", "PyQt5", "lightning_fabric"}


@pytest.mark.parametrize(("command", "target"), COMMANDS.items())
def test_help_loads_nothing_heavy_and_shows_an_example(command: str, target: str):
    module, function = target.split(":")
    code = (
        f"import sys, io, contextlib\nfrom {module} import {function} as main\nout = io.StringIO()\n"
        "with contextlib.redirect_stdout(out):\n"
        "    try:\n        main(['--help'])\n    except SystemExit as stop:\n        assert not stop.code\n"
        f"assert {command!r} in out.getvalue() and 'Example' in out.getvalue(), out.getvalue()"
    )
    assert not modules_after(code) & set(HEAVY)
