"""A file is there in full or not at all."""

import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from hoi_core.whole_file import whole_file, write_whole

KILLED = """
import sys
from pathlib import Path
from hoi_core.whole_file import whole_file
with whole_file(Path(sys.argv[1])) as draft:
    draft.write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("durable", [True, False])
def test_text_and_bytes_arrive_in_a_folder_that_was_missing(tmp_path, durable):
    path = tmp_path / "a" / "b.txt"
    write_whole(path, "grün", durable=durable)
    assert path.read_bytes() == "grün".encode()
    write_whole(path, b"\x00\xff", durable=durable)
    assert path.read_bytes() == b"\x00\xff"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with suppress(ValueError), whole_file(path) as draft:
        draft.write_text("half")
        int("no number")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_takes_no_more_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="large"):
            write_whole(path, "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_writer_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout.readline() == "writing\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert path.read_text() == "old"
    write_whole(path, "new")
    assert path.read_text() == "new"


def test_a_reader_never_sees_a_part(tmp_path):
    path = tmp_path / "numbers.txt"
    contents = [str(digit) * 200_000 for digit in range(3)]
    write_whole(path, contents[0])
    seen, stop = set(), threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=look)
    reader.start()
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        for content in contents:
            write_whole(path, content, durable=False)
    stop.set()
    reader.join()
    assert seen <= set(contents)
    assert len(seen) > 1
