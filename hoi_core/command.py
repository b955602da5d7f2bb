"""What every command does: flags to a frozen dataclass, errors to one line, exit codes, figures for machines."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import tyro

from hoi_core import log
from hoi_core.errors import HoiError, StorageError
from hoi_core.plain import plain
from hoi_core.whole_file import write_whole

C = TypeVar("C")


def run(
    config: type[C],
    job: Callable[[C], None],
    argv: Sequence[str] | None,
    *,
    prog: str,
    doc: str | None,
    default: C | None = None,
) -> int:
    """Parse `argv` into `config`, call `job`, and turn a `HoiError` into one line and exit code 2.

    Args:
        config: frozen dataclass whose attribute docstrings are the help texts.
        job: the command itself.
        argv: arguments without the program name; None for the process's own.
        prog: name of the command in help and errors.
        doc: text of `--help`, the module's docstring.
        default: instance whose values replace the defaults (from `--config`).

    Returns:
        0, or 2 after an error that the user can act on, or 130 after Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        parsed = tyro.cli(
            config,
            prog=prog,
            description=doc,
            args=arguments,
            default=tyro.MISSING_NONPROP if default is None else default,
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
        )
        log.setup(verbose=bool(getattr(parsed, "verbose", False)))
        if (mano := getattr(parsed, "mano", None)) is not None:
            os.environ["HOI_MANO"] = str(mano)  # also for the worker processes of this command
        job(parsed)
    except HoiError as error:
        log.error(prog, error)
        if "-v" in arguments or "--verbose" in arguments:
            log.console_err().print_exception()
        return 2
    except BrokenPipeError:  # whoever read our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        log.error(prog, _storage_error(error))
        if "-v" in arguments or "--verbose" in arguments:
            log.console_err().print_exception()
        return 2
    except KeyboardInterrupt:
        log.console_err().print(f"{prog}: stopped by Ctrl-C.", style="yellow")
        return 130
    return 0


def _storage_error(error: OSError) -> StorageError:
    """What the system refused, in words; libraries turn most of these into errors of their own."""
    where = error.filename or "a file"
    reason = error.strerror or str(error)
    return StorageError(f"cannot use {where}: {reason}.", "Check the path, its permissions and the space on the disk.")


def with_data(command: str, data: Path | None) -> str:
    """A command to type next, for the dataset that `--data` named."""
    return f"{command} --data {shlex.quote(str(data))}" if data else command


def write_json(path: Path | None, figures: Mapping[str, object] | Sequence[Mapping[str, object]]) -> None:
    """Write a command's figures for machines, where `--json FILE` asked for it; what is not finite becomes null.

    Raises:
        StorageError: the file cannot be written.
    """
    if path is None:
        return
    try:
        write_whole(path, json.dumps(plain(figures), indent=2) + "\n")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}.", "Name another file with --json.") from error
