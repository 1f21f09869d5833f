"""The settings that one request is served with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


class Remembered:
    """Room for a hash, which is no part of the value and is worked out once."""

    __slots__ = ("_hash",)
    _hash: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Remembered):
    """The LLM settings for one request; also how an application states its own defaults.

    A setting is None when neither the optimizer nor the default says anything. `version` and
    `scope` are None while the default alone speaks. `cohort` is "stable" or "candidate" while a
    rollout divides the units, and None otherwise, or when no unit was named. `shadow` is the config
    that a copy of the request should be sent with, and reported with, beside the answer; None when
    there is nothing to copy.

    It is a value: two of the same settings are equal, and `parameters` must not be changed.
    """

    provider: str = ""
    model: str = ""
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    streaming: bool | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    version: str | None = None
    cohort: str | None = None
    scope: str | None = None
    revision: int = 0  # of the scope that this came from; 0 for the default
    shadow: Config | None = field(default=None, compare=False)

    def __hash__(self) -> int:
        """Of the settings that applications tell apart by; equal configs have equal hashes."""
        try:
            return self._hash
        except AttributeError:
            settings = (getattr(self, name) for name in SETTINGS)
            # not the parameters' values: an application may have put lists there
            found = hash((self.provider, self.model, *settings, *sorted(self.parameters)))
            object.__setattr__(self, "_hash", found)
            return found

    def over(self, default: Config) -> Config:
        """This config with the settings it leaves open taken from *default*."""
        taken: dict[str, Any] = {
            name: getattr(default, name) for name in SETTINGS if getattr(self, name) is None
        }
        return replace(
            self,
            provider=self.provider or default.provider,
            model=self.model or default.model,
            parameters={**default.parameters, **self.parameters},
            **taken,
        )


EMPTY = Config()
SETTINGS = ("temperature", "top_p", "top_k", "max_tokens", "streaming")
