# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a sequence in the annotation window; where somebody else writes it, asks what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hoi_core.errors import HoiError

from . import theme as themes
from .annotate.ask import LockAnswer, ask_about_lock
from .annotate_window import AnnotateWindow
from .banner import show_unexpected
from .qt import application
from .sessions import AnnotationSession


def main(
    root: Path,
    sequence: str,
    mode: themes.Mode = "system",
    *,
    author: str = "",
    read_only: bool = False,
    blind: bool = False,
    grasp_model: Path | None = None,
) -> int:
    """Open a sequence in the annotation window and show it until it is closed.

    Args:
        root: the dataset's root.
        sequence: its name, such as `seq_001`.
        mode: colours.
        author: who works; the name of the account where empty.
        read_only: look, but change nothing; also while somebody else writes.
        blind: start without the stored labels, to measure agreement.
        grasp_model: network that guesses hand and object of a frame.

    Returns:
        Exit code.

    Raises:
        SequenceError: there is no such sequence, or it cannot be read.
    """
    from annotate.document.guess import Guesser
    from annotate.document.lock import LabelsTakenError
    from annotate.session import AnnotationSession as Session

    app = application("hoi-annotate")
    theme = themes.apply(app, themes.remembered_mode(mode))
    session = opened(
        lambda look: Session.open(root, sequence, author, read_only=read_only or look, blind=blind),
        LabelsTakenError,
        lambda error: ask_about_lock(error, can_look=not blind),
    )
    if session is None:
        return 0
    window = AnnotateWindow(session, theme, None if grasp_model is None else Guesser(grasp_model, root))
    show_unexpected(window.banner)
    window.show()
    return int(app.exec_())


def opened(
    open_session: Callable[[bool], AnnotationSession],
    taken: type[HoiError],
    ask: Callable[[HoiError], LockAnswer],
) -> AnnotationSession | None:
    """Open a session, and ask as long as somebody else writes its labels.

    Args:
        open_session: called with whether the labels are only looked at.
        taken: what it raises when somebody else writes.
        ask: what to do then.

    Returns:
        The session; None where the person gave up.
    """
    look = False
    while True:
        try:
            return open_session(look)
        except taken as error:
            answer = ask(error)
            if answer == "close":
                return None
            look = answer == "look"
