"""The error family: what was expected, what was met, and what to do about it."""

from __future__ import annotations


class HoiError(Exception):
    """An error that a user can act on; commands print it in one line and exit with 2.

    Args:
        message: what was expected and what was met.
        hint: what to do now, as an imperative sentence or a command to type.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        # Exceptions rebuild from `args`, which holds the message only: keep the hint across processes.
        return type(self), (self.message, self.hint)


class ConfigError(HoiError):
    """A flag, a configuration key or a name that does not exist or has a bad value."""


class DeviceError(HoiError):
    """A camera or sensor is missing, busy, silent, or delivers something unusable."""


class SequenceError(HoiError):
    """A recording or annotation file is missing, truncated, foreign, or of another version."""


class CalibrationError(HoiError):
    """A calibration is missing or too poor to use."""


class ConsentError(HoiError):
    """A person may not be recorded: consent is missing, expired or too narrow, or an identifier tells who it is."""


class DatasetError(HoiError):
    """A dataset root does not hold what its reader expects."""


class AssetError(HoiError):
    """A licensed or external file (MANO, a mesh) is missing, malformed, or unsafe to read."""


class FitError(HoiError):
    """The hand fit cannot start or has diverged."""


class ExportError(HoiError):
    """A model cannot be exported, or the exported file disagrees with the model."""


class StorageError(HoiError):
    """The disk is full or not writable."""
