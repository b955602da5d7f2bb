"""What can go wrong with the simulated devices, and when: everything a recorder has to survive, with exact truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hoi_core.errors import ConfigError

_MOST_LATENCY_MS = 2000.0


@dataclass(frozen=True)
class Stall:
    """A device stays connected but delivers nothing for a while; its counter and its clock go on."""

    device: str
    """`left`, `right` or `edge128`."""
    at_s: float
    """True time after the start, s."""
    seconds: float
    """How long, s."""


@dataclass(frozen=True)
class Unplug:
    """A device is gone and comes back; its counter and its clock then start anew, as a real camera's do."""

    device: str
    """`left`, `right` or `edge128`."""
    at_s: float
    """True time after the start, s."""
    seconds: float
    """How long, s."""


@dataclass(frozen=True)
class ClockReset:
    """A device's clock starts anew while its counter goes on."""

    device: str
    """`left`, `right` or `edge128`."""
    at_s: float
    """True time after the start, s."""


@dataclass(frozen=True)
class Faults:
    """Everything that goes wrong in a simulated recording, besides random drops; by default nothing does."""

    stalls: tuple[Stall, ...] = ()
    """Times without frames."""
    unplugs: tuple[Unplug, ...] = ()
    """Times without a device."""
    clock_resets: tuple[ClockReset, ...] = ()
    """Clocks that start anew."""
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    """Device -> how much later than mid-exposure all its frames arrive, ms."""
    delay_jitter_ms: float = 0.0
    """Spread of a further delay of every frame, ms; never negative, and frames never overtake each other."""

    def __post_init__(self) -> None:
        # Written so that NaN fails too.
        spans: tuple[Stall | Unplug, ...] = (*self.stalls, *self.unplugs)
        for event in spans:
            if not (event.at_s > 0.0 and 0.0 < event.seconds < 3600.0):
                raise ConfigError(
                    f"a fault needs at_s above 0 and seconds between 0 and 3600, got {event}.", "Correct it."
                )
        for reset in self.clock_resets:
            if not reset.at_s > 0.0:
                raise ConfigError(f"a clock reset needs at_s above 0, got {reset}.", "Correct it.")
        for device, delay in self.latency_ms.items():
            if not (isinstance(delay, int | float) and 0.0 <= delay <= _MOST_LATENCY_MS):
                raise ConfigError(
                    f"latency_ms of {device} needs 0 to {_MOST_LATENCY_MS:g}, got {delay!r}.", "Correct it."
                )
        if not 0.0 <= self.delay_jitter_ms <= _MOST_LATENCY_MS:
            raise ConfigError(
                f"delay_jitter_ms needs 0 to {_MOST_LATENCY_MS:g}, got {self.delay_jitter_ms}.", "Correct it."
            )

    @property
    def last_s(self) -> float:
        """True time at which the last stall or unplug is over, s; 0 without any."""
        spans: tuple[Stall | Unplug, ...] = (*self.stalls, *self.unplugs)
        return max((span.at_s + span.seconds for span in spans), default=0.0)

    def check_devices(self, known: tuple[str, ...]) -> None:
        """Refuse faults of devices that the rig does not have.

        Raises:
            ConfigError: an unknown device.
        """
        events: tuple[Stall | Unplug | ClockReset, ...] = (*self.stalls, *self.unplugs, *self.clock_resets)
        for device in (*(event.device for event in events), *self.latency_ms):
            if device not in known:
                raise ConfigError(f"a fault names device {device!r}; the rig has {', '.join(known)}.", "Correct it.")
