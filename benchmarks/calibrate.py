"""Calibrate the simulated rig live with several seeds; errors against truth, and times.

Run: python benchmarks/calibrate.py --seeds 3 --seconds 90
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from hoi_cli.calibrate import main as calibrate_command


def one(seed: int, seconds: float) -> dict[str, object]:
    """Calibrate once; figures of the command, and seconds in all."""
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        began = time.perf_counter()
        arguments = ["--data", folder, "--rig", "simulated", "--seed", str(seed), "--seconds", str(seconds)]
        code = calibrate_command([*arguments, "--json", str(figures)])
        values = json.loads(figures.read_text()) if code == 0 else {}
    keys = ("stereo_rms_px", "holdout_px", "loop_mm", "plane_mm", "shots", "truth_error_mm", "truth_error_deg")
    return {"seed": seed, "exit": code, "seconds": time.perf_counter() - began} | {key: values.get(key) for key in keys}


def main() -> None:
    """Run all seeds and print one line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seconds", type=float, default=90.0)
    arguments = parser.parse_args()
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        print(json.dumps(one(seed, arguments.seconds)), flush=True)


if __name__ == "__main__":
    main()
