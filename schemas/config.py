"""What an application reads: the configuration of a scope, whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmConfig:
    """One immutable configuration. A None setting leaves the application's own value."""

    version: str  # content-addressed, see processors.actuate.version
    provider: str
    model: str
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    streaming: bool | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How a rollout divides the units: candidate when `bucket_of(unit, salt) < share`.

    By "instance" it is the application's instance that is put into a bucket, and all of its
    requests go one way. Units below `shadow` are answered by the stable config, and the
    application is asked to send the candidate a copy: a reader that knows nothing of it serves
    what is right.
    """

    rollout_id: str
    salt: str
    share: int  # in hundredths of a percent of the units, 0 to 10,000
    by: Literal["unit", "instance"] = "unit"
    shadow: int = 0  # hundredths of a percent of the units that are copied


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeConfig:
    """The whole state of a scope; the newest record by (epoch, revision) is the truth.

    `revision` counts the changes of the scope strictly up; `epoch` is the owner's fencing number.
    """

    scope: str
    revision: int
    epoch: int
    stable: LlmConfig | None
    candidate: LlmConfig | None = None
    split: Split | None = None
    updated_at: int = 0  # ms since the epoch
    reason: str = ""
    decision_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigAck:
    """An application has applied a revision."""

    app: str
    scope: str
    revision: int
    epoch: int
    applied_at: int  # ms since the epoch
    updated_at: int  # ms since the epoch, copied from the config
