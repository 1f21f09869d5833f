"""Traffic of two cohorts, request by request, on what real LLM traffic looks like.

Sessions of 1 to 20 requests whose unit is slow, able, big or unlucky as a whole; minutes as uneven
as those of a real trace, over a real day; common slow spells and outages. Tokens are drawn from the
trace, latencies from measurements of one provider where there are any.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.line import ROOT
from schemas.scope import BUCKETS
from simulator.trace import azure

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
DATA = ROOT.parent / "shared" / "data"  # real traces, where they are; never part of the project
DAY = 1_440  # minutes
FEWEST = 50  # answers of a provider without an error, to be drawn from
JITTER = 0.02  # standard deviation of the log latency about the measurement that is drawn


@dataclass(frozen=True, kw_only=True)
class World:
    """What traffic is like; the candidate differs from stable by the last four."""

    per_hour: float = 6_000.0
    session: float = 4.0  # mean requests of a session, geometric up to 20; 1: no sessions
    bursts: float = 1.0  # coefficient of variation of the rate, minute by minute
    season: Floats = field(default_factory=lambda: np.ones(1))  # of the rate over the day, mean 1
    loaded: float = 0.0  # by how much latency, cost and errors grow with the rate
    users: int = 0  # units that come back all day; 0: a new unit per session
    latencies: Floats = field(default_factory=lambda: _by_tokens()[1])  # ms, to draw from
    tokens: Floats = field(default_factory=lambda: _by_tokens()[0])  # [n, 2] in and out
    scored: float = 1.0  # part of the answers that get a quality score
    late: float = 0.0  # part of the scores that come after their minute was judged
    trouble: bool = True  # outages of everything, and unlucky units
    outages: float = 0.003  # part of the minutes that are one
    outage_errors: float = 0.3  # error rate in them, of both cohorts
    errors: float = 0.01
    candidate_errors: float = 0.01
    slower: float = 1.0
    dearer: float = 1.0
    quality: float = 1.0


@dataclass(frozen=True)
class Requests:
    """n requests, in columns."""

    minutes: int
    minute: Ints
    arm: Ints  # 0 stable, 1 candidate
    bucket: Ints
    failed: npt.NDArray[np.bool_]
    latency_ms: Floats
    cost_usd: Floats
    quality: Floats  # NaN: not scored
    late: npt.NDArray[np.bool_]  # the score comes late


@dataclass(frozen=True)
class Sources:
    """Real latencies and days; without data, what follows from the packaged trace."""

    latencies: tuple[Floats, ...]
    days: tuple[Floats, ...]
    names: tuple[str, ...]

    def world(self, seed: int, **changes: Any) -> World:
        """Another provider and another day for each *seed*."""
        real = World(
            latencies=self.latencies[seed % len(self.latencies)],
            season=self.days[seed % len(self.days)],
        )
        return World(**{**vars(real), **changes})


def sources(data: Path = DATA) -> Sources:
    """What to draw from: the folder *data* where it exists, and always the packaged trace.

    Latencies that follow the trace's tokens are one of the sources, the only one without data;
    the day is then a plain one that doubles and halves.
    """
    latencies, names = [_by_tokens()[1]], ["azure tokens"]
    for file in sorted((data / "traces" / "provider-latency").glob("*.json")):
        answers = [row for row in json.loads(file.read_text("utf-8")) if not row["error_code"]]
        found = np.array([1_000.0 * row["end_to_end_latency_s"] for row in answers])
        if found.size >= FEWEST:
            latencies.append(found)
            names.append(file.stem)
    rates: Floats = np.zeros(0)
    for file in sorted((data / "traces" / "servegen" / "m-small").glob("*.csv")):
        column = np.nan_to_num(np.genfromtxt(file, delimiter=",", usecols=[1]))
        rates = column if not rates.size else rates + column
    if rates.size:
        names.append("servegen m-small")
        days = tuple(day / day.mean() for day in rates.reshape(-1, DAY // 10))
    else:
        hours = np.arange(24) / 24
        days = (1.0 - 0.6 * np.cos(2 * np.pi * hours),)
    return Sources(tuple(latencies), days, tuple(names))


def _by_tokens() -> tuple[Floats, Floats]:
    """Tokens [n, 2] of the trace; latencies [n]: a first token after 400 ms, then 9 ms each."""
    trace = azure()
    tokens = np.column_stack((trace.context, trace.generated)).astype(np.float64)
    return tokens, 400.0 + 9.0 * tokens[:, 1]


def simulate(world: World, shares: Ints, seed: int) -> Requests:
    """Draw the requests of len(shares) minutes, the candidate's share of the units per minute.

    The minutes begin at an hour of the day that the seed draws.
    """
    rng = np.random.default_rng(seed)
    minutes = len(shares)
    mean = world.session
    begun = int(rng.integers(DAY))
    clock = (begun + np.arange(minutes)) % DAY
    season = world.season[clock * world.season.size // DAY]
    shape = 1.0 / max(world.bursts, 1e-3) ** 2
    rate = world.per_hour / 60 / mean * season * rng.gamma(shape, 1 / shape, minutes)
    starts = np.repeat(np.arange(minutes), rng.poisson(rate))
    n = starts.size
    size = np.minimum(rng.geometric(1.0 / mean, n), 20)
    identity = rng.integers(0, world.users, n) if world.users else np.arange(n)
    people = world.users or n
    # Errors are known by another hash of the unit than the one that decides its cohort.
    buckets = np.random.default_rng((seed, 1)).integers(0, BUCKETS, people)
    clustered = float(mean > 1.0)
    unit = _Units(
        home=rng.integers(0, BUCKETS, people)[identity],
        bucket=buckets[identity],
        slow=(clustered * rng.normal(0, 0.15, people))[identity],
        able=(clustered * rng.normal(0, 4.0, people))[identity],
        big=(clustered * rng.normal(0, 0.3, people))[identity],
        unlucky=(rng.random(people) < 0.02 * clustered * world.trouble)[identity],
    )
    who = np.repeat(np.arange(n), size)
    first = np.repeat(np.cumsum(size) - size, size)
    walked = np.cumsum(rng.exponential(20.0, who.size))
    minute = (starts[who] * 60 + rng.random(n)[who] * 60 + walked - walked[first]) // 60
    kept = minute < minutes
    who, minute = who[kept], minute[kept].astype(np.int64)
    arm = (unit.home[who] < shares[minute]).astype(np.int64)
    return _answers(world, rng, (minute, arm, who), unit, season)


@dataclass(frozen=True)
class _Units:
    home: Ints  # bucket of the rollout's salt: in which cohort it is
    bucket: Ints  # that its errors are told by
    slow: Floats  # log
    able: Floats  # points
    big: Floats  # log
    unlucky: npt.NDArray[np.bool_]


def _answers(
    world: World,
    rng: np.random.Generator,
    asked: tuple[Ints, Ints, Ints],
    unit: _Units,
    season: Floats,
) -> Requests:
    minute, arm, who = asked
    n, minutes = minute.size, len(season)
    load = world.loaded * (season - 1.0)
    spell = 0.3 * (rng.random(minutes) < 0.05) + rng.normal(0, 0.05, minutes) + load
    outage = rng.random(minutes) < world.outages * world.trouble
    drawn = world.latencies[rng.integers(0, len(world.latencies), n)]
    noise = rng.normal(0, JITTER, n) + unit.slow[who] + spell[minute]
    used = world.tokens[rng.integers(0, len(world.tokens), n)]
    cost = (2.5 * used[:, 0] + 10.0 * used[:, 1]) / 1e6 * np.exp(unit.big[who] + load[minute])
    score = np.clip(100 - rng.gamma(2.0, 6.0, n) + unit.able[who], 0, 100)
    worse = arm == 1
    risk = np.where(worse, world.candidate_errors, world.errors) * np.exp(load)[minute]
    risk = np.where(unit.unlucky[who], np.maximum(risk, 0.3), risk)
    risk = np.where(outage[minute], np.maximum(risk, world.outage_errors), risk)
    return Requests(
        minutes=minutes,
        minute=minute,
        arm=arm,
        bucket=unit.bucket[who],
        failed=rng.random(n) < risk,
        latency_ms=drawn * np.exp(noise) * np.where(worse, world.slower, 1.0),
        cost_usd=cost * np.where(worse, world.dearer, 1.0),
        quality=np.where(
            rng.random(n) < world.scored, score * np.where(worse, world.quality, 1.0), np.nan
        ),
        late=rng.random(n) < world.late,
    )
