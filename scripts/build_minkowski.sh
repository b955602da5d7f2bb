#!/usr/bin/env bash
# Builds MinkowskiEngine 0.5.4 for the CPU and installs it into .venv: the engine `minkowski` then trains and infers.
# About five minutes on one core. Usage: build_minkowski.sh, after install.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly VENV="${HOI_VENV:-.venv}"
readonly VERSION=0.5.4
readonly BUILD="$VENV/.build-minkowski"

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
fail() { printf '\033[1;31mbuild_minkowski: %s\033[0m\n' "$*" >&2; exit 1; }

"$VENV/bin/python" -c 'import torch' 2>/dev/null ||
  fail "expected torch in $VENV. Run: bash scripts/install.sh"
if "$VENV/bin/python" -c 'import sys, torch; sys.exit(torch.version.cuda is None)'; then
  fail "this torch is built for CUDA $("$VENV/bin/python" -c 'import torch; print(torch.version.cuda)'), and MinkowskiEngine $VERSION was written for CUDA 10 and 11.
  This script builds the CPU engine only: use a CPU torch in a second environment (HOI_VENV=DIR), or train with the
  default engine, which computes the same on any device."
fi
command -v g++ >/dev/null || fail "expected a C++ compiler. Run: apt-get install g++"
if ! ls /usr/include/*/cblas.h /usr/include/cblas.h /usr/include/openblas/cblas.h >/dev/null 2>&1; then
  [ "$(id -u)" -eq 0 ] || fail "expected OpenBLAS. Run as root: apt-get install libopenblas-dev"
  say "Installing libopenblas-dev"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libopenblas-dev >/dev/null
fi

# Its setup.py needs an older setuptools than ours (numpy.distutils): an environment of its own, which sees our torch.
say "Building MinkowskiEngine $VERSION (about five minutes)"
rm -rf "$BUILD"
"$VENV/bin/python" -m venv "$BUILD"
"$VENV/bin/python" -c 'import pathlib, torch; print(pathlib.Path(torch.__file__).parents[1])' \
  >"$("$BUILD/bin/python" -c 'import site; print(site.getsitepackages()[0])')/ours.pth"
export PIP_DISABLE_PIP_VERSION_CHECK=1
"$BUILD/bin/pip" install -q 'setuptools<81' wheel ninja
PATH="$(realpath "$BUILD")/bin:$PATH" CFLAGS=-g0 MAX_JOBS="${MAX_JOBS:-$(nproc)}" \
  "$BUILD/bin/pip" wheel -q --no-build-isolation --no-deps -w "$BUILD/wheels" "MinkowskiEngine==$VERSION"
"$VENV/bin/pip" install -q --no-deps --force-reinstall "$BUILD"/wheels/*.whl
rm -rf "$BUILD"
OPENBLAS_NUM_THREADS=1 "$VENV/bin/python" -c 'from learning.layers import minkowski; minkowski.load()'
say "Installed into $VENV"
