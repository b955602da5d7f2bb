#!/usr/bin/env bash
# Passes every check and test: style, types, import contract, the test suite. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/install.sh dev
bin="${HOI_VENV:-.venv}/bin"
export QT_QPA_PLATFORM=offscreen OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
printf '\033[1m==> Style, types, import contract\033[0m\n'
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/mypy"
"$bin/lint-imports" --no-cache
printf '\033[1m==> Tests\033[0m\n'
"$bin/python" -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
