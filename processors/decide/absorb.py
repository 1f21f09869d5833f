"""What each record changes in the memory of its scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from processors.decide.condition import runs
from processors.decide.policy import DecidePolicy
from processors.decide.state import (
    HOUR,
    METRICS,
    Change,
    Minute,
    Record,
    ScopeState,
    Seen,
    Sighting,
)
from processors.reading import read
from schemas.anomaly import Anomaly
from schemas.command import Command, CommandKind
from schemas.decision import Action
from schemas.insight import InsightKind
from schemas.rollout import Deployment, Phase, Verdict
from schemas.window import EnrichedWindow, WindowAggregate

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
KEPT_CHANGES = 64
KEPT_MODELS = 64
OVER = {Phase.PROMOTED, Phase.VERIFIED, Phase.ROLLED_BACK, Phase.REJECTED}


def answer(state: ScopeState, row: EnrichedWindow) -> ScopeState:
    """Who answered: a key row of a closed minute, before the pooled row of the same minute."""
    window = row.window
    if window.cohort in ("candidate", "shadow"):
        return state
    same = window.start == state.leading_start
    leading = dict(state.leading) if same else {}
    name = f"{window.config_version}|{window.provider}/{window.model}"
    leading[name] = leading.get(name, 0.0) + window.requests
    return replace(state, leading_start=window.start, leading=leading)


def track(policy: DecidePolicy, state: ScopeState, row: EnrichedWindow) -> ScopeState:
    """How a model does here: a key row of an hour, as it stands now or for good.

    Rows of the open hour replace each other; a closed one joins the past, whose weight halves
    every `half_life_ms`. A revision of what has joined already is left out.
    """
    window = row.window
    name = f"{window.provider}/{window.model}"
    seen = state.seen.get(name, Seen())
    if window.start < seen.at or (
        window.closed and window.revision > 1 and not _open(seen, window)
    ):
        return state
    running = {key: r for key, r in seen.open.items() if key != _key(window)}
    if window.closed:
        fade = 0.5 ** ((window.start - seen.at) / policy.half_life_ms)
        seen = Seen(seen.past.faded(fade).plus(_record(window)), window.start, running)
    else:
        running[_key(window)] = _record(window)
        seen = replace(seen, open=dict(sorted(running.items())[-8:]))
    models = {**state.seen, name: seen}
    if len(models) > KEPT_MODELS:
        del models[min(models, key=lambda model: (models[model].at, model))]
    return replace(state, seen=models)


def _key(window: WindowAggregate) -> str:
    return f"{window.start:015d}|{window.config_version}|{window.cohort}"


def _open(seen: Seen, window: WindowAggregate) -> bool:
    return _key(window) in seen.open


def _record(window: WindowAggregate) -> Record:
    quality, latency = window.metrics.get("quality"), window.metrics.get("latency_ms")
    return Record(
        requests=window.requests,
        errors=window.errors,
        timeouts=window.timeouts,
        scores=0.0 if quality is None else quality.count,
        quality=0.0 if quality is None else quality.sum,
        latency=0.0 if latency is None else latency.p95 * window.requests,
    )


def close(policy: DecidePolicy, state: ScopeState, row: EnrichedWindow) -> ScopeState:
    """A closed minute of the whole scope: it joins the hour, and runs go on or end."""
    window = row.window
    leading = state.leading if state.leading_start == window.start else {}
    version, _, model = _most(leading).partition("|")
    minute = Minute(
        start=window.start,
        readings=tuple(read(row, metric) for metric in METRICS),
        tokens_input=_sum(window, "tokens_input"),
        tokens_output=_sum(window, "tokens_output"),
        cached_tokens=_sum(window, "cached_tokens"),
        longest=window.metrics["tokens_total"].max if "tokens_total" in window.metrics else 0.0,
        model=model,
        version=version,
    )
    held = runs(policy, state, minute, unbroken=window.start == state.newest)
    kept = [m for m in state.minutes if window.start - m.start < HOUR_MS]
    return replace(
        state,
        newest=window.end,
        minutes=(*kept, minute)[-HOUR:],
        held=held,
        leading={},
        changes=tuple(c for c in state.changes if window.end - c.at < DAY_MS),
    )


def _sum(window: WindowAggregate, metric: str) -> float:
    return window.metrics[metric].sum if metric in window.metrics else 0.0


def _most(leading: Mapping[str, float]) -> str:
    """The key with most requests; of equals the first by name."""
    return min(leading, key=lambda name: (-leading[name], name), default="")


def notice(state: ScopeState, anomaly: Anomaly) -> ScopeState:
    """An anomaly, or that an earlier one was none."""
    anomalies = {key: seen for key, seen in state.anomalies.items() if seen.id != anomaly.id}
    if anomaly.is_anomaly:
        key = f"{anomaly.metric}|{anomaly.severity}"
        before = anomalies.get(key)
        if before is None or before.end <= anomaly.end:
            anomalies[key] = Sighting(anomaly.id, anomaly.end)
    return replace(state, anomalies=anomalies)


def follow(state: ScopeState, event: Deployment) -> ScopeState:
    """What became of a rollout, or that somebody changed the config by hand."""
    mine = event.decision_id is not None
    name = event.decision_id or event.id
    asked = None if state.asked is not None and state.asked.id == event.decision_id else state.asked
    changes = [change for change in state.changes if change.id != name]
    if event.phase is Phase.REJECTED:
        refused = state.asked is not None and asked is None
        vain = refused and state.asked is not None and state.asked.action is Action.ROLLBACK
        return replace(
            state,
            asked=asked,
            changes=tuple(changes) if mine else state.changes,  # it changed nothing
            promoted_at=None if vain else state.promoted_at,  # it cannot be taken back
        )
    if event.sequence == 1:
        changes = [*changes, Change(event.at, name)]
        state = replace(state, changes=tuple(changes)[-KEPT_CHANGES:])
    over = event.phase in OVER
    state = replace(
        state,
        asked=asked,
        active=None if over else event.id,
        changed_at=max(event.at, state.changed_at or 0),
        promoted_at=event.at if event.phase is Phase.PROMOTED else state.promoted_at,
    )
    stable = event.candidate_model if event.phase is Phase.PROMOTED else event.stable_model
    if event.phase is Phase.ROLLED_BACK and stable is None:
        state = _begin_again(state, None, known=True)
    elif stable is not None and stable != state.stable_model:
        state = _begin_again(state, stable, known=state.stable_model is not None)
    taken_back = event.candidate_model
    if event.phase is Phase.ROLLED_BACK:
        state = replace(state, promoted_at=None)
        # Nobody is to blame for a stop, nor for a past, evidence or an answer that never came.
        guilty = event.blamed or event.verdict is Verdict.FAIL
        if guilty and taken_back is not None and taken_back not in (*state.rolled_back, stable):
            state = replace(state, rolled_back=(*state.rolled_back, taken_back)[-KEPT_MODELS:])
    return state


def _begin_again(state: ScopeState, stable: str | None, *, known: bool) -> ScopeState:
    """Another model is stable, or none: what was measured before says nothing of it."""
    state = replace(state, stable_model=stable)
    if not known and (not state.minutes or state.minutes[-1].model == stable):
        return state  # it was told for the first time, it did not change
    found = {id_: f for id_, f in state.findings.items() if f.kind == InsightKind.PREDICTION}
    return replace(state, rolled_back=(), minutes=(), held={}, findings=found)


def obey(state: ScopeState, command: Command) -> ScopeState:
    """Hold or release decisions; a pause does not weaken a stop."""
    match command.kind:
        case CommandKind.STOP:
            return replace(state, hold="stopped")
        case CommandKind.PAUSE:
            return replace(state, hold=state.hold or "paused")
        case CommandKind.RESUME if state.hold:
            return replace(state, hold="")
        case _:
            return state
