"""What keeps the window's thread from waiting for the interpreter."""

import gc
import sys

import pytest

from gui.session_host import SessionHost
from gui.smooth import keep_smooth

pytestmark = pytest.mark.gui


@pytest.fixture
def _as_before():
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)
    gc.unfreeze()


@pytest.mark.usefixtures("_as_before")
def test_opening_a_rig_takes_what_lives_out_of_later_collections(qtbot, capture_session):
    host = SessionHost(lambda _rig: capture_session)
    keep_smooth(host)
    assert sys.getswitchinterval() < 0.005
    assert gc.get_freeze_count() == 0
    before = len(gc.get_objects())
    with qtbot.waitSignal(host.opened):
        host.open("simulated")
    assert gc.get_freeze_count() > 0.9 * before
    with qtbot.waitSignal(host.closed):
        host.close()
