import io

import pytest
from rich.console import Console

from hoi_core import _lines, log
from hoi_core.errors import ConfigError


def test_without_a_terminal_progress_is_plain_lines(monkeypatch):
    monkeypatch.setattr(_lines, "LINE_EVERY_S", 0.0)
    out = io.StringIO()
    with _lines.Lines(console=Console(file=out, width=80), disable=True) as bar:
        task = bar.add_task("training", total=3)
        bar.advance(task)
        bar.update(task, completed=3)
    assert out.getvalue().splitlines() == ["training: 1 of 3", "training: 3 of 3"]


def test_lines_say_how_long_it_will_take(monkeypatch):
    monkeypatch.setattr(_lines, "LINE_EVERY_S", 0.0)
    out = io.StringIO()
    now = [100.0]
    with _lines.Lines(console=Console(file=out, width=80), disable=True, get_time=lambda: now[0]) as bar:
        task = bar.add_task("training", total=90)
        for _ in range(3):
            now[0] += 10.0
            bar.advance(task, 10)
    assert out.getvalue().splitlines()[-1] == "training: 30 of 90, 0:01:00 left"


def test_lines_come_now_and_then_only():
    out = io.StringIO()
    with _lines.Lines(console=Console(file=out, width=80), disable=True) as bar:
        task = bar.add_task("training", total=100)
        for _ in range(100):
            bar.advance(task)
    assert out.getvalue() == ""


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]):
    log.console_err.cache_clear()
    log.error("hoi-x", ConfigError("expected a, met " + "b" * 300 + ".", "Do c."))
    log.console_err.cache_clear()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("hoi-x: expected a, met b")
    assert lines[0].endswith("Do c.")


def test_an_error_of_several_lines_becomes_one(capsys: pytest.CaptureFixture[str]):
    log.console_err.cache_clear()
    log.error("hoi-x", ConfigError("expected a,\nmet b.", "Do\nc."))
    log.console_err.cache_clear()
    assert capsys.readouterr().err == "hoi-x: expected a, met b. Do c.\n"


@pytest.mark.parametrize("length", [10, 300])
def test_the_command_to_type_next_is_never_broken_in_two(monkeypatch, length):
    out = io.StringIO()
    monkeypatch.setattr(log, "console", lambda: Console(file=out, width=80))
    command = f"hoi-annotate seq_001 --data {'d' * length}"
    log.panel("recorded", ["a line"], command)
    assert sum(f"Next: {command}" in line for line in out.getvalue().splitlines()) == 1
