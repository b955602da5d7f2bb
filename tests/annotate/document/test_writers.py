"""Two processes and one sequence; and a process that is killed while it writes."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from annotate.document.document import JOURNAL, Document
from annotate.document.lock import LOCK, WriteLock
from hoi_core.errors import SequenceError
from hoi_core.sequence import Binding
from hoi_core.types import Revision

HOLD = """
import sys
from pathlib import Path
from annotate.document.lock import WriteLock
with WriteLock(Path(sys.argv[1]), "maria"):
    print("held", flush=True)
    sys.stdin.read()
"""
WORK = """
import sys
from pathlib import Path
import numpy as np
from annotate.document import edits
from annotate.document.document import Document
from hoi_core.sequence import Binding
from hoi_core.types import Revision
n = 40
blank = Revision(np.arange(n), {}, {}, {}, {"left": np.arange(n)}, keypoint_source="clicked")
document = Document(Path(sys.argv[1]), Binding("a" * 64), blank)
for step in range(10**6):
    changed = edits.set_keypoint(document.revision, "right", (step % n, "left", step % 21), (float(step), 0.5))
    document.change(f"step {step}", changed)
    if step % 50 == 49:
        document.save("maria")
    print(step, flush=True)
"""


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from annotate.document import edits
from annotate.document.document import JOURNAL, Document
from hoi_core.errors import StorageError
from hoi_core.sequence import Binding
from hoi_core.types import Revision
n, folder = 40, Path(sys.argv[1])
blank = Revision(np.arange(n), {}, {}, {}, {"left": np.arange(n)}, keypoint_source="clicked")
document = Document(folder, Binding("a" * 64), blank)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
done = 0
try:
    while True:
        changed = edits.set_keypoint(document.revision, "right", (done % n, "left", done % 21), (float(done), 0.5))
        document.change(f"step {done}", changed)
        done += 1
except StorageError as error:
    try:
        document.save("maria")
    except StorageError:
        pass
    print(done, float(np.nanmax(document.revision.keypoints["right"].by_view["left"][..., 0])), error, flush=True)
"""


def start(program: str, folder: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_second_writer_is_told_who_writes(tmp_path):
    other = start(HOLD, tmp_path)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(SequenceError, match=rf"maria \(process {other.pid} on .*since ") as refused:
            WriteLock(tmp_path, "jonas")
        assert "--read-only" in refused.value.hint
        other.communicate("")
    finally:
        other.kill()
        other.wait()
    with WriteLock(tmp_path, "jonas"):
        assert json.loads((tmp_path / LOCK).read_text())["who"] == "jonas"
    assert (tmp_path / LOCK).read_text() == ""


def test_since_when_somebody_writes_is_told_by_the_clock_on_the_wall(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        with WriteLock(tmp_path, "maria"):
            about = json.loads((tmp_path / LOCK).read_text())
            (tmp_path / LOCK).write_text(json.dumps(about | {"since": "2026-03-01T22:05:09+00:00"}))
            with pytest.raises(SequenceError, match=r"since 2026-03-02 07:05\)"):
                WriteLock(tmp_path, "jonas")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_killed_writer_holds_nothing(tmp_path):
    other = start(HOLD, tmp_path)
    assert other.stdout.readline() == "held\n"
    other.send_signal(signal.SIGKILL)
    other.wait()
    with WriteLock(tmp_path, "jonas"):
        pass


def test_a_lock_is_given_back_although_a_child_lives_on(tmp_path):
    lock = WriteLock(tmp_path, "maria")
    child = os.fork()
    if child == 0:
        time.sleep(30)
        os._exit(0)
    lock.release()
    try:
        with WriteLock(tmp_path, "jonas"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("seed", range(4))
def test_a_real_kill_loses_at_most_the_last_step(tmp_path, seed):
    """Every step that the process reported is there; at most one more is, which it had no time to report."""
    worker = start(WORK, tmp_path)
    reported = -1
    random.seed(seed)
    enough = random.randint(20, 130)
    while reported < enough:
        reported = int(worker.stdout.readline())
    time.sleep(random.random() * 0.02)
    worker.send_signal(signal.SIGKILL)
    for line in worker.stdout:
        reported = int(line)
    worker.wait()
    n = 40
    blank = Revision(np.arange(n), {}, {}, {}, {"left": np.arange(n)}, keypoint_source="clicked")
    document = Document(tmp_path, Binding("a" * 64), blank)
    points = document.revision.keypoints["right"].by_view["left"][..., 0]
    assert reported <= np.nanmax(points) <= reported + 1
    steps = 0
    while document.undo_step is not None:
        document.undo()
        steps += 1
    assert steps == np.nanmax(points) + 1
    assert not document.revision.keypoints
    document.close()
    assert (tmp_path / JOURNAL).exists()


def test_a_disk_that_is_full_stops_the_work_and_loses_none(tmp_path):
    """The system itself refuses to let files grow: the journal, and then the revision."""
    done, last, *message = start(FULL, tmp_path).communicate()[0].split(maxsplit=2)
    assert "no space left" in message[0]
    assert int(done) > 20
    assert float(last) == int(done) - 1
    n = 40
    blank = Revision(np.arange(n), {}, {}, {}, {"left": np.arange(n)}, keypoint_source="clicked")
    document = Document(tmp_path, Binding("a" * 64), blank)
    assert not document.warnings
    assert np.nanmax(document.revision.keypoints["right"].by_view["left"][..., 0]) == int(done) - 1
    document.close()
