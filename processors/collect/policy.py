"""How `collect` treats time, repetition and variety."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CollectPolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectPolicy:
    """Settings of `collect`; times in ms.

    Raises:
        ValueError: a setting is out of range.
    """

    destinations: int | None = None  # partitions of the partials' topic; None: as many as sources
    grace_ms: int = 600_000  # how far an event may be behind the newest one before it is late
    delay_ms: int = 1_000  # the watermark's distance from the newest event
    horizon: int = 65_536  # offsets of one generation; a repetition is found for one to two
    idle_ms: int = 5_000  # silence after which a source holds no window open
    heartbeat_ms: int = 1_000  # between two words of an idle source
    max_keys: int = 50_000  # distinct keys that one batch may bring
    singles_from: int = 256  # events from which on they may be handed on without a sum
    singles_below: int = 16  # events for each key, from which on they are summed up

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in ("grace_ms", "delay_ms", "singles_from", "singles_below"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: set it to 0 or more")
        for name in ("horizon", "idle_ms", "heartbeat_ms", "max_keys"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: set it to 1 or more")
        if self.destinations is not None and self.destinations < 1:
            raise ValueError(
                f"destinations is {self.destinations}: set it to 1 or more, or leave it"
            )
