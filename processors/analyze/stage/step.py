"""From closed windows to what they say: trends, changes, forecasts, comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from processors.analyze.stage.batch import MEMORY, OFFERS, Batch
from processors.analyze.stage.breaks import breaks
from processors.analyze.stage.compare import comparisons
from processors.analyze.stage.ground import golden, happened, renewed
from processors.analyze.stage.history import extended, readings, revised
from processors.analyze.stage.policy import AnalyzePolicy, Span
from processors.analyze.stage.predictions import learnt, offered, predictions
from processors.analyze.stage.say import say
from processors.analyze.stage.series import Series, series
from processors.analyze.stage.served import closed, gathered
from processors.analyze.stage.snapshots import snapshots
from processors.analyze.stage.state import AnalyzeEntry, AnalyzeState, Past
from processors.analyze.stage.trends import forecasts, trends
from processors.analyze.stage.view import View
from schemas.command import Command, CommandKind
from schemas.flow import Emit, Input, Moment, Outcome
from schemas.rollout import Deployment
from schemas.scope import ALL, murmur2, partition_of
from schemas.topics import INSIGHTS
from schemas.window import EnrichedWindow


def step(
    policy: AnalyzePolicy, state: AnalyzeState, inputs: Sequence[Input], moment: Moment
) -> Outcome[AnalyzeState]:
    """Learn from every closed pooled window; look at the scope's past when it is time.

    Minutes are looked at every `every` of them, scopes in turns; hours and days whenever one
    closes. A late revision takes its window's place: of an hour or a day the past is looked at
    again at once, of a minute at the next look. What was said is corrected by revision.

    Args:
        policy: What is looked at, and when it is said.
        state: All scopes of the partition.
        inputs: `EnrichedWindow`, `Deployment` of the partition, and `Command` of all partitions;
            other records pass by.
        moment: Only its partition and their number are used; all time is event time.

    Returns:
        Insights and their withdrawals; a change for each resolution of a scope that has a window
        more; counts `windows`, `revised`, `looks`, `insights`, `withdrawn`, `golden`
        (metrics whose baseline a person has set), `golden_refused`.
    """
    batch = Batch(policy, moment, dict(state.entries))
    turns = _turns(batch, inputs)
    for at, record in enumerate(inputs):
        match record.value:
            case EnrichedWindow() as row if at in turns:
                _window(batch, row, turns[at])
            case EnrichedWindow(window=window) as row if window.closed:
                if window.window == policy.hours.window and not window.pooled:
                    _model(batch, row)
            case Deployment(scope=scope) as event:
                before = batch.ground(scope)
                after = happened(before, event, policy.events)
                if after is not before:
                    batch.put(f"{scope}|ground", AnalyzeEntry(ground=after))
            case Command(kind=CommandKind.BASELINE) as command:
                _golden(batch, command)
            case _:
                pass
    return Outcome(
        AnalyzeState(batch.entries) if batch.touched else state,
        emits=tuple(
            Emit(INSIGHTS.name, insight.scope, insight, partition=moment.partition)
            for insight in batch.insights
        ),
        changes={key: batch.entries[key] for key in sorted(batch.touched)},
        counts=dict(sorted(batch.counts.items())),
    )


def due(length: int, every: int, scope: str, before: int, after: int) -> bool:
    """Whether a scope has its turn between the starts of two windows, ms, the first exclusive.

    Args:
        length: Of a window, ms.
        every: Windows from one turn to the next.
        scope: Whose turn; by its name, so that not all have it at once.
        before: The start of a window.
        after: And of a later one.

    >>> turns = [due(60_000, 5, "shop/help", n * 60_000, (n + 1) * 60_000) for n in range(5)]
    >>> turns.count(True)
    1
    """
    turn = murmur2(scope.encode()) % every
    return (after // length + turn) // every > (before // length + turn) // every


@dataclass(frozen=True, slots=True)
class _Turn:
    """A pooled window that changes its past: what the past has then, and what is done about it."""

    span: Span
    before: int  # ms, start of the newest window that was known; -1 for none
    newest: int  # ms
    values: bytes
    look: bool
    series: tuple[Series, ...] = ()  # where it is looked at


def _turns(batch: Batch, inputs: Sequence[Input]) -> dict[int, _Turn]:
    """The pasts as the windows among *inputs* change them, by the place of the window.

    They hang on nothing that is found or said meanwhile, so that all that is to be looked at is
    turned into numbers at once (`series`).
    """
    spans = {span.window: span for span in batch.policy.spans}
    pasts: dict[str, tuple[int, bytes]] = {}
    turns: dict[int, _Turn] = {}
    for at, record in enumerate(inputs):
        row = record.value
        if not isinstance(row, EnrichedWindow) or not (row.window.closed and row.window.pooled):
            continue
        span = spans.get(row.window.window)
        if span is None:
            continue
        key = f"{row.window.scope}|{span.window}"
        if key not in pasts:
            past = batch.past(row.window.scope, span.window)
            pasts[key] = past.newest, past.values
        turn = _turn(batch.policy, span, row, *pasts[key])
        if turn is not None:
            turns[at], pasts[key] = turn, (turn.newest, turn.values)
    for span in batch.policy.spans:
        looks = [at for at, turn in turns.items() if turn.look and turn.span is span]
        seen = series(batch.policy, span, [turns[at].values for at in looks])
        for at, each in zip(looks, seen, strict=True):
            turns[at] = replace(turns[at], series=each)
    return turns


def _turn(
    policy: AnalyzePolicy, span: Span, row: EnrichedWindow, newest: int, values: bytes
) -> _Turn | None:
    """What a window makes of a past; None where it changes nothing."""
    scope, start = row.window.scope, row.window.start
    said = readings(policy, row)
    if start <= newest:
        kept = revised(values, (newest - start) // span.length, said)
        if kept == values:
            return None
        return _Turn(span, newest, newest, kept, look=span.every == 1)
    missing = (start - newest) // span.length - 1 if values else 0
    kept = extended(values, missing, said, span.kept)
    look = not values or due(span.length, span.every, scope, newest, start)
    return _Turn(span, newest, start, kept, look=look)


def _window(batch: Batch, row: EnrichedWindow, turn: _Turn) -> None:
    scope, span, start = row.window.scope, turn.span, row.window.start
    if turn.newest > turn.before:
        if span is batch.policy.hours:
            _close(batch, row)
        elif span is batch.policy.minutes and due(
            span.length, batch.policy.turn, scope, turn.before, start
        ):
            _predict(batch, scope)
        batch.counts["windows"] += 1
    else:
        batch.counts["revised"] += 1
    past = replace(batch.past(scope, span.window), newest=turn.newest, values=turn.values)
    if turn.look:
        past = _look(batch, scope, past, turn)
    batch.put(f"{scope}|{span.window}", AnalyzeEntry(past=past))


def _look(batch: Batch, scope: str, past: Past, turn: _Turn) -> Past:
    ground, span = batch.ground(scope), turn.span
    view = View.of(batch.policy, span, scope, past, ground, turn.series)
    found = [*trends(view), *forecasts(view), *breaks(view)]
    after, compared = ground, frozenset[str]()
    if span is batch.policy.minutes:
        after, more, compared = snapshots(view)
        found += more
    elif span is batch.policy.hours:
        more, compared = comparisons(view)
        found += more
        after = renewed(view)
    if after is not ground:
        batch.put(f"{scope}|ground", AnalyzeEntry(ground=after))
    said, news = say(replace(view, ground=after), found, compared)
    batch.counts["looks"] += 1
    batch.say(news)
    return replace(past, said=said)


def _model(batch: Batch, row: EnrichedWindow) -> None:
    """What a model did in an hour that closes, before the row of the whole scope."""
    models = batch.models(row.window.scope)
    after = gathered(models, row)
    if after is not models:
        batch.put(f"{row.window.scope}|models", AnalyzeEntry(models=after))


def _close(batch: Batch, row: EnrichedWindow) -> None:
    """An hour is over: its models are on offer, and where there were two, there is an outcome."""
    scope, start = row.window.scope, row.window.start
    models, found = closed(batch.models(scope), start, row.window.end)
    if not found:
        return
    known, remembered = batch.offers, batch.memory
    offers = offered(batch.policy, known, found, start)
    if offers is not known:
        batch.put(OFFERS, AnalyzeEntry(offers=offers))
    memory, models = learnt(batch.policy, remembered, scope, models, found)
    if memory is not remembered:
        batch.put(MEMORY, AnalyzeEntry(memory=memory))
    batch.put(f"{scope}|models", AnalyzeEntry(models=models))


def _predict(batch: Batch, scope: str) -> None:
    """What the other models would give the scope, by the newest hour."""
    models, past = batch.models(scope), batch.past(scope, batch.policy.hours.window)
    if not models.served or not past.values:
        return
    past = replace(past, said=models.said)
    view = View.of(batch.policy, batch.policy.hours, scope, past, batch.ground(scope))
    found = predictions(view, models, batch.offers, batch.memory)
    said, news = say(view, found, frozenset(models.said))
    if news:
        batch.say(news)
        batch.put(f"{scope}|models", AnalyzeEntry(models=replace(models, said=said)))


def _golden(batch: Batch, command: Command) -> None:
    """The last week of a scope becomes its golden baseline, of the metrics known well enough."""
    scope, moment = command.scope, batch.moment
    if scope == ALL or partition_of(scope, moment.partitions) != moment.partition:
        return
    span = batch.policy.hours
    past, ground = batch.past(scope, span.window), batch.ground(scope)
    after = golden(View.of(batch.policy, span, scope, past, ground)) if past.values else ground
    new = set(after.baselines) - set(ground.baselines)
    batch.counts["golden" if new else "golden_refused"] += len(new) or 1
    if new:
        batch.put(f"{scope}|ground", AnalyzeEntry(ground=after))
