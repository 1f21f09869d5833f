"""Who answered a request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Served:
    """The config that served: its names, and the cohort that the request was in."""

    provider: str
    model: str
    version: str | None = None
    cohort: str | None = None

    @property
    def name(self) -> str:
        """`provider/model`."""
        return f"{self.provider}/{self.model}"
