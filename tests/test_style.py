"""House rules that ruff does not check."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("hoi_core", "capture", "annotate", "dataset_tools", "learning", "gui", "hoi_cli", "scripts", "benchmarks")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "misc", "common"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_file(path: Path):
    text = path.read_text(encoding="utf8")
    tree = ast.parse(text)
    assert text.count("\n") <= 500, "a module holds at most 500 lines"
    assert path.stem not in SAYS_NOTHING, "a file name says what is in it"
    assert ast.get_docstring(tree), "the first line says what the module does"
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno - node.lineno < 80, f"{node.name}: a function holds at most 80 lines"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) != ("sys", "path"), "no sys.path"


def test_gui_files_name_their_licence():
    for path in (ROOT / "gui").rglob("*.py"):
        assert path.read_text().startswith("# SPDX-License-Identifier: GPL-3.0-or-later"), path


def test_qt_is_imported_in_one_place():
    for path in FILES:
        if path != ROOT / "gui" / "qt.py":
            assert "from PyQt5" not in path.read_text(), path
