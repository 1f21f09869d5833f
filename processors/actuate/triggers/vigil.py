"""What is remembered of a config while triggers watch it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from processors.actuate.triggers.sample import Sample
from processors.stats.dispersion import Dispersion
from schemas.alarm import Alarm
from schemas.rollout import Guardrail
from schemas.window import EnrichedWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A minute of the suspect and, while there is one, of its concurrent control."""

    start: int  # ms
    before: int  # requests that the suspect had served until then
    suspect: Sample
    other: Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """The minutes that one trigger looks back at."""

    trigger: str = ""  # checksum of its declaration: another one starts anew
    pairs: tuple[Pair, ...] = ()
    spread: Dispersion = field(default_factory=Dispersion)  # of the minutes before these
    since: int | None = None  # ms, it has held at every look since that one
    quiet_until: int = 0  # ms, an alarm that took nothing back is not repeated before
    held: bool = False  # what that alarm would have done was held back


@dataclass(frozen=True, slots=True)
class Low:
    """Where a guardrail's evidence stood lowest: from there on it has spoken against the config."""

    log_e: float
    at: int  # ms
    requests: int  # served until then


@dataclass(frozen=True, slots=True, kw_only=True)
class Vigil:
    """One config, from its first request on, or from the change that gave it all of them."""

    subject: str  # id of the rollout, or version of the stable config
    since: int  # ms
    requests: int = 0
    failed: int = 0
    watches: Mapping[str, Watch] = field(default_factory=dict)  # by id of the trigger
    lows: Mapping[str, Low] = field(default_factory=dict)  # by guardrail
    question: Alarm | None = None  # that a person is asked, until it expires


def vigil_over(vigil: Vigil | None, subject: str, since: int) -> Vigil:
    """The vigil over *subject*: the one there is, or a new one."""
    same = vigil is not None and vigil.subject == subject
    return vigil if same and vigil is not None else Vigil(subject=subject, since=since)


def count(vigil: Vigil, rows: Sequence[EnrichedWindow]) -> Vigil:
    """Count a minute's requests, those that failed among them."""
    return replace(
        vigil,
        requests=vigil.requests + sum(row.window.requests for row in rows),
        failed=vigil.failed + sum(row.window.errors for row in rows),
    )


def note(vigil: Vigil, guardrails: Sequence[Guardrail], at: int) -> Vigil:
    """Move each guardrail's low: where its evidence is no higher than it ever was."""
    lows = dict(vigil.lows)
    for each in guardrails:
        before = lows.get(each.metric, Low(0.0, vigil.since, 0))
        lower = each.log_e <= before.log_e
        lows[each.metric] = Low(each.log_e, at, vigil.requests) if lower else before
    return replace(vigil, lows=lows)
