"""What must hold of every run, whatever happened in it: each promise, as a check of its records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from processors.actuate.cycle import NEXT as LOOP
from processors.actuate.rollout import NEXT, OVER
from processors.actuate.state import fresh
from processors.actuate.step import step
from processors.actuate.turn import OPTIMIZER
from schemas.catalog import Catalog
from schemas.config import LlmConfig, ScopeConfig
from schemas.decision import Action, Decision
from schemas.loop import LoopState, Transition
from schemas.report import RollbackReport
from schemas.rollout import Deployment, Phase, Verdict
from schemas.topics import TOPICS
from tests.properties.broker import CODEC, Broker, encoded
from tests.properties.story import Story

PASSING = ("revision", "epoch", "updated_at", "reason", "decision_id")  # of a config, not content


class Told(NamedTuple):
    """A committed record, with the catalog that its step was made under."""

    value: Any
    catalog: Catalog


def broken(story: Story) -> list[str]:
    """Every promise that *story* broke, a sentence each; [] when all is well."""
    told = list(records(story.broker))
    events = [each.value for each in told if isinstance(each.value, Deployment)]
    configs = [each.value for each in told if isinstance(each.value, ScopeConfig)]
    problems = [
        *transitions(events),
        *counted(configs),
        *cycled([each.value for each in told if isinstance(each.value, Transition)]),
        *reported(events, [each.value for each in told if isinstance(each.value, RollbackReport)]),
        *restored(events, configs),
        *taken_back(events, configs),
        *repeated(story.broker, told),
        *undisturbed(story.broker),
        *followed(story),
    ]
    if story.slipped:
        problems.append(f"{story.slipped} commits of fenced owners went through")
    return problems


def records(broker: Broker) -> Iterator[Told]:
    """All that was committed, in order, read back from its bytes."""
    for commit in broker.commits:
        for topic, _, value in commit.written:
            yield Told(CODEC.decode(TOPICS[topic], value), commit.policy.catalog)


def transitions(events: Sequence[Deployment]) -> Iterator[str]:
    """Phases follow the table, sequences count up, and a scope has one rollout at a time."""
    last: dict[str, Deployment] = {}
    active: dict[str, str] = {}
    for event in events:
        before = last.get(event.id)
        phase = None if before is None else before.phase
        number = 1 if before is None else before.sequence + 1
        if event.phase not in NEXT[phase]:
            yield f"{event.id} went from {phase} to {event.phase}"
        if (event.previous, event.sequence) != (phase, number):
            yield f"{event.id} says {event.previous} and {event.sequence} after {phase}"
        other = active.get(event.scope)
        if event.phase is not Phase.REJECTED and event.steps and other not in (None, event.id):
            yield f"{event.id} is beside {other} in {event.scope}"
        last[event.id] = event
        if event.phase in {*OVER, Phase.REJECTED}:
            if other == event.id:
                del active[event.scope]
        else:
            active[event.scope] = event.id


def cycled(moves: Sequence[Transition]) -> Iterator[str]:
    """A scope moves through the control loop along its table, one move after the other."""
    last: dict[str, Transition] = {}
    for move in moves:
        before = last.get(move.scope)
        source = LoopState.IDLE if before is None else before.target
        number = 1 if before is None else before.sequence + 1
        if (move.source, move.sequence) != (source, number) or move.target not in LOOP[source]:
            yield f"{move.scope} moved {move.source} to {move.target} as {move.sequence}"
        last[move.scope] = move


def reported(events: Sequence[Deployment], reports: Sequence[RollbackReport]) -> Iterator[str]:
    """Each rollback of something that was served, or copied to, has one report; none else has."""
    served = (None, Phase.RAMPING, Phase.PAUSED)
    ended = [e for e in events if e.phase is Phase.ROLLED_BACK and e.previous in served]
    wanted = Counter((e.id, e.scope, e.revision, e.by, e.reason) for e in ended)
    done = (r for r in reports if not r.simulated)
    found = Counter((r.id, r.scope, r.revision, r.by, r.reason) for r in done)
    if wanted != found:
        yield f"without a report or a rollback: {(wanted - found) + (found - wanted)}"
    for report in reports:
        if not report.requests >= max(report.failed, report.affected):
            yield f"{report.id} counts {report.requests}, {report.failed}, {report.affected}"


def counted(configs: Sequence[ScopeConfig]) -> Iterator[str]:
    """A scope's revisions count up one by one, its epochs never down."""
    last: dict[str, ScopeConfig] = {}
    for config in configs:
        before = last.get(config.scope)
        if config.revision != (1 if before is None else before.revision + 1):
            yield f"{config.scope} has revision {config.revision} after {before}"
        if before is not None and config.epoch < before.epoch:
            yield f"{config.scope} went from epoch {before.epoch} to {config.epoch}"
        last[config.scope] = config


def content(config: ScopeConfig) -> str:
    """What applications serve by a config: its canonical JSON without what every record changes."""
    plain = json.loads(CODEC.encode(TOPICS["llmopt.config.v1"], config))
    kept = {name: value for name, value in plain.items() if name not in PASSING}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"))


def restored(events: Sequence[Deployment], configs: Sequence[ScopeConfig]) -> Iterator[str]:
    """A rollback's config is, byte for byte, the one that it names."""
    settled: dict[tuple[str, str], str] = {}
    written = {(config.scope, config.revision): config for config in configs}
    serving: dict[tuple[str, str], LlmConfig] = {}
    for config in configs:
        if config.stable is not None:
            name = (config.scope, config.stable.version)
            if serving.setdefault(name, config.stable) != config.stable:
                yield f"{name} was served in two ways"
            if config.split is None and settled.setdefault(name, content(config)) != content(
                config
            ):
                yield f"{name} came back as {content(config)}, it was {settled[name]}"
    for event in events:
        config = written.get((event.scope, event.revision))
        if event.phase is not Phase.ROLLED_BACK or config is None or event.share:
            continue
        served = None if config.stable is None else config.stable.version
        if event.previous in (None, Phase.RAMPING, Phase.PAUSED) and (
            (served, config.split, config.candidate) != (event.stable_version, None, None)
        ):
            yield f"{event.id} names {event.stable_version} and left {content(config)}"


def taken_back(events: Sequence[Deployment], configs: Sequence[ScopeConfig]) -> Iterator[str]:
    """After a rollback's revision nobody is served what it took back, until it is begun anew."""
    ended = {(event.scope, event.id): event.revision for event in events if event.phase in OVER}
    for config in configs:
        if config.split is not None:
            end = ended.get((config.scope, config.split.rollout_id))
            if end is not None and config.revision >= end:
                yield f"{config.scope} revision {config.revision} splits for an ended rollout"
    for n, event in enumerate(events):
        if event.phase is not Phase.ROLLED_BACK or event.candidate_version is None:
            continue
        anew = next(
            (
                later.revision
                for later in events[n + 1 :]
                if later.scope == event.scope
                and later.id != event.id
                and event.candidate_version
                in (
                    (later.candidate_version,)
                    if later.phase is not Phase.ROLLED_BACK
                    else (later.stable_version,)
                )
                and later.phase is not Phase.REJECTED
            ),
            None,
        )
        for config in configs:
            if config.scope != event.scope or config.revision < event.revision:
                continue
            if anew is not None and config.revision >= anew:
                break
            versions = {c.version for c in (config.stable, config.candidate) if c is not None}
            if (
                event.candidate_version in versions
                and event.stable_version != event.candidate_version
            ):
                yield f"{event.id} took {event.candidate_version} back, {config.revision} serves it"


def repeated(broker: Broker, told: Sequence[Told]) -> Iterator[str]:
    """No decision starts twice; what failed is tried again only once something has changed."""
    decisions = {
        value.id: value
        for commit in broker.commits
        for value in (each.value for each in commit.inputs)
        if isinstance(value, Decision)
    }
    begun: set[str] = set()
    failed: dict[tuple[str, str], object] = {}
    for event, catalog in told:
        if not isinstance(event, Deployment):
            continue
        name = (event.scope, event.candidate_version or "")
        decision = decisions.get(event.decision_id or "")
        if event.phase is Phase.PENDING and event.sequence == 1 and decision is not None:
            facts = depends(event, decision, catalog)
            if decision.id in begun:
                yield f"decision {decision.id} began twice"
            begun.add(decision.id)
            if failed.get(name) == facts:
                yield f"{name} is tried again, and nothing has changed"
        blamed = event.phase is Phase.ROLLED_BACK and event.verdict is Verdict.FAIL
        deploys = decision is not None and decision.action is Action.DEPLOY
        if blamed and event.by == OPTIMIZER and decision is not None and deploys:
            failed[name] = depends(event, decision, catalog)


def depends(event: Deployment, decision: Decision, catalog: Catalog) -> object:
    """All that a rollout's failure depended on."""
    key = event.candidate_model or ""
    return (
        event.stable_version,
        catalog.models.get(key),
        catalog.prices.get(key),
        catalog.strategies.get(decision.strategy),
    )


def undisturbed(broker: Broker) -> Iterator[str]:
    """What was committed is what an undisturbed worker writes, and each input counts once."""
    state = fresh()
    position: dict[str, int] = {}
    for n, commit in enumerate(broker.commits):
        for each in commit.inputs:
            if each.offset != position.get(each.topic, 0):
                yield f"commit {n} reads {each.topic}@{each.offset} out of turn"
            position[each.topic] = each.offset + 1
        outcome = step(commit.policy, state, commit.inputs, commit.moment)
        state = outcome.state
        if encoded(outcome.emits) != list(commit.written):
            yield f"commit {n} wrote what an undisturbed worker would not have written"
    if position != {topic: len(log) for topic, log in broker.logs.items() if log}:
        yield f"the inputs were read to {position} only"
    if broker.restored() != dict(state.scopes):
        yield "the changelog holds another state than an undisturbed worker has"


def followed(story: Story) -> Iterator[str]:
    """A client goes up in revision and never down in epoch, and ends at the newest config."""
    newest = {key: json.loads(value) for key, value in story.broker.configs}
    for application in story.applications:
        last: dict[str, tuple[int, int]] = {}
        for change in application.told:
            revision, epoch = last.get(change.scope, (0, 0))
            if change.revision <= revision or change.epoch < epoch:
                yield f"a client went from {revision, epoch} to {change.revision, change.epoch}"
            last[change.scope] = (change.revision, change.epoch)
        for scope, config in newest.items():
            if last.get(scope) != (config["revision"], config["epoch"]):
                yield f"a client stays at {last.get(scope)} of {scope}"
