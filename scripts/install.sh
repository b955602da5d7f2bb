#!/usr/bin/env bash
# Makes .venv with everything pinned; a second run finds the stamp and returns at once.
# Sourced by demo.sh and test.sh. Usage: install.sh [extras], such as `install.sh dev`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly EXTRAS="${1:-dev}"
readonly VENV="${HOI_VENV:-.venv}"
readonly STAMP="$VENV/.installed-$EXTRAS"

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
fail() { printf '\033[1;31minstall: %s\033[0m\n' "$*" >&2; exit 1; }

# What the Python wheels load from the system: Qt's xcb plugin, libusb for the cameras, EGL, a virtual screen.
readonly SYSTEM_PACKAGES=(
  python3-venv libusb-1.0-0 libgomp1 libgl1 libegl1 libglib2.0-0 libdbus-1-3 libfontconfig1 libx11-xcb1 libxkbcommon-x11-0
  libxcb1 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-render0 libxcb-shape0
  libxcb-shm0 libxcb-sync1 libxcb-util1 libxcb-xfixes0 libxcb-xinerama0 libxcb-xkb1 xvfb
)

find_python() {
  for candidate in "${HOI_PYTHON:-}" python3.11 python3.12 python3; do
    [ -n "$candidate" ] && command -v "$candidate" >/dev/null || continue
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))'; then
      echo "$candidate"; return
    fi
  done
  fail "expected Python 3.11 or 3.12, found $(python3 --version 2>&1 || echo none). Install it: apt-get install python3.11-venv"
}

missing_system_packages() {
  command -v dpkg-query >/dev/null || return 0
  local name
  for name in "${SYSTEM_PACKAGES[@]}"; do
    # A Python that did not come from Debian brings its own venv.
    [ "$name" = python3-venv ] && "$1" -c 'import ensurepip, venv' 2>/dev/null && continue
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
  done
}

install_system_packages() {
  local missing
  mapfile -t missing < <(missing_system_packages "$1")
  [ ${#missing[@]} -eq 0 ] && return
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null ||
      fail "these system packages are missing; install them as root, then run this again:
  apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  say "Installing ${#missing[@]} system packages: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# pip with one line per package, so that a slow download shows what it is at.
pip_install() { "$VENV/bin/pip" install -c constraints.txt "$@" | sed -un 's/^Collecting \([^ ]*\).*/    \1/p'; }

# PyPI's Linux wheel of torch needs gigabytes of CUDA. Without a GPU take a CPU build: one that lies on this
# machine where pip offers it, else PyTorch's CPU index if it answers within seconds, else say so and go on.
install_torch() {
  local pin offer index=https://download.pytorch.org/whl/cpu
  pin="$(grep '^torch==' constraints.txt)"
  if command -v nvidia-smi >/dev/null && nvidia-smi >/dev/null 2>&1; then
    say "Installing $pin with CUDA (a GPU was found)"
    pip_install "$pin"; return
  fi
  offer="$("$VENV/bin/python" scripts/torch_offer.py "$pin" "$index")"
  case "$offer" in
    local) say "Installing $pin (a CPU build on this machine)"; pip_install "$pin" ;;
    index) say "Installing $pin (CPU build, about 200 MB)"
           pip_install "$pin" --index-url "$index" --extra-index-url https://pypi.org/simple ;;
    *) say "PyTorch's CPU index does not answer: installing $pin from PyPI, which downloads about 3 GB of CUDA libraries"
       pip_install "$pin" ;;
  esac
}

install_all() {
  local python want
  want="$(cat constraints.txt pyproject.toml setup.py hoi_core/native/*.cpp hoi_core/native/*.h | sha256sum | cut -d' ' -f1)"
  if [ "$(cat "$STAMP" 2>/dev/null)" = "$want" ]; then return; fi
  python="$(find_python)"
  install_system_packages "$python"
  [ -x "$VENV/bin/python" ] || { say "Making $VENV with $("$python" --version)"; "$python" -m venv "$VENV"; }
  export PIP_DISABLE_PIP_VERSION_CHECK=1
  "$VENV/bin/python" -c 'import torch' 2>/dev/null || install_torch
  say "Installing the other pinned packages (about 1 GB; some minutes the first time)"
  pip_install -e ".[$EXTRAS]"
  echo "$want" >"$STAMP"
  say "Native sparse engine: $("$VENV/bin/python" -c 'from hoi_core import native; print(native.description())')"
  say "Compiling what else would be compiled at its first use (hoi-info --compile; two minutes)"
  "$VENV/bin/hoi-info" --compile >/dev/null || say "That failed; each function is compiled when it is first needed"
  say "Installed into $VENV ($(du -sh "$VENV" | cut -f1))"
}

install_all
