"""A person's way through the recording window with the real simulated rig: rig, calibration, take, redo, report."""

import pytest

from capture.rig import open_rig
from capture.session import CaptureSession
from gui import theme
from gui.capture_window import CaptureWindow, CaptureWindowConfig
from gui.dataset_lab import DatasetLab
from gui.qt import Qt
from hoi_core.sequence import open_capture
from hoi_core.sequence.tables import read_table

pytestmark = [pytest.mark.gui, pytest.mark.slow]
_LONG_MS = 60_000


@pytest.fixture
def lab(tmp_path):
    def open_session(rig):
        return CaptureSession(open_rig(rig, tmp_path, object="o01", live=True, seconds=0.5), tmp_path)

    return DatasetLab(tmp_path, open_session)


@pytest.fixture
def window(qtbot, lab):
    made = CaptureWindow(lab, CaptureWindowConfig(lab.root, rig=""), theme.DARK)

    def close(window):
        window.close()
        qtbot.waitUntil(lambda: not window.isVisible(), timeout=_LONG_MS)

    qtbot.addWidget(made, before_close_func=close)
    made.resize(1280, 800)
    made.show()
    return made


def test_rig_calibration_take_redo_report(qtbot, window, lab):
    def wait(until):
        qtbot.waitUntil(until, timeout=_LONG_MS)

    def click(button):
        assert button.isEnabled(), button.text()
        qtbot.mouseClick(button, Qt.LeftButton)

    assert window.page == "rig"
    wait(lambda: bool(window.rig_page.rigs.cards))
    click(window.rig_page.rigs.cards[0].button)
    wait(lambda: window.host.state == "open" and bool(window.rig_page.bandwidth.title.text()))
    wait(lambda: {row.level for row in window.rig_page.state.rows} == {"good"})

    window.actions_by_id["page.calibrate"].trigger()
    assert window.calibrate_page.page.isVisible()

    window.actions_by_id["page.coverage"].trigger()
    click(window.coverage_page.try_button)
    wait(lambda: len(window.desk.now.coverage.cells) == 16)
    matrix = window.coverage_page.matrix
    placed = next(p for p in matrix._layout.placed if p.cell.objects == ("o01",))
    qtbot.mouseClick(matrix, Qt.LeftButton, pos=matrix.box(placed).center().toPoint())
    click(window.coverage_page.take_button)
    assert window.page == "record"
    wait(lambda: all(view.has_image for view in window.record_page.views.views))

    panel = window.record_page.panel
    click(panel.button)
    wait(lambda: window.state == "recording" and window.flow.seconds > 0.4)
    click(panel.mark)
    click(panel.redo)
    wait(lambda: window.state == "recording" and window.flow.request.sequence == "seq_002")
    wait(lambda: window.flow.seconds > 0.4)
    click(panel.button)
    wait(lambda: window.state == "ready" and panel.takes.count() == 2)

    table = read_table(lab.root, "protocol").set_index("sequence")
    assert table.loc["seq_001", "status"] == "rejected"
    assert table.loc["seq_002", "status"] == "recorded"
    assert set(table.loc[["seq_001", "seq_002"], "participant"]) == {placed.cell.participant}
    wait(lambda: window.desk.now.coverage.done == 1)
    with open_capture(lab.root / "sequences" / "seq_001") as capture:
        assert capture.complete
        assert len(capture.marks) == 1
    with open_capture(lab.root / "sequences" / "seq_002") as capture:
        assert len(capture.sync.t_ns) >= 9

    panel.takes.setCurrentRow(0)
    click(panel.report)
    wait(lambda: window.reviews.report.dialog is not None)
    assert "seq_002" in window.reviews.report.dialog.windowTitle()
