"""Says where a CPU build of torch can be had: `local`, `index`, or `none`. Called by install.sh."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

TIMEOUT_S = 5


def offered_locally(pin: str) -> bool:
    """Whether pip would take this requirement from a file on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--no-deps", "--ignore-installed"]
        done = subprocess.run([*command, "--report", str(report), pin], capture_output=True, check=False)
        if done.returncode or not report.exists():
            return False
        url: str = json.loads(report.read_text())["install"][0]["download_info"]["url"]
        return url.startswith("file:")


def answers(index: str) -> bool:
    """Whether the index of CPU wheels replies within a few seconds."""
    try:
        with urllib.request.urlopen(f"{index}/torch/", timeout=TIMEOUT_S) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def main() -> None:
    """Write the answer to standard output."""
    pin, index = sys.argv[1:3]
    sys.stdout.write("local" if offered_locally(pin) else "index" if answers(index) else "none")


if __name__ == "__main__":
    main()
