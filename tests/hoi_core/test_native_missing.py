"""The package without its compiled part: it imports, says why, and has ONNX Runtime."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAY = "import hoi_core.native as n, hoi_core.runtime; print(n.__file__); print(n.description())"


@pytest.fixture
def sources(tmp_path) -> Path:
    """What a source distribution holds of the engine, and nothing that was built."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(
        ROOT / "hoi_core", tmp_path / "hoi_core", ignore=shutil.ignore_patterns("*.so", "__pycache__", "shipped")
    )
    return tmp_path


def run(folder: Path, *words: str, **environment: str) -> str:
    paths = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_imports_and_says_what_is_missing(sources):
    where, said = run(sources, "-c", SAY).splitlines()
    assert where.startswith(str(sources))
    assert said.startswith("it was not built")
    assert "install a C++ compiler" in said


@pytest.mark.skipif(importlib.util.find_spec("pybind11") is None, reason="pybind11: only builds have it")
def test_a_build_without_a_compiler_ends_well(sources):
    run(sources, "setup.py", "build_ext", "--inplace", CC="no-such-compiler", CXX="no-such-compiler")
    assert not list(sources.rglob("_engine*.so"))
    assert run(sources, "-c", SAY).splitlines()[1].startswith("it was not built")
