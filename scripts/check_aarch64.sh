#!/usr/bin/env bash
# Builds the native engine for 64-bit ARM on another processor and lets it compute in QEMU, as a Cortex-A76 (that of a
# Raspberry Pi 5): kernels against a plain reference. HOI_SANITIZE=undefined also stops at undefined behaviour. Says
# nothing about speed.
# `check_aarch64.sh --python` also runs the Python package there: Debian's Python and PyPI's wheels for ARM are
# downloaded (65 MB), the import says which instructions it uses, and a fresh SPLite gives what it gives in ONNX Runtime.
# Needs: apt-get install g++-aarch64-linux-gnu qemu-user-static. HOI_AARCH64 names a folder to keep what was downloaded.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly COMPILER=aarch64-linux-gnu-g++ EMULATOR=(qemu-aarch64-static -cpu cortex-a76)
# Newer ones crash at import in Debian 12's QEMU.
readonly WHEELS=(numpy==2.4.6 onnxruntime==1.20.1 flatbuffers packaging protobuf)
readonly DEBIAN=(
  python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libpython3.11-dev libc6 libgcc-s1 libstdc++6 zlib1g
  libexpat1 libssl3 libcrypt1 libffi8 libbz2-1.0 liblzma5
)

fail() { printf '\033[1;31mcheck_aarch64: %s\033[0m\n' "$*" >&2; exit 1; }

for program in "$COMPILER" "${EMULATOR[0]}"; do
  command -v "$program" >/dev/null || fail "expected $program. Run: apt-get install g++-aarch64-linux-gnu qemu-user-static"
done
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
kept="${HOI_AARCH64:-$scratch}"

check_kernels() {
  local source check checks=()
  [ -z "${HOI_SANITIZE:-}" ] || checks=("-fsanitize=$HOI_SANITIZE" -fsanitize-undefined-trap-on-error)
  # What needs no Python.
  for source in $(grep -L pybind11 hoi_core/native/*.cpp) tests/native/check_*.cpp; do
    "$COMPILER" -std=c++17 -O1 -Wall -Wextra -Werror "${checks[@]}" -c "$source" \
      -o "$scratch/$(basename "$source" .cpp).o"
  done
  for check in check_engine check_hand check_byte_hand; do
    mv "$scratch/$check.o" "$scratch/$check.main"
  done
  for check in check_engine check_hand check_byte_hand; do
    "$COMPILER" "${checks[@]}" -static -pthread "$scratch/$check.main" "$scratch"/*.o -o "$scratch/$check"
    "${EMULATOR[@]}" "$scratch/$check"
  done
}

download_python() {
  [ -e "$kept/done" ] && return
  mkdir -p "$kept/apt/lists/partial" "$kept/apt/cache/archives/partial" "$kept/debs" "$kept/wheels" "$kept/site"
  cat >"$kept/apt.conf" <<CONF
APT::Architecture "arm64"; APT::Architectures {"arm64";}; APT::Sandbox::User "root";
Dir::State "$kept/apt"; Dir::State::Lists "$kept/apt/lists"; Dir::Cache "$kept/apt/cache"; Dir::State::status "/dev/null";
CONF
  (
    cd "$kept/debs"
    export APT_CONFIG="$kept/apt.conf"
    apt-get update -qq
    apt-get download -qq "${DEBIAN[@]}"
    for package in *.deb; do dpkg-deb -x "$package" "$kept/debian"; done
  )
  "$python" -m pip download -q --no-deps -d "$kept/wheels" --only-binary=:all: --python-version 3.11 \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 "${WHEELS[@]}"
  for wheel in "$kept"/wheels/*.whl; do "$python" -m zipfile -e "$wheel" "$kept/site"; done
  touch "$kept/done"
}

check_python() {
  local python="${HOI_VENV:-.venv}/bin/python" headers
  headers="$("$python" -c 'import pybind11; print(pybind11.get_include())')" ||
    fail "expected pybind11 beside torch. Run: $python -m pip install pybind11"
  download_python
  mkdir -p "$scratch/package"
  cp -r hoi_core "$scratch/package"
  rm -f "$scratch"/package/hoi_core/native/*.so
  "$COMPILER" -std=c++17 -O2 -fPIC -shared -fvisibility=hidden -pthread -I"$headers" \
    -I"$kept/debian/usr/include/python3.11" -I"$kept/debian/usr/include" hoi_core/native/*.cpp \
    -o "$scratch/package/hoi_core/native/_engine.cpython-311-aarch64-linux-gnu.so"
  PYTHONPATH=".${PYTHONPATH:+:$PYTHONPATH}" "$python" scripts/fresh_splite.py "$scratch/fresh.onnx"
  PYTHONPATH="$scratch/package:$kept/site" PYTHONDONTWRITEBYTECODE=1 \
    "${EMULATOR[@]}" -L "$kept/debian" "$kept/debian/usr/bin/python3.11" scripts/compare_engines.py "$scratch/fresh.onnx"
}

check_kernels
[ "${1:-}" = --python ] && check_python
exit 0
