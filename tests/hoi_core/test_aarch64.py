"""The engine's kernels for 64-bit ARM, built by a cross compiler and run in an emulator."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("aarch64-linux-gnu-g++", "qemu-aarch64-static")
missing = [program for program in NEEDED if shutil.which(program) is None]


@pytest.mark.slow
@pytest.mark.skipif(bool(missing), reason=f"no {' and '.join(missing)}: apt-get install them")
def test_neon_computes_what_plain_sums_do():
    done = subprocess.run(
        ["bash", str(ROOT / "scripts/check_aarch64.sh")], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if "equal to the reference" in line]
    assert [line.partition(":")[0] for line in lines] == ["neondot", "neon", "plain"]
