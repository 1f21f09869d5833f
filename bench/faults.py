"""Which faults are seen, how soon, and whether what is guilty is named first.

Each kind of fault that the simulator knows, in three strengths, befalls a scope of its own after an
hour and a half of healthy traffic; what befalls a model befalls one of several keys of a scope,
too: a candidate's model in a rollout, or the stable cohort beside units that are in no cohort.
Requests pass through the steps of collect, merge, enrich and detect, as they do live. A fault is
seen when any metric is told to be anomalous while it lasts. Scopes without a fault tell how many
anomalies are none, and so which share of the faults is seen by chance alone (`by_chance`).

    python -m bench faults
    python -m bench.faults [--seeds 1 2 3] [--rate 200] [--healthy 1440]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite, nan

from rich.console import Console
from rich.table import Table

from bench.line import Figure, report
from processors import detect
from processors.actuate.version import versioned
from processors.enrich import EnrichPolicy
from schemas.anomaly import Anomaly
from schemas.catalog import Catalog
from schemas.config import LlmConfig, ScopeConfig, Split
from simulator.faults import SERVING, Fault, Kind
from simulator.fleet import Endpoint, Fleet
from simulator.offline import Loop, Seeing, moment_of, see
from simulator.trace import MINUTE

BENCH = "faults"
START = 1_700_002_800_000  # a full hour
WARM, LASTS = 90, 60  # minutes before a fault, and of it
FALSE, FIRST = 0.1, 0.9  # alarms a scope and day; share of faults whose guilty value comes first
STRENGTHS: Mapping[Kind, tuple[float, float, float]] = {
    Kind.OUTAGE: (0.05, 0.2, 1.0),
    Kind.FLAPPING: (0.05, 0.2, 1.0),
    Kind.ERRORS: (0.03, 0.1, 0.3),
    Kind.TIMEOUT: (0.03, 0.1, 0.3),
    Kind.RATE_LIMIT: (0.05, 0.2, 0.5),
    Kind.RETRIES: (0.05, 0.2, 0.5),
    Kind.SLOW: (1.3, 2.0, 4.0),
    Kind.DRIFT: (0.5, 2.0, 8.0),
    Kind.TAIL: (4.0, 10.0, 30.0),
    Kind.JITTER: (0.3, 0.6, 1.0),
    Kind.SLOW_START: (1.5, 3.0, 8.0),
    Kind.THROUGHPUT: (1.5, 3.0, 8.0),
    Kind.VERBOSE: (1.3, 2.0, 4.0),
    Kind.TRUNCATED: (0.1, 0.3, 0.8),
    Kind.REFUSAL: (0.05, 0.2, 0.5),
    Kind.QUALITY: (0.05, 0.1, 0.3),
    Kind.QUALITY_DRIFT: (0.1, 0.3, 0.8),
    Kind.COLLAPSE: (0.05, 0.2, 0.5),
    Kind.PRICE: (1.3, 2.0, 4.0),
    Kind.SURGE: (2.0, 4.0, 10.0),
    Kind.DROP: (0.5, 0.8, 0.95),
    Kind.BLOAT: (1.3, 2.0, 4.0),
    Kind.CACHE_MISS: (0.3, 0.6, 1.0),
    Kind.STUCK: (0.3, 1.0, 3.0),
}
WORDS = ("mild", "middle", "strong")
STABLE = versioned(LlmConfig(version="", provider="openai", model="gpt-4o"))
CANDIDATE = versioned(LlmConfig(version="", provider="openai", model="gpt-4o-mini"))
OF_MODEL = {("model", CANDIDATE.model), ("version", CANDIDATE.version), ("cohort", "candidate")}
TARGETS = {  # of a fault of one value: what it names, and what names the same requests
    "model": ({"model": CANDIDATE.model}, OF_MODEL),
    "cohort": ({"cohort": "stable"}, {("cohort", "stable")}),
}


@dataclass(frozen=True, slots=True)
class Trial:
    """A fault in a scope of its own; without one it is healthy."""

    scope: str
    kind: Kind | None = None
    level: int = 0  # place in STRENGTHS
    target: str = ""  # place in TARGETS; "" for all of the scope


@dataclass(frozen=True, slots=True)
class Seen:
    """What was told of a trial."""

    trial: Trial
    delay: float  # minutes from its beginning to the end of the first window told; inf for never
    first: bool | None  # whether the guilty value is the first cause; None where none is told


def trials() -> list[Trial]:
    """Every kind and strength; those of serving also in one model and in one cohort."""
    return [
        Trial(f"{kind}-{WORDS[level]}/{target or 'all'}", kind, level, target)
        for kind in STRENGTHS
        for target in ("", *(TARGETS if kind in SERVING else ()))
        for level in range(3)
    ]


def endpoint(scope: str, rate: float) -> Endpoint:
    """An application that chats, with bursts, and one answer of five scored."""
    service, _, name = scope.partition("/")
    return Endpoint(
        service=service, endpoint=name, rate=rate, default="openai/gpt-4o", output_scale=8.0
    )


def fault_of(trial: Trial) -> Fault:
    """The fault of a trial that has one."""
    service, _, name = trial.scope.partition("/")
    kind = trial.kind or Kind.OUTAGE
    target, _ = TARGETS.get(trial.target, ({}, set()))
    return Fault(
        kind=kind,
        strength=STRENGTHS[kind][trial.level],
        start=WARM,
        end=WARM + LASTS,
        service=service,
        endpoint=name,
        **target,  # type: ignore[arg-type]  # names, all of them texts
    )


def config_of(scope: str) -> ScopeConfig:
    """A rollout to two of five units, while one of five is in no cohort."""
    split = Split(rollout_id=scope, salt=scope, share=6_000, shadow=2_000)
    return ScopeConfig(
        scope=scope, revision=1, epoch=1, stable=STABLE, candidate=CANDIDATE, split=split
    )


def told(fleet: Fleet, configs: Mapping[str, ScopeConfig], minutes: int) -> Iterator[Anomaly]:
    """Every anomaly of the fleet's first *minutes*, as each is told."""
    seeing = Seeing(enrich=EnrichPolicy(catalog=Catalog()))
    policy, state, loop = detect.DetectPolicy(), detect.fresh(), Loop(configs=configs)
    for minute in range(minutes + 1):  # one more, which closes the last
        loop, windows = see(seeing, fleet, loop)
        found = detect.step(policy, state, windows, moment_of(fleet, minute))
        state = found.state
        yield from (emit.value for emit in found.emits if emit.value.is_anomaly)


def tried(all_: Sequence[Trial], seed: int, rate: float) -> list[Seen]:
    """What is told of each trial, with one seed's chance."""
    fleet = Fleet(
        endpoints=tuple(endpoint(each.scope, rate) for each in all_),
        faults=tuple(map(fault_of, all_)),
        seed=seed,
        start=START,
    )
    configs = {each.scope: config_of(each.scope) for each in all_ if each.target}
    begun = START + WARM * MINUTE
    first: dict[str, Anomaly] = {}
    for anomaly in told(fleet, configs, WARM + LASTS):
        if anomaly.start >= begun:
            first.setdefault(anomaly.scope, anomaly)
    return [_seen(each, first.get(each.scope), begun) for each in all_]


def _seen(trial: Trial, anomaly: Anomaly | None, begun: int) -> Seen:
    if anomaly is None:
        return Seen(trial, inf, None)
    guilty = TARGETS[trial.target][1] if trial.target else set()
    causes = getattr(anomaly, "causes", ())
    named = (causes[0].dimension, causes[0].value) in guilty if causes and guilty else None
    return Seen(trial, (anomaly.end - begun) / MINUTE, named)


def false_alarms(seed: int, rate: float, minutes: int, scopes: int = 20) -> tuple[int, float]:
    """Anomalies of scopes that are well, and the days of a scope that they came in."""
    fleet = Fleet(
        endpoints=tuple(endpoint(f"healthy-{i}/all", rate) for i in range(scopes)),
        seed=seed,
        start=START,
    )
    begun = START + WARM * MINUTE
    alarms = sum(each.start >= begun for each in told(fleet, {}, WARM + minutes))
    return alarms, scopes * minutes / 1_440


def table(found: Sequence[Seen]) -> Table:
    """A row for each kind: of each strength the share that is seen and the median delay."""
    shown = Table(box=None, pad_edge=False)
    for title in ("fault", "of", *WORDS, "first"):
        shown.add_column(title)
    for kind in STRENGTHS:
        for target in ("", *TARGETS):
            mine = [s for s in found if (s.trial.kind, s.trial.target) == (kind, target)]
            if mine:
                cells = [_cell([s for s in mine if s.trial.level == n]) for n in range(3)]
                shown.add_row(str(kind), target, *cells, _percent(named(mine)))
    return shown


def _cell(found: Sequence[Seen]) -> str:
    share = seen(found)
    return f"{_percent(share)} {delay(found):.0f} min" if share else "–"


def _percent(value: float) -> str:
    return f"{value:.0%}" if isfinite(value) else ""


def seen(found: Sequence[Seen]) -> float:
    """The share of the faults that are seen."""
    return sum(isfinite(s.delay) for s in found) / len(found)


def delay(found: Sequence[Seen]) -> float:
    """The median delay of those that are seen, minutes."""
    return statistics.median([s.delay for s in found if isfinite(s.delay)] or [nan])


def named(found: Sequence[Seen]) -> float:
    """Of the faults for which causes are told, the share whose guilty value comes first."""
    told_ = [s.first for s in found if s.first is not None]
    return sum(told_) / len(told_) if told_ else nan


def by_kind(found: Sequence[Seen]) -> dict[str, object]:
    """What the line keeps: of each kind and strength what is seen, and how soon."""
    kept: dict[str, object] = {}
    for kind in STRENGTHS:
        for level, word in enumerate(WORDS):
            mine = [s for s in found if (s.trial.kind, s.trial.level) == (kind, level)]
            late = delay(mine)
            kept[f"{kind} {word}"] = [round(seen(mine), 2), late if isfinite(late) else None]
    return kept


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rate", type=float, default=200.0, help="requests a minute of a scope")
    parser.add_argument("--healthy", type=int, default=1_440, help="minutes without a fault")
    options = parser.parse_args()
    begun = time.process_time()
    found = [each for seed in options.seeds for each in tried(trials(), seed, options.rate)]
    counted = [false_alarms(seed, options.rate, options.healthy) for seed in options.seeds]
    alarms, days = (sum(column) for column in zip(*counted, strict=True))
    Console(stderr=True, width=100).print(table(found))
    strong = [s for s in found if s.trial.level == len(WORDS) - 1 and not s.trial.target]
    report(
        BENCH,
        round(seen(strong), 3),
        f"of {len(strong)} strong faults seen",
        also=(
            Figure(what="false alarms", value=alarms / days, unit="a scope and day", bar=FALSE),
            Figure(
                what="guilty value first",
                value=named(found),
                unit="of faults of one value",
                bar=FIRST,
                at=">=",
                why="no causes are told",
            ),
        ),
        delay_min=delay(strong),
        by_chance=round(1 - exp(-alarms / days * LASTS / 1_440), 3),
        seen=by_kind(found),
        alarms=alarms,
        scope_days=round(days, 1),
        cpu_s=round(time.process_time() - begun, 1),
    )


if __name__ == "__main__":
    main()
