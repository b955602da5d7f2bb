"""Settings of all tests."""

import pytest
from hypothesis import settings

# A busy machine is no failure: no test asserts a time.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

_FIRST = (
    "annotate/document/test_session.py",
    "learning/test_processes.py",
    "hoi_core/test_aarch64.py",
    "learning/test_splite.py",
    "hoi_core/test_ik.py",
    "learning/test_pipeline.py",
    "dataset_tools/test_scenes.py",
    "annotate/objects/test_track.py",
    "learning/test_models.py",
    "capture/test_calibrate_views.py",
    "learning/test_kill.py",
    "hoi_cli/test_train.py",
)
"""Files that take longest or compile most, so that no worker is left with one of them at the end. Those that compile
take turns with others: what one worker has compiled the other then finds on disk."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put those files first; `--no-loadscope-reorder` keeps the order among several workers."""
    places = {path: place for place, path in enumerate(_FIRST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0].removeprefix("tests/"), len(places)))
