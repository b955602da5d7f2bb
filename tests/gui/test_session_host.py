"""One rig at a time, whatever is asked for while another is being opened."""

import threading

import pytest

from gui.session_host import SessionHost
from hoi_core.errors import DeviceError

pytestmark = pytest.mark.gui


class Session:
    def __init__(self, rig, log, gate):
        self.rig, self.log, self.gate = rig, log, gate

    def start(self):
        self.gate.wait(5)
        self.log.append(f"start {self.rig}")
        if self.rig == "broken":
            raise DeviceError("no camera.", "Plug one in.")

    def stop(self):
        self.log.append(f"stop {self.rig}")


@pytest.fixture
def log():
    return []


@pytest.fixture
def gate():
    made = threading.Event()
    made.set()
    return made


@pytest.fixture
def host(qtbot, log, gate):
    made = SessionHost(lambda rig: Session(rig, log, gate))
    yield made
    gate.set()
    qtbot.waitUntil(lambda: not made.busy)


def test_a_rig_replaces_the_one_before_it(qtbot, host, log):
    host.open("a")
    qtbot.waitUntil(lambda: host.state == "open" and not host.busy)
    host.open("b")
    qtbot.waitUntil(lambda: host.state == "open" and host.session.rig == "b")
    assert log == ["start a", "stop a", "start b"]


def test_the_last_wish_wins_while_it_is_busy(qtbot, host, log, gate):
    gate.clear()
    host.open("a")
    host.open("b")
    host.open("c")
    gate.set()
    qtbot.waitUntil(lambda: host.state == "open" and host.session.rig == "c")
    assert log == ["start a", "stop a", "start c"]


def test_closing_while_opening_closes_what_was_opened(qtbot, host, log, gate):
    gate.clear()
    host.open("a")
    host.close()
    gate.set()
    qtbot.waitUntil(lambda: host.state == "closed" and not host.busy)
    assert log == ["start a", "stop a"]
    assert host.session is None


def test_a_rig_that_fails_to_start_is_released(qtbot, host, log):
    errors = []
    host.failed.connect(errors.append)
    host.open("broken")
    qtbot.waitUntil(lambda: host.state == "failed" and not host.busy)
    assert log == ["start broken", "stop broken"]
    assert errors[0].hint == "Plug one in."
    host.open("a")
    qtbot.waitUntil(lambda: host.state == "open")
