"""How often rollouts are taken back wrongly, and how soon rightly: one JSON line.

Rollouts are simulated request by request: sessions of 1 to 20 requests whose unit is slow or
unlucky as a whole, bursts, common slow spells and outages, resampled tokens of real LLM traffic,
and real latencies where `--data` names measurements of one provider. Each minute goes through
`observe` and `judge`, as live.

    python -m bench.verdicts [--rollouts 100] [--minutes 1000] [--data FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.line import report
from bench.windows import window
from processors.actuate.evidence import fresh_evidence, observe, reference
from processors.actuate.judge import Judgement, judge
from processors.sketch import buckets
from schemas.catalog import Step, Strategy
from schemas.partial import METRICS
from schemas.rollout import Verdict
from schemas.window import (
    MINUTE,
    EnrichedWindow,
    Histogram,
    MetricSummary,
)
from simulator.trace import azure

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
BENCH = "verdicts"
UNITS = dict(METRICS)
BAR = 0.09  # of 100 rollouts 9: the 97th percentile of what a rate of exactly 5 % would give
STRATEGY = Strategy(name="balanced", steps=(Step(share=0.05, hold_s=300), Step(share=1, hold_s=0)))


@dataclass(frozen=True)
class World:
    """What traffic is like; the candidate differs from stable by the last five."""

    per_hour: float = 6_000.0
    session: float = 4.0  # mean requests of a session, geometric up to 20; 1: no sessions
    bursts: float = 0.5  # coefficient of variation of the rate, minute by minute
    users: int = 0  # units that come back all day; 0: a new unit per session
    latencies: tuple[float, ...] = ()  # ms, to draw from
    tokens: tuple[tuple[float, float], ...] = ()
    scored: float = 1.0  # part of the answers that get a quality score
    errors: float = 0.01
    candidate_errors: float = 0.01
    slower: float = 1.0
    dearer: float = 1.0
    quality: float = 1.0


@dataclass(frozen=True)
class Requests:
    """n requests, in columns."""

    minute: Ints
    arm: Ints  # 0 stable, 1 candidate
    bucket: Ints
    failed: npt.NDArray[np.bool_]
    latency_ms: Floats
    cost_usd: Floats
    quality: Floats  # NaN: not scored


def simulate(world: World, shares: Ints, seed: int) -> Requests:
    """Draw the requests of len(shares) minutes, the candidate's share of the units per minute."""
    rng = np.random.default_rng(seed)
    minutes = len(shares)
    mean = world.session
    shape = 1.0 / max(world.bursts, 1e-3) ** 2
    rate = world.per_hour / 60 / mean * rng.gamma(shape, 1 / shape, minutes)
    starts = np.repeat(np.arange(minutes), rng.poisson(rate))
    n = starts.size
    size = np.minimum(rng.geometric(1.0 / mean, n), 20)
    identity = rng.integers(0, world.users, n) if world.users else np.arange(n)
    people = world.users or n
    home = rng.integers(0, 10_000, people)[identity]
    clustered = float(mean > 1.0)
    slow = (clustered * rng.normal(0, 0.15, people))[identity]
    able = (clustered * rng.normal(0, 4.0, people))[identity]
    big = (clustered * rng.normal(0, 0.3, people))[identity]
    unlucky = (rng.random(people) < 0.02 * clustered)[identity]
    who = np.repeat(np.arange(n), size)
    first = np.repeat(np.cumsum(size) - size, size)
    pauses = rng.exponential(20.0, who.size)
    walked = np.cumsum(pauses)
    minute = (starts[who] * 60 + rng.random(n)[who] * 60 + walked - walked[first]) // 60
    kept = minute < minutes
    who, minute = who[kept], minute[kept].astype(np.int64)
    arm = (home[who] < shares[minute]).astype(np.int64)
    person = (home[who], slow[who], able[who], big[who], unlucky[who])
    return _answers(world, rng, minute, arm, person)


def _answers(
    world: World, rng: np.random.Generator, minute: Ints, arm: Ints, person: tuple[Any, ...]
) -> Requests:
    home, slow, able, big, unlucky = person
    n, minutes = minute.size, int(minute.max(initial=0)) + 1
    spell = 0.3 * (rng.random(minutes) < 0.05) + rng.normal(0, 0.05, minutes)
    outage = rng.random(minutes) < 0.003
    pool = np.array(world.latencies) if world.latencies else np.exp(rng.normal(7.6, 0.5, 2000))
    tokens = (
        np.array(world.tokens)
        if world.tokens
        else np.exp(np.column_stack((rng.normal(7, 0.8, 2000), rng.normal(5, 0.6, 2000))))
    )
    latency = pool[rng.integers(0, len(pool), n)] * np.exp(slow + spell[minute])
    used = tokens[rng.integers(0, len(tokens), n)]
    cost = (2.5 * used[:, 0] + 10.0 * used[:, 1]) / 1e6 * np.exp(big)
    score = np.clip(100 - rng.gamma(2.0, 6.0, n) + able, 0, 100)
    risk = np.where(arm == 1, world.candidate_errors, world.errors)
    risk = np.where(unlucky, np.maximum(risk, 0.3), risk)
    risk = np.where(outage[minute], np.maximum(risk, 0.3), risk)
    worse = arm == 1
    return Requests(
        minute=minute,
        arm=arm,
        bucket=home,
        failed=rng.random(n) < risk,
        latency_ms=latency * np.where(worse, world.slower, 1.0),
        cost_usd=cost * np.where(worse, world.dearer, 1.0),
        quality=np.where(
            rng.random(n) < world.scored, score * np.where(worse, world.quality, 1.0), np.nan
        ),
    )


def windows(requests: Requests, minutes: int) -> list[tuple[list[Any], list[Any]]]:
    """The rows of the two arms, minute by minute; an arm without requests has none."""
    cell = requests.minute * 2 + requests.arm
    counts = np.bincount(cell, minlength=2 * minutes)
    failed = np.bincount(cell, weights=requests.failed, minlength=2 * minutes).astype(np.int64)
    metrics = {
        name: _summaries(cell, getattr(requests, name), UNITS[name], 2 * minutes)
        for name in ("latency_ms", "cost_usd", "quality")
    }
    pairs = np.unique(cell[requests.failed] * 10_000 + requests.bucket[requests.failed])
    cuts = np.searchsorted(pairs, np.arange(2 * minutes + 1) * 10_000)
    units = (pairs % 10_000).tolist()
    out: list[tuple[list[Any], list[Any]]] = []
    for minute in range(minutes):
        arms: tuple[list[Any], list[Any]] = ([], [])
        for arm in (0, 1):
            i = 2 * minute + arm
            if counts[i]:
                arms[arm].append(
                    row(
                        cohort=("stable", "candidate")[arm],
                        minute=minute,
                        requests=int(counts[i]),
                        errors=int(failed[i]),
                        error_units=tuple(units[cuts[i] : cuts[i + 1]]),
                        metrics={k: x for k, v in metrics.items() if (x := v[i]) is not None},
                    )
                )
        out.append(arms)
    return out


def row(
    *,
    cohort: str,
    minute: int,
    requests: int,
    errors: int,
    error_units: tuple[int, ...],
    metrics: dict[str, MetricSummary],
) -> EnrichedWindow:
    """One enriched row of one minute."""
    made = window(
        service="s",
        endpoint="e",
        model="m",
        provider="p",
        config_version="v",
        cohort=cohort,
        start=minute * MINUTE,
        end=(minute + 1) * MINUTE,
        watermark=(minute + 1) * MINUTE,
        requests=requests,
        success=requests - errors,
        errors=errors,
        error_units=error_units,
        metrics=metrics,
    )
    return EnrichedWindow(window=made, cost_usd=None, cost_per_request_usd=None)


def _summaries(cell: Ints, values: Floats, unit: int, cells: int) -> list[MetricSummary | None]:
    known = ~np.isnan(values)
    cell, values = cell[known], values[known]
    n = np.bincount(cell, minlength=cells)
    total = np.bincount(cell, weights=values, minlength=cells)
    mean = total / np.maximum(n, 1)
    spread = np.bincount(cell, weights=(values - mean[cell]) ** 2, minlength=cells)
    deviation = np.sqrt(spread / np.maximum(n - 1, 1))
    bucket = buckets(np.rint(values * unit).astype(np.int64)) + 1
    codes, counts = np.unique(cell * 65_536 + bucket, return_counts=True)
    cuts = np.searchsorted(codes, np.arange(cells + 1) * 65_536)
    bucket_list, count_list = (codes % 65_536 - 1).tolist(), counts.tolist()
    return [
        MetricSummary(
            count=int(n[i]),
            sum=float(total[i]),
            mean=float(mean[i]),
            min=0.0,
            max=0.0,
            stddev=float(deviation[i]),
            p50=0.0,
            p90=0.0,
            p95=0.0,
            p99=0.0,
            histogram=Histogram(
                tuple(bucket_list[cuts[i] : cuts[i + 1]]), tuple(count_list[cuts[i] : cuts[i + 1]])
            ),
        )
        if n[i]
        else None
        for i in range(cells)
    ]


def looks(
    world: World, shares: Ints, seed: int, strategy: Strategy = STRATEGY
) -> Iterator[tuple[int, int, Judgement]]:
    """Roll out minute by minute: (minute, requests of the candidate so far, judgement)."""
    quiet = replace(world, candidate_errors=world.errors, slower=1.0, dearer=1.0, quality=1.0)
    before = windows(simulate(quiet, np.zeros(120, dtype=np.int64), seed + 10**6), 120)
    past = reference([r for stable, _ in before for r in stable])
    evidence = fresh_evidence()
    for minute, (stable, candidate) in enumerate(
        windows(simulate(world, shares, seed), len(shares))
    ):
        evidence = observe(
            evidence, stable, candidate, int(shares[minute]), past, seed * 10_000 + minute
        )
        yield minute, evidence.candidate_requests, judge(strategy, evidence)


def ladder(minutes: int) -> Ints:
    """5 %, 25 %, then 50 % until the end."""
    at = np.arange(minutes)
    return np.where(at < 60, 500, np.where(at < 180, 2_500, 5_000))


def failed(world: World, shares: Ints, seed: int) -> tuple[int, int, tuple[str, ...]] | None:
    """(minute, requests of the candidate, guardrails) at the rollback, None without one."""
    for minute, n, judgement in looks(world, shares, seed):
        if judgement.verdict is Verdict.FAIL:
            names = [g.metric for g in judgement.guardrails if g.verdict is Verdict.FAIL]
            return minute, n, tuple(names)
    return None


def reach(world: World, metric: str, seeds: Sequence[int], minutes: int = 60) -> float:
    """Median requests per arm until *metric* fails, at 100 requests per minute and arm."""
    half = np.full(minutes, 5_000)
    found: list[float] = []
    for seed in seeds:
        hit = float("inf")
        for _, n, judgement in looks(world, half, seed):
            if any(g.metric == metric and g.verdict is Verdict.FAIL for g in judgement.guardrails):
                hit = n
                break
        found.append(hit)
    return statistics.median(found)


def real(latencies: Path | None = None) -> dict[str, Any]:
    """Tokens of the simulator's trace to draw from, and latencies where a file has them.

    Args:
        latencies: A JSON array of objects with `end_to_end_latency_s`.
    """
    trace = azure()
    pairs = zip(trace.context.tolist(), trace.generated.tolist(), strict=True)
    found: dict[str, Any] = {"tokens": tuple((float(i), float(o)) for i, o in pairs)}
    if latencies is not None:
        rows = json.loads(latencies.read_text())
        found["latencies"] = tuple(
            1000.0 * r["end_to_end_latency_s"] for r in rows if r.get("end_to_end_latency_s")
        )
    return found


def powers(world: World, seeds: Sequence[int]) -> dict[str, float]:
    """The median requests per arm of each row of the reach table."""
    plain = replace(world, per_hour=12_000.0, session=1.0, bursts=0.1)
    return {
        "errors": reach(replace(plain, candidate_errors=0.03), "errors", seeds),
        "latency": reach(replace(plain, slower=1.2), "latency", seeds),
        "quality": reach(replace(plain, quality=0.95), "quality", seeds),
        "cost": reach(replace(plain, dearer=1.15), "cost", seeds),
    }


def bad_requests(world: World, seeds: Sequence[int]) -> float:
    """Median failed requests of the candidate at a 1 % step with 30 % errors."""
    sick = replace(world, per_hour=12_000.0, candidate_errors=0.3)
    bad: list[float] = []
    for seed in seeds:
        hit = failed(sick, np.full(240, 100), seed)
        bad.append(hit[1] if hit else float("inf"))
    return statistics.median(bad)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rollouts", type=int, default=100)
    parser.add_argument("--minutes", type=int, default=1_000)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    found = real(options.data)
    if options.data is None:
        print("no --data: latencies are drawn from a lognormal")
    world = World(**found)
    begun = time.process_time()
    wrong: dict[str, int] = {}
    causes: dict[str, int] = {}
    for per_hour in (300, 3_000, 20_000):
        busy = replace(world, per_hour=float(per_hour))
        hits = [failed(busy, ladder(options.minutes), s) for s in range(1, options.rollouts + 1)]
        wrong[str(per_hour)] = sum(hit is not None for hit in hits)
        for hit in hits:
            for name in hit[2] if hit else ():
                causes[name] = causes.get(name, 0) + 1
    spent = time.process_time() - begun
    report(
        BENCH,
        max(wrong.values()) / options.rollouts,
        "of identical candidates rolled back, at the worst rate of traffic",
        bar=BAR,
        rollouts=options.rollouts,
        minutes=options.minutes,
        wrong=wrong,
        causes=causes,
        requests_until_rollback=powers(world, range(1, 22)),
        requests_until_rollback_at_1_percent=bad_requests(world, range(1, 22)),
        cpu_s=round(spent, 1),
    )


if __name__ == "__main__":
    main()
