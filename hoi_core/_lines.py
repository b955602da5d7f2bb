"""Progress where there is no terminal: a plain line now and then instead of a bar."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from rich.progress import Progress, TaskID

LINE_EVERY_S = 10.0


class Lines(Progress):
    """Prints `what: done of total, time left` when a count changes, at most every `LINE_EVERY_S` seconds."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._last = time.monotonic()

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Change a task, as `rich.progress.Progress.update` does."""
        super().update(task_id, **changes)
        self._print(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Advance a task's count, as `rich.progress.Progress.advance` does."""
        super().advance(task_id, advance)
        self._print(task_id)

    def _print(self, task_id: TaskID) -> None:
        if time.monotonic() - self._last < LINE_EVERY_S:
            return
        self._last = time.monotonic()
        task = self._tasks[task_id]
        total = "" if task.total is None else f" of {task.total:.0f}"
        left = f", {timedelta(seconds=round(task.time_remaining))} left" if task.time_remaining else ""
        self.console.print(f"{task.description}: {task.completed:.0f}{total}{left}")
