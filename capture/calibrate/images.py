"""Images from folders: one folder for each view, images of the same instant matched by their number."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np

from capture.calibrate.board import Board
from capture.calibrate.detect import COARSE_PX, detect, make_detector
from capture.calibrate.diagnose import diagnose, wrong_marker_size
from capture.calibrate.result import Shot
from hoi_core.errors import CalibrationError
from hoi_core.names import natural_key
from hoi_core.types import U8

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}


def match_folders(folders: Mapping[str, Path]) -> list[tuple[str, dict[str, Path]]]:
    """Match images by the last number in their names, else by their order.

    Returns:
        (name of the shot, view -> file) in order.

    Raises:
        CalibrationError: a folder is empty, or the folders do not hold the same number of images.
    """
    files = {view: _list(view, folder) for view, folder in folders.items()}
    numbered = {view: _by_number(paths) for view, paths in files.items()}
    if all(len(numbered[view]) == len(paths) for view, paths in files.items()):
        everywhere = set.intersection(*(set(n) for n in numbered.values()))
        anywhere = set.union(*(set(n) for n in numbered.values()))
        if everywhere == anywhere:
            return [(str(n), {view: numbered[view][n] for view in files}) for n in sorted(everywhere)]
    counts = {view: len(paths) for view, paths in files.items()}
    if len(set(counts.values())) > 1:
        raise CalibrationError(
            "expected as many images of each view, got "
            + ", ".join(f"{n} of {view}" for view, n in counts.items())
            + ".",
            "Images of the same instant need the same last number in their names; remove those without a partner.",
        )
    ordered = [sorted(paths, key=lambda path: natural_key(path.name)) for paths in files.values()]
    return [(str(k), dict(zip(files, row, strict=True))) for k, row in enumerate(zip(*ordered, strict=True))]


def read_shots(
    board: Board,
    folders: Mapping[str, Path],
    progress: Callable[[int, int], None] | None = None,
) -> list[Shot]:
    """Find the board in all images.

    Args:
        board: what was shown.
        folders: view -> folder.
        progress: called with images done and in all.

    Returns:
        A shot for each instant; images too coarse for corners are kept as they are.

    Raises:
        CalibrationError: folders that do not match, an unreadable image, or a board that is not the one shown.
    """
    matched = match_folders(folders)
    detector = make_detector(board)
    shots: list[Shot] = []
    samples: list[U8] = []
    for done, (name, files) in enumerate(matched):
        images = {view: read_image(path) for view, path in files.items()}
        fine = {view: image for view, image in images.items() if image.shape[1] >= COARSE_PX}
        found = {view: detect(board, image, detector) for view, image in fine.items()}
        kept = {view: image for view, image in images.items() if image.shape[1] < COARSE_PX}
        shots.append(Shot({view: d for view, d in found.items() if d is not None}, kept, name=name))
        samples += list(fine.values())[: 1 if done < 6 else 0]
        if progress is not None:
            progress(done + 1, len(matched))
    if sum(len(shot.detections) for shot in shots) < len(shots) * 0.2:
        reason = diagnose(board, samples)
        if reason is not None:
            raise reason
    wrong_marker_size(board, samples)
    return shots


def _list(view: str, folder: Path) -> list[Path]:
    paths = [path for path in sorted(folder.glob("*")) if path.suffix.lower() in _SUFFIXES]
    if not paths:
        raise CalibrationError(f"expected images of {view} in {folder}, found none.", "Check --images.")
    return paths


def _by_number(paths: list[Path]) -> dict[int, Path]:
    numbers = {path: re.findall(r"\d+", path.stem) for path in paths}
    return {int(found[-1]): path for path, found in numbers.items() if found}


def read_image(path: Path) -> U8:
    """An image in gray, `(H, W)`.

    Raises:
        CalibrationError: it cannot be read.
    """
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise CalibrationError(f"{path} is no image that can be read.", "Remove it or write it again.")
    return np.asarray(image, dtype=np.uint8)
