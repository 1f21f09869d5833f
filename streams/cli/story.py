"""A rollout as it was: its events, its looks, and what can be said of both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from processors.actuate.wording import named
from schemas.loop import Transition
from schemas.rollout import GUARDRAILS, Deployment, Guardrail, Look, Phase, Verdict
from streams.cli import show

T = TypeVar("T")
ENDS = {
    Phase.PROMOTED: "promoted",
    Phase.VERIFIED: "verified",
    Phase.ROLLED_BACK: "rolled back",
    Phase.REJECTED: "rejected",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A share and how long it was held; times are ms of event time, `left` None while it is.

    Shares are hundredths of a percent of the units: that the candidate serves, and that it gets
    copies of while the stable config serves them.
    """

    step: int  # from 1; 0: no traffic yet
    share: int
    shadow: int
    entered: int
    left: int | None
    looks: int
    verdict: Verdict | None  # of the last look; None when there was none


@dataclass(frozen=True, slots=True)
class Story:
    """One rollout, or a manual change: its events by sequence, at least one; its looks by time.

    `moves` are those of its scope through the control loop that it made.
    """

    events: tuple[Deployment, ...]
    looks: tuple[Look, ...]
    moves: tuple[Transition, ...] = ()

    @property
    def last(self) -> Deployment:
        """Its newest event."""
        return self.events[-1]

    @property
    def began(self) -> int:
        """When its candidate got traffic, ms of event time; if never, when it was accepted."""
        return next((each.at for each in self.events if reach(each)), self.events[0].at)

    @property
    def until(self) -> int:
        """Up to when anything is known of it, ms of event time."""
        ats = [*(each.at for each in self.events), *(each.at for each in self.looks)]
        return max(ats)

    @property
    def over(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.last.phase in ENDS

    @property
    def refused(self) -> bool:
        """Whether it is a command or a decision that was refused, and changed nothing."""
        return self.last.phase is Phase.REJECTED

    @property
    def held(self) -> bool:
        """Whether it waits on its step for evidence, and has said so."""
        if len(self.events) < 2 or self.last.phase is not Phase.RAMPING:
            return False
        before = self.events[-2]
        return before.phase is Phase.RAMPING and split(before) == split(self.last)

    @property
    def standing(self) -> str:
        """Its phase in a word, or that it is held, or asks a person."""
        if self.over:
            return ENDS[self.last.phase]
        if self.last.asks_until is not None:
            return "asking"
        return "held" if self.held else self.last.phase.value

    @property
    def guardrails(self) -> tuple[Guardrail, ...]:
        """As they were judged last; none before the first look."""
        told: list[Deployment | Look] = [*self.looks, *self.events]
        told.sort(key=lambda each: each.at)  # of one time, the event after the look
        return next((each.guardrails for each in reversed(told) if each.guardrails), ())

    def rungs(self) -> list[Rung]:
        """What was held how long, in order; what ended it is no rung."""
        entered: list[Deployment] = []
        for each in self.events:
            if each.phase not in ENDS and (not entered or split(each) != split(entered[-1])):
                entered.append(each)
        lefts = [*(each.at for each in entered), self.last.at if self.over else None][1:]
        return [
            self._rung(event, left)
            for event, left in zip(entered, lefts, strict=True)
            if reach(event) or left != event.at  # most wait for their first traffic no time at all
        ]

    def _rung(self, event: Deployment, left: int | None) -> Rung:
        looks = [
            each
            for each in self.looks
            if reach(event) and event.at < each.at and (left is None or each.at <= left)
        ]
        return Rung(
            step=event.step,
            share=event.share,
            shadow=event.shadow,
            entered=event.at,
            left=left,
            looks=len(looks),
            verdict=looks[-1].verdict if looks else None,
        )

    def in_words(self) -> str:
        """How it stands, in a sentence."""
        last, took = self.last, show.lasted(self.until - self.began)
        passed, unsure, worse = (_named(self.guardrails, verdict) for verdict in Verdict)
        if last.phase is Phase.PENDING:
            lacks = "the candidate has no traffic yet" if last.asks_until is None else "not started"
            return f"{self.standing.capitalize()}: {lacks}."
        if self.over and not last.steps:
            return f"{self.standing.capitalize()}."
        if self.over and not any(reach(each) for each in self.events):
            return f"{self.standing.capitalize()} before it had traffic."
        if self.over:
            why = f": worse in {worse}" if worse else f": passed in {passed}" if passed else ""
            good = last.phase in {Phase.PROMOTED, Phase.VERIFIED}
            return f"{self.standing.capitalize()} after {took}{why if good or worse else ''}."
        found = (
            (worse, f"worse in {worse}"),
            (unsure, f"inconclusive in {unsure}"),
            (passed, "passed so far"),
            (True, "nothing has been compared yet"),
        )
        why = next(words for known, words in found if known)
        where = f"{self.standing.capitalize()} at {show.share(reach(last))}"
        return f"{where}, {took} after its start: {why}."


@dataclass(slots=True)
class _Found:
    events: dict[int, Deployment] = field(default_factory=dict)
    looks: dict[int, Look] = field(default_factory=dict)
    moves: dict[int, Transition] = field(default_factory=dict)


def stories(told: Iterable[object]) -> dict[str, Story]:
    """Every rollout and manual change, by id, in the order of their last events.

    Args:
        told: The records of the deployments topic in the order of writing; of two of one name the
            last counts, and what has no event is left out.
    """
    found: dict[str, _Found] = {}
    for each in told:
        match each:
            case Deployment():
                of = found.pop(each.id, None) or _Found()
                of.events[each.sequence] = each
                found[each.id] = of  # behind all others
            case Look():
                found.setdefault(each.id, _Found()).looks[each.at] = each
            case Transition(rollout_id=str(id_)):
                found.setdefault(id_, _Found()).moves[each.sequence] = each
            case _:
                pass  # no record of a rollout
    return {
        id_: Story(_sorted(of.events), _sorted(of.looks), _sorted(of.moves))
        for id_, of in found.items()
        if of.events
    }


def newest_in(found: Iterable[Story], scope: str) -> Story | None:
    """The newest rollout of *scope*, else its newest change by hand, else what was refused last.

    Args:
        found: In the order of their last events.
        scope: A scope.

    Returns:
        None when there is nothing of it.
    """
    here = [each for each in found if each.last.scope == scope]
    return max(
        enumerate(here),
        key=lambda each: (not each[1].refused, each[1].last.steps > 0, each[0]),
        default=(0, None),
    )[1]


def _sorted(numbered: dict[int, T]) -> tuple[T, ...]:
    return tuple(numbered[number] for number in sorted(numbered))


def rail(look: Look, metric: str) -> Guardrail | None:
    """The guardrail of *metric* at a look; None when it was not judged."""
    return next((each for each in look.guardrails if each.metric == metric), None)


def metrics(story: Story) -> list[str]:
    """The guardrails that were ever judged, in their usual order, others after them."""
    seen = {each.metric for look in story.looks for each in look.guardrails}
    seen |= {each.metric for each in story.guardrails}
    return [*(m for m in GUARDRAILS if m in seen), *sorted(seen - set(GUARDRAILS))]


def split(event: Deployment) -> tuple[int, int]:
    """The shares of the units that the candidate serves, and gets copies of."""
    return event.share, event.shadow


def reach(event: Deployment) -> int:
    """The share of the units that the candidate hears of; a shadow hears before it serves."""
    return event.share or event.shadow


def shares(story: Story) -> list[tuple[int, int]]:
    """Since when the candidate heard of which share: ms of event time, hundredths of a percent."""
    found = [(each.at, reach(each)) for each in story.events]
    changes = [after for before, after in pairwise([(0, 0), *found]) if before[1] != after[1]]
    return [(story.began, 0), *changes]


def _named(guardrails: Iterable[Guardrail], verdict: Verdict) -> str:
    return named([each.metric for each in guardrails if each.verdict is verdict])
