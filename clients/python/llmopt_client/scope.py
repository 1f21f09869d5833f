"""The state of one scope as the config topic tells it, read with suspicion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmopt_client.bucketing import BUCKETS
from llmopt_client.config import Config

ALL = "*"


class InvalidConfig(ValueError):
    """A config record that this client cannot use; the scope keeps what it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeState:
    """One record of the config topic. Configs have no cohort yet."""

    scope: str
    revision: int
    epoch: int
    stable: Config | None
    candidate: Config | None
    salt: str
    share: int  # hundredths of a percent of the units; 0 without a candidate
    shadow: int  # hundredths of a percent that are copied to the candidate
    by_instance: bool  # instances are divided instead of units
    rollout_id: str | None
    updated_at: int  # ms since the epoch
    reason: str
    raw: Mapping[str, Any]  # as it came, for the last-known-good file

    def follows(self, other: ScopeState) -> bool:
        """Whether this may replace *other*: a later revision by an owner that is not fenced."""
        return self.revision > other.revision and self.epoch >= other.epoch


def parse(value: bytes | Mapping[str, Any]) -> ScopeState:
    """Read a record of the config topic.

    Args:
        value: JSON in UTF-8, or what it decodes to. Unknown fields are ignored.

    Returns:
        The state of its scope.

    Raises:
        InvalidConfig: It is not one; the message names the field.
    """
    try:
        raw = json.loads(value) if isinstance(value, bytes) else dict(value)
    except ValueError as error:
        raise InvalidConfig(f"not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise InvalidConfig("not a JSON object")
    scope = _field(raw, "scope", str)
    revision = _field(raw, "revision", int)
    candidate = _config(raw.get("candidate"), scope, revision)
    split = raw.get("split")
    if split is not None and not isinstance(split, dict):
        raise InvalidConfig("split is not an object")
    share = _field(split, "share", int) if split and candidate else 0
    shadow = _field(split, "shadow", int, 0) if split and candidate else 0
    for name, part in (("share", share), ("shadow", shadow)):
        if not 0 <= part <= BUCKETS:
            raise InvalidConfig(f"split.{name} is {part}, not 0 to {BUCKETS}")
    by = _field(split, "by", str, "unit") if split else "unit"
    if by not in ("unit", "instance"):
        raise InvalidConfig(f"split.by is {by!r}, neither unit nor instance")
    return ScopeState(
        scope=scope,
        revision=revision,
        epoch=_field(raw, "epoch", int),
        stable=_config(raw.get("stable"), scope, revision),
        candidate=candidate if split else None,
        salt=_field(split, "salt", str) if split else "",
        share=share,
        shadow=shadow,
        by_instance=by == "instance",
        rollout_id=_field(split, "rollout_id", str) if split else None,
        updated_at=_field(raw, "updated_at", int, 0),
        reason=_field(raw, "reason", str, ""),
        raw=raw,
    )


def _config(raw: object, scope: str, revision: int) -> Config | None:
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise InvalidConfig("a config is not an object")
    parameters = _field(raw, "parameters", dict, {})
    if not all(isinstance(v, str) for v in parameters.values()):
        raise InvalidConfig("parameters are not all strings")
    return Config(
        provider=_field(raw, "provider", str),
        model=_field(raw, "model", str),
        temperature=_optional(raw, "temperature", float),
        top_p=_optional(raw, "top_p", float),
        top_k=_optional(raw, "top_k", int),
        max_tokens=_optional(raw, "max_tokens", int),
        streaming=_optional(raw, "streaming", bool),
        parameters=dict(parameters),
        version=_field(raw, "version", str),
        scope=scope,
        revision=revision,
    )


def _field(raw: Mapping[str, Any], name: str, kind: type, default: Any = None) -> Any:
    value = raw.get(name, default)
    if value is None and default is not None:
        return default
    if kind is float and type(value) is int:
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InvalidConfig(f"{name} is {value!r}, not of type {kind.__name__}")
    return value


def _optional(raw: Mapping[str, Any], name: str, kind: type) -> Any:
    return None if raw.get(name) is None else _field(raw, name, kind)
