"""What the detect stage takes a minute, what it remembers, and how often it is right and wrong.

10,000 scopes take a minute's windows, each with the row of its one key, as they come off the topic:
once with four metrics watched, and once with all. Then healthy days of the simulator pass, of
models and rates from 300 to 20,000 requests an hour, with heavy tails and more asked by day than by
night: whatever is told is a false alarm. The same days with a course of their own tell whether that
is known after some. At last there are faults.

python -m bench detect-stage
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bench.faulty import FAULTS, LENGTH, Trial, break_
from bench.healthy import DAY, Minutes, daily, fleet, measure, rows, together
from bench.line import Figure, report
from bench.windows import summary, window
from processors.detect import DetectPolicy, DetectState, fresh, step
from schemas.anomaly import Anomaly
from schemas.codec import Codec, pack
from schemas.flow import Input, Moment
from schemas.registry import LocalRegistry
from schemas.topics import ENRICHED
from schemas.window import MINUTE, EnrichedWindow
from simulator.fleet import Fleet
from streams.worker import GC_AFTER

BENCH = "detect-stage"
POLICY = DetectPolicy()
MOMENT = Moment(now=0, seed=0, epoch=1, partition=0, partitions=1)
SCOPES, KINDS = 10_000, 100  # so many of them have a past of their own
WARM, TIMED = 150, 5  # minutes
ROUND = 5_000  # messages that the engine reads at once
DAYS, LEARNT, FAULTY = 8, 4, 3  # of healthy traffic; until a course is to be known; with faults
FEW, SECONDS, BYTES, FALSE = 4, 1.0, 2_048.0, 0.1


class Passed(NamedTuple):
    """Some minutes of a fleet, and what was told of them."""

    state: DetectState
    told: list[Anomaly]
    judged: int  # values


def run(of: Fleet, minutes: Minutes) -> Passed:
    """Let the stage read the windows of *minutes*."""
    state, told, judged = fresh(), list[Anomaly](), 0
    for found in rows(of, minutes):
        outcome = step(POLICY, state, _inputs(found), MOMENT)
        state, judged = outcome.state, judged + outcome.counts.get("judged", 0)
        told += [emit.value for emit in outcome.emits if emit.value.is_anomaly]
    return Passed(state, told, judged)


def _inputs(found: Sequence[EnrichedWindow]) -> list[Input]:
    return [Input(ENRICHED.name, at, row) for at, row in enumerate(found)]


def minute(policy: DetectPolicy) -> tuple[float, float]:
    """Seconds of a core for a minute of many scopes, the median; bytes that a series is stored in.

    Scopes are many copies of few, with other names; garbage is collected as a worker does.
    """
    gc.freeze()
    gc.set_threshold(*GC_AFTER)
    rng, codec = np.random.default_rng(0), Codec(LocalRegistry())

    def arrive(n: int, scopes: range) -> list[Input]:
        made = [each for i in scopes for each in _pair(rng, i, n)]
        data = [codec.encode(ENRICHED, each) for each in made]
        return _inputs(codec.decode_all(ENRICHED, data, [None] * len(data)))

    few = fresh()
    for n in range(WARM):
        few = step(policy, few, arrive(n, range(KINDS)), MOMENT).state
    kinds = list(few.scopes.values())
    every = {f"s{i}/e": replace(kinds[i % KINDS], scope=f"s{i}/e") for i in range(SCOPES)}
    state, took = DetectState(every), []
    for n in range(WARM, WARM + TIMED):
        took.append(0.0)
        for first in range(0, SCOPES, ROUND // 2):
            inputs = arrive(n, range(first, min(first + ROUND // 2, SCOPES)))
            began = time.process_time()
            state = step(policy, state, inputs, MOMENT).state
            took[-1] += time.process_time() - began
    size = float(np.mean([len(pack(each)) for each in list(state.scopes.values())[:KINDS]]))
    return float(np.median(took)), size / len(policy.watches)


def _pair(rng: np.random.Generator, scope: int, n: int) -> list[EnrichedWindow]:
    """The rows of a minute of a scope that has one key: the key's, and the pooled one."""
    latency, scores, cost = (
        rng.lognormal(6, 0.5, 60),
        rng.normal(90, 5, 12),
        rng.lognormal(-4, 1, 60),
    )
    asked = np.rint(rng.uniform(100, 4_000, 60))
    cached = np.where(rng.random(60) < 0.3, asked // 2, 0.0)
    whole = window(
        service=f"s{scope}",
        endpoint="e",
        start=n * MINUTE,
        end=(n + 1) * MINUTE,
        requests=60,
        success=60,
        metrics={
            "cost_usd": summary(cost, 10**9),
            "cached_tokens": summary(cached, 1),
            "latency_ms": summary(latency),
            "quality": summary(np.clip(scores, 0, 100)),
            "tokens_input": summary(asked, 1),
            "ttft_ms": summary(0.2 * latency),
        },
    )
    key = replace(whole, model="m", provider="p", config_version="v", cohort="")
    total = float(cost.sum())
    return [
        EnrichedWindow(window=each, cost_usd=total, cost_per_request_usd=total / 60)
        for each in (key, whole)
    ]


def found(trials: Sequence[Trial], of: Fleet, told: Sequence[Anomaly]) -> dict[str, list[float]]:
    """Of each kind of fault the share that was told, and after how many minutes, the median."""
    first: dict[tuple[str, str], list[int]] = {}
    for anomaly in told:
        at = (anomaly.start - of.start) // MINUTE
        first.setdefault((anomaly.scope, anomaly.metric), []).append(at)
    table = {}
    for name, fault in FAULTS.items():
        delays = []
        mine = [trial for trial in trials if trial.fault == name]
        for trial in mine:
            scope = of.endpoints[trial.scope].scope
            inside = [
                at - trial.start
                for at in first.get((scope, fault.metric), ())
                if trial.start <= at < trial.start + LENGTH
            ]
            delays += [min(inside)] if inside else []
        late = float(np.median(delays)) if delays else float("nan")
        table[name] = [round(len(delays) / max(len(mine), 1), 2), late, len(mine)]
    return table


def main(days: int) -> None:
    """Measure and report."""
    seconds, _ = minute(DetectPolicy(watches=POLICY.watches[:FEW]))
    every, size = minute(POLICY)
    of = fleet(seed=1)
    minutes = together([measure(of, i, range(days * DAY)) for i in range(len(of.endpoints))])
    scope_days = days * len(of.endpoints)
    healthy = run(of, minutes)
    seasonal = run(of, daily(minutes))
    after = [a for a in seasonal.told if a.start >= of.start + LEARNT * DAY * MINUTE]
    broken, trials = break_(minutes.part(slice(None), slice(0, FAULTY * DAY)))
    faults = found(trials, of, run(of, broken).told)
    known = max(days - LEARNT, 1) * len(of.endpoints)
    report(
        BENCH,
        round(seconds, 3),
        f"s a minute of 10,000 scopes × {FEW} metrics",
        bar=SECONDS,
        also=(
            Figure(
                what=f"all {len(POLICY.watches)} metrics",
                value=round(every, 3),
                unit="s",
                bar=SECONDS * len(POLICY.watches) / FEW,
            ),
            Figure(what="state of a series", value=round(size), unit="B", bar=BYTES),
            Figure(
                what="false alarms",
                value=round(len(healthy.told) / scope_days, 3),
                unit="a scope and day",
                bar=FALSE,
            ),
            Figure(
                what="false alarms by a course of the day that is known",
                value=round(len(after) / known, 3),
                unit="a scope and day",
                bar=FALSE,
            ),
        ),
        scope_days=scope_days,
        judged=healthy.judged,
        told_by={
            name: sum(a.detector == name for a in healthy.told) for name in ("robust_z", "ensemble")
        },
        while_the_course_is_learnt=round(
            (len(seasonal.told) - len(after)) / (LEARNT * len(of.endpoints)), 2
        ),
        faults_share_delay_trials=faults,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.detect_stage")
    parser.add_argument("--days", type=int, default=DAYS, help="of healthy traffic")
    main(parser.parse_args().days)
