"""One trigger's look at one more minute of a config."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from processors.actuate.triggers.compare import worse
from processors.actuate.triggers.sample import (
    SLOW,
    Sample,
    beyond,
    counts,
    limit_of,
    sample,
    together,
)
from processors.actuate.triggers.vigil import Pair, Vigil, Watch
from processors.stats.dispersion import Dispersion
from schemas.trigger import Trigger
from schemas.window import MINUTE, EnrichedWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A trigger that holds; a 95th percentile is told by the share of latencies beyond it."""

    trigger: Trigger
    value: float
    limit: float
    baseline: float | None
    requests: int  # that the value is of
    first_bad_at: int  # ms
    affected: int  # requests since then


def look(
    trigger: Trigger,
    vigil: Vigil,
    start: int,
    suspect: Sequence[EnrichedWindow],
    other: Sequence[EnrichedWindow],
    before: EnrichedWindow | None,
) -> tuple[Watch, Finding | None]:
    """Add the minute that begins at *start*, and see whether *trigger* holds.

    Args:
        trigger: The declaration in force.
        vigil: Over the config, the minute's requests counted.
        start: ms.
        suspect: The config's rows of the minute.
        other: The concurrent control's.
        before: The scope as it was before the change, where there is no control; None where
            there is one, or where nobody knows.

    Returns:
        The watch with the minute, and what was found: only when it has held for `confirm_s`, and
        where that is to be waited for, only in a minute that is itself beyond the limit.
    """
    checksum = hashlib.blake2b(repr(trigger).encode(), digest_size=8).hexdigest()
    watch = vigil.watches.get(trigger.id, Watch())
    if watch.trigger != checksum:
        watch = Watch(trigger=checksum)
    served = sum(row.window.requests for row in suspect)
    pair = Pair(
        start=start,
        before=vigil.requests - served,
        suspect=sample(trigger, suspect),
        other=sample(trigger, other),
    )
    watch, mine, theirs = weigh(
        trigger, watch, pair, None if before is None else sample(trigger, (before,))
    )
    if watch.since is None or start - watch.since < trigger.confirm_s * 1000:
        return watch, None
    if trigger.confirm_s and not beyond(trigger, pair.suspect, theirs):
        return watch, None  # the window's bad minutes are old ones, and confirm nothing
    return watch, _finding(trigger, vigil, watch.pairs, mine, theirs)


def weigh(
    trigger: Trigger, watch: Watch, pair: Pair, before: Sample | None
) -> tuple[Watch, Sample, Sample]:
    """Add a minute to the window, and see whether the trigger holds over it.

    Args:
        trigger: The declaration.
        watch: Its minutes so far.
        pair: The newest one.
        before: What to compare with instead of the minutes' own controls, or None.

    Returns:
        The watch, whose `since` is None when it does not hold; the suspect and what it is compared
        with, over the whole window.
    """
    oldest = pair.start + MINUTE - trigger.window_s * 1000
    spread = watch.spread
    for each in watch.pairs:
        spread = _spread(trigger, spread, each, before) if each.start < oldest else spread
    pairs = (*(each for each in watch.pairs if each.start >= oldest), pair)
    mine = together(each.suspect for each in pairs)
    theirs = together(each.other for each in pairs) if before is None else before
    known = mine.n >= trigger.min_requests
    holds = known and beyond(trigger, mine, theirs) and worse(trigger, mine, theirs, spread)
    since = (pair.start if watch.since is None else watch.since) if holds else None
    return replace(watch, pairs=pairs, spread=spread, since=since), mine, theirs


def value(trigger: Trigger, found: Sample) -> float:
    """The sample's value as its trigger judges it."""
    return found.bad / found.n if counts(trigger) else found.mean


def _finding(
    trigger: Trigger, vigil: Vigil, pairs: Sequence[Pair], mine: Sample, theirs: Sample
) -> Finding:
    first = pairs[-1]
    for each in reversed(pairs):  # the bad minutes on end, up to now
        if each.suspect.n and not beyond(trigger, each.suspect, theirs):
            break
        first = each
    limit = SLOW if trigger.metric == "p95_latency_ms" else limit_of(trigger, theirs)
    return Finding(
        trigger=trigger,
        value=value(trigger, mine),
        limit=limit or 0.0,
        baseline=value(trigger, theirs) if theirs.n else None,
        requests=mine.n,
        first_bad_at=first.start,
        affected=vigil.requests - first.before,
    )


def _spread(trigger: Trigger, spread: Dispersion, pair: Pair, before: Sample | None) -> Dispersion:
    """The dispersion with a minute that has left the window, where both had values in it.

    What was *before* is the same in every minute and scatters none of the differences, so that a
    minute weighs what its own values do.
    """
    mine, theirs = pair.suspect, pair.other if before is None else before
    if not mine.n or not theirs.n:
        return spread
    if before is not None:
        lift = mine.n * (value(trigger, mine) - value(trigger, theirs))
        return spread.count(mine.n, mine.n - 1, (lift,), (_squares(trigger, mine),))
    squares = (_squares(trigger, mine) + _squares(trigger, theirs),)
    difference = value(trigger, mine) - value(trigger, theirs)
    return spread.add((theirs.n, mine.n), (difference,), squares)


def _squares(trigger: Trigger, found: Sample) -> float:
    """Of the distances from the mean; of shares, those of zeros and ones."""
    return found.bad * (found.n - found.bad) / found.n if counts(trigger) else found.squares
