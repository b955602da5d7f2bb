"""The recording window over a session in memory."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from capture.annotatable import Reading, Verdict
from capture.hand_watch import Sight, sight
from gui import capture_window, theme
from gui.lab import Take
from gui.qt import Qt, QtWidgets
from hoi_core.errors import ConfigError, ConsentError, DeviceError, StorageError

pytestmark = pytest.mark.gui
CONFIG = capture_window.CaptureWindowConfig(Path("data"))


@pytest.fixture
def make(qtbot, lab):
    def made(config=CONFIG):
        window = capture_window.CaptureWindow(lab, config, theme.DARK)
        qtbot.addWidget(window, before_close_func=lambda w: _close(qtbot, w))
        window.show()
        return window

    return made


@pytest.fixture
def window(qtbot, make):
    made = make()
    qtbot.waitUntil(lambda: made.state == "ready" and bool(made.desk.now.takes))
    return made


def _close(qtbot, window):
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible())


def _press(qtbot, window, name, state):
    window.actions_by_id[name].trigger()
    qtbot.waitUntil(lambda: window.state == state)


def test_opens_with_what_the_protocol_proposes_and_live_pictures(qtbot, window, capture_session):
    assert capture_session.calls == ["start"]
    request = window.record_page.panel.form.request()
    assert (request.participant, request.objects, request.scenario) == ("p01", ("o02",), "office")
    header = window.record_page.header
    assert header.participant.value.text() == "p01"
    assert header.progress_text.text() == "1 of 3"
    assert window.record_page.panel.name.text() == "seq_002"
    qtbot.waitUntil(lambda: all(view.has_image for view in window.record_page.views.views))
    qtbot.waitUntil(lambda: len(window.record_page.health_bar.cells) == 7)
    assert window.record_page.health_bar.cells[0].value.text() == "30.0 fps"
    assert "good" in window.record_page.health_bar.cells[0].word.text()


def test_flags_count_more_than_the_protocol(qtbot, make, lab):
    config = replace(CONFIG, participant="p07", objects=("o01", "o07"), sequence="seq_070", seconds=9.0)
    window = make(config)
    qtbot.waitUntil(lambda: window.state == "ready" and bool(window.desk.now.takes))
    request = window.record_page.panel.form.request()
    assert (request.participant, request.objects, request.sequence) == ("p07", ("o01", "o07"), "seq_070")
    assert request.seconds == 9.0


def test_space_records_and_stops_and_the_next_take_is_proposed(qtbot, window, capture_session, lab):
    _press(qtbot, window, "record.toggle", "recording")
    assert capture_session.request.sequence == "seq_002"
    assert capture_session.request.objects == ("o02",)
    assert not window.record_page.panel.form.isEnabled()
    lab.cells[1].status = "recorded"
    _press(qtbot, window, "record.toggle", "ready")
    assert capture_session.calls == ["start", "record", "save"]
    assert "seq_002 is saved" in window.banner.title.text()
    qtbot.waitUntil(lambda: window.record_page.panel.form.participant.text() == "p02")
    assert window.record_page.panel.name.text() == "seq_003"


def test_marks_are_stored_while_recording_only(qtbot, window, capture_session):
    assert not window.actions_by_id["record.mark"].isEnabled()
    _press(qtbot, window, "record.toggle", "recording")
    window.actions_by_id["record.mark"].trigger()
    window.actions_by_id["record.mark"].trigger()
    assert capture_session.calls.count("mark") == 2
    assert window.record_page.panel.sub.text() == "2 marks"


def test_redo_rejects_the_take_and_records_the_same_cell_again(qtbot, window, capture_session, lab):
    _press(qtbot, window, "record.toggle", "recording")
    _press(qtbot, window, "record.toggle", "ready")
    window.actions_by_id["record.redo"].trigger()
    qtbot.waitUntil(lambda: "reject seq_002" in lab.calls and window.state == "recording")
    assert capture_session.request.sequence == "seq_003"
    assert capture_session.request.objects == ("o02",)


def test_redo_after_a_restart_is_of_the_newest_take_that_counts(qtbot, make, capture_session, lab):
    newer = Take("seq_002", "p01", ("o05",), "kitchen", "lift", 6.0, 0, "recorded")
    lab.takes = (replace(newer, sequence="seq_003", status="rejected"), newer, *lab.takes)
    capture_session.taken |= {"seq_002", "seq_003"}
    window = make()
    qtbot.waitUntil(window.actions_by_id["record.redo"].isEnabled)
    assert window.record_page.panel.redo.isEnabled()
    window.actions_by_id["record.redo"].trigger()
    qtbot.waitUntil(lambda: "reject seq_002" in lab.calls and window.state == "recording")
    assert capture_session.request.sequence == "seq_004"
    assert capture_session.request.objects == ("o05",)


def test_without_takes_there_is_nothing_to_redo_to_report_or_to_replay(qtbot, make, lab):
    lab.takes = ()
    window = make()
    qtbot.waitUntil(lambda: window.state == "ready" and bool(window.desk.now.coverage.cells))
    panel = window.record_page.panel
    assert not window.actions_by_id["record.redo"].isEnabled()
    assert not any(button.isEnabled() for button in (panel.redo, panel.report, panel.replay))


def test_redo_in_the_middle_of_a_take_saves_it_first(qtbot, window, capture_session, lab):
    _press(qtbot, window, "record.toggle", "recording")
    window.actions_by_id["record.redo"].trigger()
    qtbot.waitUntil(lambda: lab.calls == ["reject seq_002"])
    assert capture_session.calls == ["start", "record", "save", "record"]
    assert capture_session.request.sequence == "seq_003"


def test_any_take_of_the_list_can_be_redone(qtbot, window, capture_session, lab):
    window.record_page.panel.takes.asked.emit("redo", lab.takes[0])
    qtbot.waitUntil(lambda: "reject seq_001" in lab.calls)
    assert capture_session.request.objects == ("o01",)
    assert capture_session.request.sequence == "seq_002"


def test_a_take_that_did_not_start_is_no_take_to_redo(qtbot, make, lab):
    lab.takes = ()
    window = make()
    qtbot.waitUntil(lambda: window.state == "ready")
    window.record_page.panel.form.sequence.setText("seq_001")
    window.toggle_recording()
    qtbot.waitUntil(window.banner.isVisible)
    window.director.redo()
    assert lab.calls == []
    assert not window.actions_by_id["record.redo"].isEnabled()


def test_a_participant_without_consent_is_not_recorded(qtbot, window, capture_session, lab):
    lab.refused["p01"] = ConsentError("the consent of p01 ended on 2020-01-01.", "Have the form signed.")
    window.toggle_recording()
    qtbot.waitUntil(window.banner.isVisible)
    assert window.state == "ready"
    assert window.banner.title.text() == "The consent of p01 ended on 2020-01-01."
    assert "record" not in capture_session.calls


@pytest.mark.parametrize(
    ("paired", "words", "kind"),
    [
        (180, (), "good"),
        (150, (), "warn"),
        (180, (Reading("blur", "bad", 9.0, "the hand blurs: add light"),), "warn"),
    ],
)
def test_only_a_take_without_faults_is_good_news(qtbot, window, capture_session, monkeypatch, paired, words, kind):
    capture_session.judged = Verdict(take=words)
    report = capture_session.stop_recording
    shown = []
    monkeypatch.setattr(
        capture_session, "stop_recording", lambda: SimpleNamespace(**vars(report()) | {"paired": paired})
    )
    window.director.told.connect(lambda kind, *_: shown.append(kind))
    _press(qtbot, window, "record.toggle", "recording")
    _press(qtbot, window, "record.toggle", "ready")
    assert shown == [kind]


def test_keys_act_but_not_while_typing(qtbot, window):
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    window.director.edit()
    line = window.record_page.panel.form.action
    line.setFocus()
    line.clear()
    qtbot.keyClicks(line, "pick up d?m r4")
    assert line.text() == "pick up d?m r4"
    assert window.state == "ready"
    qtbot.keyClick(line, Qt.Key_Return)
    qtbot.keyClick(window, Qt.Key_4)
    assert window.record_page.views.large[0].title == "Left depth"
    qtbot.keyClick(window, Qt.Key_Space)
    qtbot.waitUntil(lambda: window.state == "recording")


def test_the_question_mark_opens_the_list_of_keys(qtbot, window):
    window.actions_by_id["help.keys"].trigger()
    sheets = window.findChildren(QtWidgets.QDialog)
    assert [sheet.windowTitle() for sheet in sheets] == ["Keyboard shortcuts"]
    text = sheets[0].findChild(QtWidgets.QTextBrowser).toPlainText()
    assert "Space" in text
    assert "Start recording, or stop and save" in text
    sheets[0].close()


def test_a_recording_that_ends_by_itself_is_saved(qtbot, window, capture_session):
    _press(qtbot, window, "record.toggle", "recording")
    capture_session.recording = False
    qtbot.waitUntil(lambda: window.state == "ready")
    assert capture_session.calls[-1] == "save"


def test_a_countdown_can_be_cancelled_and_runs_out(qtbot, window, capture_session):
    window.record_page.panel.form.countdown.setValue(10)
    _press(qtbot, window, "record.toggle", "countdown")
    _press(qtbot, window, "record.toggle", "ready")
    _press(qtbot, window, "record.toggle", "countdown")
    window.flow._starts_at -= 10
    qtbot.waitUntil(lambda: window.state == "recording")
    assert capture_session.calls == ["start", "record"]


def test_a_taken_name_shows_an_error_and_stays_ready(qtbot, window):
    window.record_page.panel.form.sequence.setText("seq_001")
    window.toggle_recording()
    qtbot.waitUntil(window.banner.isVisible)
    assert window.state == "ready"
    assert "exists" in window.banner.title.text()
    assert window.banner.hint.text() == "Choose another name."


def test_a_background_error_becomes_a_banner_with_details(qtbot, window, capture_session):
    capture_session.error = StorageError("the disk is full.", "Free some space.")
    qtbot.waitUntil(window.banner.isVisible)
    assert window.banner.title.text() == "The disk is full."
    assert "StorageError" in window.banner.details
    assert "Python" in window.banner.details


def test_a_lost_camera_is_announced_and_recording_goes_on(qtbot, window, capture_session):
    _press(qtbot, window, "record.toggle", "recording")
    notice = window.record_page.lost
    assert not notice.isVisible()
    capture_session.device_states["right"] = "lost"
    qtbot.waitUntil(notice.isVisible)
    assert "Right (00right) is lost" in notice.title.text()
    assert ("right", "bad", "away") in window.record_page.verdict.pills()
    assert "go on" in notice.hint.text()
    assert window.state == "recording"
    capture_session.device_states["right"] = "ok"
    qtbot.waitUntil(lambda: not notice.isVisible())
    assert ("right", "bad", "away") not in window.record_page.verdict.pills()


def test_closing_while_recording_completes_the_file_first(qtbot, window, capture_session):
    _press(qtbot, window, "record.toggle", "recording")
    window.close()
    assert window.isVisible()
    qtbot.waitUntil(lambda: not window.isVisible())
    assert capture_session.calls == ["start", "record", "stop while recording"]


def test_no_camera_leads_to_the_rigs_and_another_try(qtbot, make, capture_session):
    capture_session.fail_open = True
    window = make()
    qtbot.waitUntil(lambda: window.host.state == "failed" and len(window.rig_page.rigs.cards) == 2)
    assert window.banner.hint.text() == "Plug one in."
    assert "Rig page" in window.record_page.views.large[0].empty_text
    capture_session.fail_open = False
    qtbot.waitUntil(lambda: not window.host.busy)
    window.show_page("rig")
    qtbot.mouseClick(window.rig_page.rigs.cards[0].button, Qt.LeftButton)
    qtbot.waitUntil(lambda: window.state == "ready")


def test_closes_when_there_is_no_camera_and_while_opening(qtbot, make, capture_session):
    capture_session.fail_open = True
    for wait_for in ("failed", "opening"):
        window = make()
        qtbot.waitUntil(lambda w=window, state=wait_for: w.host.state == state)
        _close(qtbot, window)


def test_rigs_are_opened_and_closed_without_a_restart(qtbot, window, lab, capture_session):
    cards = window.rig_page.rigs.cards
    assert [card.button.text() for card in cards] == ["Close", "Open"]
    qtbot.mouseClick(cards[1].button, Qt.LeftButton)
    qtbot.waitUntil(lambda: window.state == "ready" and lab.opened == ["simulated", "bench"])
    assert capture_session.calls == ["start", "stop", "start"]
    assert "bench" in window.where.text()
    qtbot.waitUntil(lambda: not window.host.busy)
    window.close_rig()
    qtbot.waitUntil(lambda: window.host.state == "closed" and not window.host.busy)
    assert window.state == "idle"
    assert not window.actions_by_id["record.toggle"].isEnabled()


def test_the_rig_stays_open_during_a_take(qtbot, window, lab):
    _press(qtbot, window, "record.toggle", "recording")
    window.open_rig("bench")
    assert lab.opened == ["simulated"]
    assert "Stop it first" in window.banner.hint.text()


def test_devices_follow_plug_and_unplug(qtbot, window, lab):
    slow = SimpleNamespace(
        product="D435", serial="123", firmware="5.15", usb="2.1", usb_ok=False, advice="Use a blue USB 3 port."
    )
    lab.on_change([slow])
    qtbot.waitUntil(lambda: len(window.rig_page.plugged.rows) == 1)
    assert window.rig_page.plugged.rows[0].level == "warn"
    assert window.rig_page.usb.hint.text() == "Use a blue USB 3 port."
    lab.problem = ""
    lab.on_change([])
    qtbot.waitUntil(lambda: window.rig_page.plugged.rows == ())
    qtbot.waitUntil(lambda: not window.rig_page.rigs.cards[1].rig.problem)
    qtbot.waitUntil(lambda: window.rig_page.bandwidth.title.text() == "Bandwidth: 6 streams fit.")


def test_modes_that_do_not_fit_are_said_with_the_reason(qtbot, window, lab, monkeypatch, capture_session):
    def refuse(_streams):
        raise ConfigError("two cameras need 400 MB/s.", "Use two controllers.")

    monkeypatch.setattr(lab, "bandwidth", refuse)
    window.devices.judge_bandwidth(capture_session)
    qtbot.waitUntil(lambda: window.rig_page.bandwidth.title.text() == "Two cameras need 400 MB/s.")
    assert window.rig_page.bandwidth.property("level") == "bad"


def test_the_mode_swaps_the_large_views_and_a_caption_changes_one(qtbot, window):
    views = window.record_page.views
    window.actions_by_id["view.depth"].trigger()
    assert [view.title for view in views.views[:4]] == ["Left depth", "Right depth", "Left colour", "Right colour"]
    window.actions_by_id["view.edge"].trigger()
    assert [view.title for view in views.large] == ["Left edges", "Right edges"]
    assert window.actions_by_id["view.edge"].isChecked()
    assert not window.actions_by_id["view.depth"].isChecked()
    views.set_place(1, "gray")
    assert [view.title for view in views.large] == ["Left edges", "Right gray"]
    qtbot.waitUntil(lambda: views.large[1].has_image)
    assert views.modes("left") == ("color", "gray", "edge", "depth")


def test_a_cell_of_the_matrix_becomes_the_next_take(qtbot, window, lab):
    window.show_page("coverage")
    matrix = window.coverage_page.matrix
    placed = next(p for p in matrix._layout.placed if p.cell.participant == "p02")
    where = matrix.box(placed).center().toPoint()
    qtbot.mouseClick(matrix, Qt.LeftButton, pos=where)
    assert window.coverage_page.values["Participant"].text() == "p02"
    qtbot.waitUntil(lambda: window.coverage_page.values["Consent"].text() == "Consent given")
    window.coverage_page.take_button.click()
    assert window.page == "record"
    assert window.record_page.panel.form.participant.text() == "p02"


def test_skipping_goes_round_the_open_cells(window):
    request = window.record_page.panel.form.request
    assert request().objects == ("o02",)
    window.director.propose_next()
    window.director.skip()
    assert request().participant == "p01"
    assert window.desk.after(replace(request(), participant="p99")).participant == "p01"


def test_a_dataset_without_a_protocol_offers_to_write_one(qtbot, make, lab):
    lab.cells = []
    window = make()
    qtbot.waitUntil(lambda: window.state == "ready")
    qtbot.waitUntil(lambda: window.record_page.panel.form.request().participant == "p01")
    window.show_page("coverage")
    assert window.coverage_page.plan_button.isVisible()
    window.coverage_page.plan_button.click()
    qtbot.waitUntil(lambda: window.record_page.panel.form.participant.text() == "p09")
    assert "plan household" in lab.calls


def test_colours_change_at_run_time_and_are_remembered(qtbot, window):
    before = window.grab().toImage().pixelColor(300, 300).lightness()
    window.actions_by_id["view.theme"].trigger()
    window.show_page("coverage")
    after = window.grab().toImage().pixelColor(300, 300).lightness()
    assert after - before > 100
    assert theme.remembered_mode("system") == "light"
    assert theme.remembered_mode("dark") == "dark"


def test_the_size_of_the_window_is_remembered(qtbot, make):
    for size in ((1400, 850), (1311, 777)):
        window = make()
        assert (window.width(), window.height()) == size
        window.resize(1311, 777)
        qtbot.waitUntil(lambda w=window: w.state == "ready")
        _close(qtbot, window)


def test_fits_a_small_screen(qtbot, window):
    window.resize(1280, 800)
    for page in ("rig", "record", "coverage"):
        window.show_page(page)
        qtbot.waitUntil(lambda: (window.width(), window.height()) == (1280, 800))
        assert window.minimumSizeHint().width() <= 1280
        assert window.minimumSizeHint().height() <= 800


def test_a_picture_of_a_silent_camera_is_dimmed(qtbot, window, capture_session):
    view = window.record_page.views.large[1]
    qtbot.waitUntil(lambda: view.has_image and view.level == "good")
    bright = view.grab().toImage().pixelColor(60, 100).lightness()
    capture_session.figures.fps["right/color"] = 0.0
    qtbot.waitUntil(lambda: view.stale)
    assert view.grab().toImage().pixelColor(60, 100).lightness() < 0.5 * bright
    assert not window.record_page.views.large[0].stale


def test_a_lost_camera_is_said_once(qtbot, window, capture_session):
    capture_session.device_states["left"] = "lost"
    capture_session.error = DeviceError("camera left was unplugged.", "Plug it in and record again.")
    qtbot.waitUntil(window.record_page.lost.isVisible)
    assert not window.banner.isVisible()


def test_a_rig_of_one_camera_shows_four_of_its_faces(window, capture_session):
    views = window.record_page.views
    views.set_streams([info for info in capture_session.streams if not info.name.startswith("right")])
    assert [view.title for view in views.views[:4]] == ["Left colour", "Left depth", "Left gray", "Left edges"]
    views.set_place(3, "depth", "left")
    assert views.views[3].title == "Left depth"


def test_the_large_pictures_say_whether_a_network_sees_a_hand(qtbot, window, capture_session):
    large = window.record_page.views.large
    assert [view.mark for view in large] == [None, None]
    nobody = Sight("unknown", float("nan"), "hand not looked for", "Name a network.")
    capture_session.sights = {"left": sight(0.82), "right": nobody}
    qtbot.waitUntil(lambda: large[0].mark is not None)
    assert [view.mark for view in large] == [("good", "hand 82 %"), ("idle", "hand not looked for")]
    assert large[1].toolTip() == "Name a network."
    before = large[0].grab().toImage()
    capture_session.sights = {"left": sight(0.1)}
    qtbot.waitUntil(lambda: large[0].mark == ("warn", "no hand"))
    assert large[0].grab().toImage() != before
