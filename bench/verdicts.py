"""How often rollouts are taken back wrongly, and how soon rightly; beside how others decide.

Each rollout is simulated request by request (bench/traffic.py) and judged minute by minute through
`observe` and `judge`, as live; the rules of others (bench/rules.py) see the same minutes. Real
latencies and days come from `--data`, by default ../shared/data beside the repository; the folder's
traces are drawn from where they exist.

    python -m bench verdicts
    python -m bench.verdicts [--rollouts 200] [--minutes 1440] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import stats

from bench import rules
from bench.line import Figure, report
from bench.minutes import Minute, rows
from bench.traffic import DATA, Ints, Requests, World, simulate, sources
from processors.actuate.assignment import BROKEN
from processors.actuate.evidence import fresh_evidence, observe, reference
from processors.actuate.judge import Judgement, judge
from schemas.catalog import Step, Strategy
from schemas.rollout import Verdict

BENCH = "verdicts"
OURS = "ours"
SPLIT = "split"  # called broken, which holds a rollout and takes none back
AA = "A/A "
SICK = "30 % errors at 1 %"
STRATEGY = Strategy(name="balanced", steps=(Step(share=0.05, hold_s=300), Step(share=1, hold_s=0)))
RATES = (300, 1_200, 5_000, 20_000)  # requests per hour
WIDE = 140  # columns of the table
SEED = 1_001  # the first; no setting was chosen on these
PAST = 120  # minutes before a rollout
HARMFUL = 120  # minutes that a harmful one is followed
AT_RATES = tuple(f"{AA}{rate}" for rate in RATES)
LEVEL, UPPER = 0.05, 0.06  # of the false rollbacks, and of the bound of their rate
BAD = 100  # requests
PLAIN: Mapping[str, Any] = {  # 100 requests per minute and arm, at half of the units each
    "per_hour": 12_000.0,
    "session": 1.0,
    "bursts": 0.1,
    "season": np.ones(1),
}
HARMS: Mapping[str, tuple[dict[str, Any], float, float]] = {  # metric → harm, bar, stretch
    "errors": ({"candidate_errors": 0.03}, 900, 700),
    "latency": ({"slower": 1.2}, 400, 200),
    "quality": ({"quality": 0.95}, 600, 500),
    "cost": ({"dearer": 1.15}, 600, 400),
}
SCENARIOS: Mapping[str, dict[str, Any]] = {  # at 5,000 requests per hour
    "all depends on the load": {"loaded": 0.5},
    "5:95": {},
    "no errors at all": {"errors": 0.0, "candidate_errors": 0.0, "trouble": False},
    "a tenth of the scores late": {"late": 0.1},
}
OUTAGES = "outages at 10,000 a minute"
OUTAGE: Mapping[str, Any] = {  # each fifth minute everything fails in both cohorts
    "per_hour": 600_000.0,
    "session": 1.0,
    "bursts": 0.1,
    "season": np.ones(1),
    "outages": 0.2,
    "outage_errors": 1.0,
}
OUTAGE_MINUTES = 10  # that a rollout at 5 % is followed there


@dataclass(frozen=True)
class Hit:
    """A rollback: after which minute, and what the candidate had served by then."""

    minute: int
    requests: int
    bad: int
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One rollout to simulate: its world but for provider and day, which the seed names."""

    changes: tuple[tuple[str, Any], ...]
    shares: tuple[int, ...]  # of 10,000 units, by minute
    seed: int
    data: Path
    metric: str = ""  # only a rollback for this guardrail counts


Hits = Mapping[str, Hit | None]  # by rule


def looks(
    world: World, shares: Ints, seed: int, strategy: Strategy = STRATEGY
) -> Iterator[tuple[int, int, Judgement]]:
    """Roll out minute by minute: (minute, requests of the candidate so far, judgement)."""
    return judged(rows(simulate(world, shares, seed)), rows(past(world, seed)), shares, strategy)


def past(world: World, seed: int) -> Requests:
    """The two hours before, in which nobody knew of a candidate."""
    return simulate(world, np.zeros(PAST, dtype=np.int64), seed + 10**6)


def judged(
    minutes: Sequence[Minute], earlier: Sequence[Minute], shares: Ints, strategy: Strategy
) -> Iterator[tuple[int, int, Judgement]]:
    """Take the minutes in one by one, and judge after each."""
    known = reference([row for stable, _ in earlier for row in stable])
    evidence = fresh_evidence()
    for i, (stable, candidate) in enumerate(minutes):
        evidence = observe(evidence, stable, candidate, int(shares[i]), known, i)
        yield i, evidence.candidate_requests, judge(strategy, evidence)


def rolled_out(job: Job) -> Hits:
    """Simulate a rollout once, and let everybody decide on it."""
    world = _sources(job.data).world(job.seed, **dict(job.changes))
    shares = np.array(job.shares)
    requests, earlier = simulate(world, shares, job.seed), past(world, job.seed)
    seen, known = rules.minutes(requests), rules.before(earlier)
    served = np.cumsum(seen.requests[:, 1]).astype(int).tolist()
    bad = np.cumsum(seen.failed[:, 1]).astype(int).tolist()
    found: dict[str, Hit | None] = {OURS: None, SPLIT: None}
    for minute, _, judgement in judged(rows(requests), rows(earlier), shares, STRATEGY):
        if BROKEN in judgement.doubt and found[SPLIT] is None:
            found[SPLIT] = Hit(minute, served[minute], bad[minute])
        names = tuple(g.metric for g in judgement.guardrails if g.verdict is Verdict.FAIL)
        if names and job.metric in ("", *names):
            found[OURS] = Hit(minute, served[minute], bad[minute], names)
            break
    for name, rule in rules.RULES.items():
        at = rule(seen, known)
        found[name] = None if at is None else Hit(at, served[at], bad[at])
    return found


@cache
def _sources(data: Path) -> Any:
    return sources(data)


def ladder(minutes: int) -> Ints:
    """5 %, 25 %, then 50 % until the end."""
    at = np.arange(minutes)
    return np.where(at < 60, 500, np.where(at < 180, 2_500, 5_000))


def upper(wrong: int, n: int) -> float:
    """The upper end of the exact two-sided 95 % interval of a rate (Clopper & Pearson 1934)."""
    return float(stats.binomtest(wrong, n).proportion_ci(0.95, "exact").high)


@dataclass(frozen=True)
class Plan:
    """What is simulated, in which order it comes back."""

    jobs: tuple[Job, ...]
    names: tuple[str, ...]  # of each job


def plan(rollouts: int, scenario_rollouts: int, harmful: int, minutes: int, data: Path) -> Plan:
    """Identical candidates at each rate and scenario, then harmful ones."""
    jobs: list[Job] = []
    names: list[str] = []

    def add(name: str, n: int, shares: Ints, metric: str = "", **changes: Any) -> None:
        for seed in range(SEED, SEED + n):
            jobs.append(Job(tuple(changes.items()), tuple(shares.tolist()), seed, data, metric))
            names.append(name)

    for rate in reversed(RATES):  # the long ones first
        add(f"{AA}{rate}", rollouts, ladder(minutes), per_hour=float(rate))
    for name, changes in SCENARIOS.items():
        shares = np.full(minutes, 500) if name == "5:95" else ladder(minutes)
        add(f"{AA}{name}", scenario_rollouts, shares, per_hour=5_000.0, **changes)
    short = np.full(min(minutes, OUTAGE_MINUTES), 500)
    add(f"{AA}{OUTAGES}", scenario_rollouts, short, **OUTAGE)
    for metric, (harm, _, _) in HARMS.items():
        add(metric, harmful, np.full(HARMFUL, 5_000), metric, **PLAIN, **harm)
        sessions = {**PLAIN, "session": 4.0, "bursts": 1.0}
        add(
            f"{metric}, sessions",
            -(-harmful // 3),
            np.full(HARMFUL, 5_000),
            metric,
            **sessions,
            **harm,
        )
    late = {**PLAIN, **HARMS["quality"][0], "late": 0.1}
    add("quality, a tenth late", harmful, np.full(HARMFUL, 5_000), "quality", **late)
    add(SICK, harmful, np.full(HARMFUL, 100), per_hour=12_000.0, candidate_errors=0.3)
    return Plan(tuple(jobs), tuple(names))


def run(made: Plan) -> dict[str, list[Hits]]:
    """Simulate everything, on every core."""
    found: dict[str, list[Hits]] = {}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        each = pool.map(rolled_out, made.jobs, chunksize=4)
        for name, hits in zip(made.names, each, strict=True):
            found.setdefault(name, []).append(hits)
    return found


def wrong(hits: Sequence[Hits], rule: str, minutes: int = 10**9) -> int:
    """How many a rule rolled back, within so many minutes."""
    found = [each[rule] for each in hits]
    return sum(hit is not None and hit.minute < minutes for hit in found)


def median(hits: Sequence[Hits], rule: str, what: str = "requests") -> float:
    """The median of a rule's hits; infinite when it missed half of them."""
    found = [each[rule] for each in hits]
    return statistics.median(math.inf if hit is None else getattr(hit, what) for hit in found)


def summary(found: Mapping[str, list[Hits]], rule: str) -> dict[str, Any]:
    """What a rule did: rolled back of identical ones, and how soon of harmful ones."""
    identical = {name: hits for name, hits in found.items() if name.startswith(AA)}
    return {
        "wrong": {name: wrong(hits, rule) for name, hits in identical.items()},
        "wrong_within_an_hour": {n: wrong(hits, rule, 60) for n, hits in identical.items()},
        "requests_until_rollback": {
            n: _finite(median(h, rule)) for n, h in found.items() if not n.startswith(AA)
        },
        "bad_requests_at_1_percent": _finite(median(found[SICK], rule, "bad")),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def figures(found: Mapping[str, list[Hits]]) -> list[Figure]:
    """What was promised beside the rate itself, each with its bar."""
    told: list[Figure] = []
    for name, hits in found.items():
        if not name.startswith(AA):
            continue
        n, k = len(hits), wrong(hits, OURS)
        told.append(Figure(what=name, value=k / n, unit=f"of {n} rolled back", bar=LEVEL))
    identical = [each for name in AT_RATES for each in found[name]]
    bound = upper(wrong(identical, OURS), len(identical))
    told.append(
        Figure(what="upper bound", value=round(bound, 4), unit="of identical, 95 %", bar=UPPER)
    )
    doubted = wrong(identical, SPLIT) / len(identical)
    told.append(Figure(what="split called broken", value=doubted, unit="of identical", bar=0.01))
    for metric, (_, bar, _) in HARMS.items():
        value = median(found[metric], OURS)
        told.append(
            Figure(
                what=metric,
                value=value if math.isfinite(value) else math.nan,
                unit="requests per arm, median",
                bar=bar,
                why="half of them were not found",
            )
        )
    bad = median(found[SICK], OURS, "bad")
    return [*told, Figure(what=SICK, value=bad, unit="bad requests, median", bar=BAD)]


def table(found: Mapping[str, list[Hits]]) -> Table:
    """Ours beside theirs: rolled back wrongly, and requests per arm until it was right."""
    shown = Table(box=None, pad_edge=False)
    shown.add_column("")
    for rule in (OURS, *rules.RULES):
        shown.add_column(rule, justify="right")
    for name, hits in found.items():
        identical = name.startswith(AA)
        shown.add_row(
            name,
            *(
                f"{wrong(hits, rule) / len(hits):.1%} ({wrong(hits, rule, 60) / len(hits):.0%})"
                if identical
                else _count(median(hits, rule))
                for rule in (OURS, *rules.RULES)
            ),
        )
    shown.add_row(
        "  of which bad", *(_count(median(found[SICK], r, "bad")) for r in (OURS, *rules.RULES))
    )
    return shown


def _count(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else "not found"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rollouts", type=int, default=200, help="at each rate of traffic")
    parser.add_argument("--scenarios", type=int, default=40, help="rollouts of each scenario")
    parser.add_argument("--harmful", type=int, default=301, help="rollouts of each harm")
    parser.add_argument("--minutes", type=int, default=1_440, help="looks at a rollout")
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    begun = time.monotonic()
    found = run(
        plan(options.rollouts, options.scenarios, options.harmful, options.minutes, options.data)
    )
    console = Console(stderr=True, width=WIDE)
    console.print(
        "Rolled back though identical (in the first hour); requests per arm until it was right:"
    )
    console.print(table(found))
    causes = Counter(
        metric
        for name, hits in found.items()
        if name.startswith(AA)
        for each in hits
        if (hit := each[OURS]) is not None
        for metric in hit.metrics
    )
    at_rates = [each for name in AT_RATES for each in found[name]]
    k = wrong(at_rates, OURS)
    report(
        BENCH,
        k / len(at_rates),
        f"of {len(at_rates)} identical candidates rolled back",
        bar=LEVEL,
        also=figures(found),
        upper={
            name: round(upper(wrong(found[name], OURS), len(found[name])), 4) for name in AT_RATES
        },
        causes=dict(sorted(causes.items())),
        rules={rule: summary(found, rule) for rule in (OURS, *rules.RULES)},
        looks=options.minutes,
        drawn_from=sources(options.data).names,
        seconds=round(time.monotonic() - begun),
    )


if __name__ == "__main__":
    main()
