"""From closed windows to what they say: trends, changes, forecasts, comparisons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from processors.analyze.stage.breaks import breaks
from processors.analyze.stage.compare import comparisons
from processors.analyze.stage.ground import golden, happened, renewed
from processors.analyze.stage.history import extended, readings, revised
from processors.analyze.stage.policy import AnalyzePolicy, Span
from processors.analyze.stage.say import say
from processors.analyze.stage.snapshots import snapshots
from processors.analyze.stage.state import AnalyzeEntry, AnalyzeState, Ground, Past
from processors.analyze.stage.trends import forecasts, trends
from processors.analyze.stage.view import View
from schemas.command import Command, CommandKind
from schemas.flow import Emit, Input, Moment, Outcome
from schemas.insight import Insight
from schemas.rollout import Deployment
from schemas.scope import ALL, murmur2, partition_of
from schemas.topics import INSIGHTS
from schemas.window import EnrichedWindow


@dataclass(slots=True)
class Batch:
    """One step as it goes on; gone when it ends."""

    policy: AnalyzePolicy
    moment: Moment
    entries: dict[str, AnalyzeEntry]
    touched: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    insights: list[Insight] = field(default_factory=list)

    def past(self, scope: str, window: str) -> Past:
        """The windows of a scope; none where they are of other metrics than are looked at now."""
        entry = self.entries.get(f"{scope}|{window}")
        past = None if entry is None else entry.past
        if past is None or past.columns != self.policy.columns:
            return Past(columns=self.policy.columns)
        return past

    def ground(self, scope: str) -> Ground:
        """What a scope's past is held against."""
        entry = self.entries.get(f"{scope}|ground")
        return (None if entry is None else entry.ground) or Ground()

    def put(self, key: str, entry: AnalyzeEntry) -> None:
        """The next value of an entry."""
        self.entries[key] = entry
        self.touched.add(key)


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
    spans = {span.window: span for span in policy.spans}
    for record in inputs:
        match record.value:
            case EnrichedWindow(window=window) as row if window.pooled and window.closed:
                if window.window in spans:
                    _window(batch, spans[window.window], row)
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


def due(span: Span, scope: str, before: int, after: int) -> bool:
    """Whether a look falls due between the starts of two windows, ms, the first exclusive.

    >>> from processors.analyze.stage.policy import MINUTES
    >>> [due(MINUTES, "search/answer", n * 60_000, (n + 1) * 60_000) for n in range(5)].count(True)
    1
    """
    turn = murmur2(scope.encode()) % span.every
    return (after // span.length + turn) // span.every > (
        before // span.length + turn
    ) // span.every


def _window(batch: Batch, span: Span, row: EnrichedWindow) -> None:
    scope, start = row.window.scope, row.window.start
    past = batch.past(scope, span.window)
    values = readings(batch.policy, row)
    if start > past.newest:
        missing = (start - past.newest) // span.length - 1 if past.values else 0
        kept = extended(past.values, missing, values, span.kept)
        look = not past.values or due(span, scope, past.newest, start)
        past = replace(past, newest=start, values=kept)
        batch.counts["windows"] += 1
    else:
        kept = revised(past.values, (past.newest - start) // span.length, values)
        if kept == past.values:
            return
        look = span.every == 1
        past = replace(past, values=kept)
        batch.counts["revised"] += 1
    if look:
        past = _look(batch, span, scope, past)
    batch.put(f"{scope}|{span.window}", AnalyzeEntry(past=past))


def _look(batch: Batch, span: Span, scope: str, past: Past) -> Past:
    ground = batch.ground(scope)
    view = View.of(batch.policy, span, scope, past, ground)
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
    for each in news:
        batch.counts["insights" if each.holds else "withdrawn"] += 1
    batch.insights += news
    return replace(past, said=said)


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
