"""Make the rigs of this folder importable by the tests beside them."""

import importlib.util
import sys
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("capture_test_rigs", Path(__file__).with_name("rigs.py"))
_MODULE = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = _MODULE
_SPEC.loader.exec_module(_MODULE)

_VIEWS = importlib.util.spec_from_file_location("capture_test_board_views", Path(__file__).with_name("board_views.py"))
sys.modules[_VIEWS.name] = importlib.util.module_from_spec(_VIEWS)
_VIEWS.loader.exec_module(sys.modules[_VIEWS.name])


@pytest.fixture
def rigs():
    """The module of small rigs."""
    return _MODULE
