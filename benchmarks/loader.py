"""What each step of loading for training costs, and how many samples a second the loader gives.

Without --data it makes a small synthetic set first.

python benchmarks/loader.py [--dataset ours --data DIR] [--workers 2]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from learning.loader_bench import Case, data_for, rates, steps


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="synth")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    with data_for(given.dataset, given.data, given.size) as root:
        case = Case(given.dataset, root, given.size, given.samples, workers=given.workers)
        for figure in (*steps(case), *rates(case)):
            print(figure)


if __name__ == "__main__":
    main()
