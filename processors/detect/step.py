"""Score each closed minute of a scope against its own past; publish the anomalies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from processors.detect import keys
from processors.detect.moves import move
from processors.detect.older import fitted
from processors.detect.policy import DetectPolicy
from processors.detect.revise import revise
from processors.detect.state import Detector, DetectState
from processors.detect.wave import One, judge
from schemas.anomaly import Anomaly
from schemas.flow import Emit, Input, Moment, Outcome
from schemas.rollout import Deployment
from schemas.topics import ANOMALIES
from schemas.window import EnrichedWindow

TOGETHER = 250  # scopes whose series are judged at once: they fit into a cache


@dataclass(slots=True)
class _Work:
    """What one step is at: the scopes so far, and new windows that are judged together."""

    policy: DetectPolicy
    metrics: tuple[str, ...]  # that are watched
    scopes: dict[str, Detector]  # those that were looked at fit the metrics
    wave: dict[str, EnrichedWindow] = field(default_factory=dict)  # by scope
    told: list[Anomaly] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)

    def of(self, scope: str) -> Detector:
        """What is known of *scope*, once all that came before is learnt."""
        if scope in self.wave:
            self.flush()
        known = self.scopes.get(scope)
        return fitted(self.metrics, Detector(scope=scope) if known is None else known)

    def put(self, detector: Detector, told: Sequence[Anomaly] = ()) -> None:
        """Know this of a scope from now on."""
        self.scopes[detector.scope] = detector
        self.touched.add(detector.scope)
        self.told += told

    def flush(self) -> None:
        """Judge the windows that wait."""
        if not self.wave:
            return
        wave = [One(self.scopes[scope], row) for scope, row in self.wave.items()]
        self.wave = {}
        for at in range(0, len(wave), TOGETHER):
            found = judge(self.policy, wave[at : at + TOGETHER], self.counts)
            for detector, told in zip(*found, strict=True):
                self.put(detector, told)


def step(
    policy: DetectPolicy, state: DetectState, inputs: Sequence[Input], moment: Moment
) -> Outcome[DetectState]:
    """Judge the pooled, closed 1-minute windows among *inputs*.

    The windows that a batch brings of one minute are judged together, whatever their scopes: it
    makes no difference to what is found.

    Args:
        policy: What is watched, and when it is said.
        state: All scopes of the partition.
        inputs: `EnrichedWindow` and `Deployment` records; other rows and sizes pass by.
        moment: Only its partition is used.

    Returns:
        Anomalies and their withdrawals; one change per scope that was touched; counts `judged`,
        `unjudged` (no value, or too thin), `anomalies`, `withdrawn`, `suppressed` (to be
        expected, see `processors.detect.moves`).
    """
    metrics = tuple(str(watch.metric) for watch in policy.watches)
    work = _Work(policy, metrics, dict(state.scopes))
    for record in inputs:
        match record.value:
            case EnrichedWindow() as row if row.window.window == "1m" and row.window.closed:
                _take(work, row)
            case Deployment(scope=scope) as told:
                before = work.of(scope)
                moves = move(policy, before.moves, told)
                if moves is not before.moves:
                    work.put(replace(before, moves=moves))
            case _:
                pass
    work.flush()
    emits = [Emit(ANOMALIES.name, a.scope, a, partition=moment.partition) for a in work.told]
    return Outcome(
        DetectState(work.scopes) if work.touched else state,
        emits=tuple(emits),
        changes={scope: work.scopes[scope] for scope in sorted(work.touched)},
        counts=dict(sorted((name, n) for name, n in work.counts.items() if n)),
    )


def _take(work: _Work, row: EnrichedWindow) -> None:
    window = row.window
    before = work.of(window.scope)
    if not window.pooled:
        if window.start > before.newest:
            noted = keys.note(work.policy, before.keys, row, before.limits)
            work.put(replace(before, keys=noted))
    elif window.start > before.newest:
        work.scopes[window.scope] = before
        work.wave[window.scope] = row
    else:
        after, told = revise(work.policy, before, row, work.counts)
        if after is not before:
            work.put(after, told)
