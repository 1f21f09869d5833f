"""What is asked, when: the part of the simulation that no config can change."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.faults import Fault, Kind
from simulator.fleet import Endpoint, Fleet, Floats, scramble, scramble_all
from simulator.trace import MINUTE, Ints, azure

CHANCES = 13


@dataclass(frozen=True, slots=True)
class Demand:
    """n requests of one endpoint in one minute, and the chance that will decide their fate.

    Everything here is the same whatever config serves them. `uniform` [CHANCES, n] and `normal`
    [2, n] are used by `serve` and `deliver`, one row for one purpose.
    """

    fleet: Fleet
    index: int  # of the endpoint
    minute: int
    time: Ints  # ms since the epoch, ascending
    number: Ints  # within the minute, for ids
    unit: Ints  # 0 to units − 1
    tokens_input: Ints
    tokens_output: Ints
    cached: Ints  # tokens of the input that the provider has seen in this session
    luck: Floats  # [n] in 0..1, the same for all requests of a session
    load: float  # latency of this minute, relative
    uniform: Floats
    normal: Floats

    @property
    def endpoint(self) -> Endpoint:
        """Whose requests these are."""
        return self.fleet.endpoints[self.index]

    def __len__(self) -> int:
        """How many."""
        return len(self.time)

    def part(self, chosen: slice | npt.NDArray[Any]) -> Demand:
        """Some of the requests, each with its own chance."""
        return Demand(
            self.fleet,
            self.index,
            self.minute,
            self.time[chosen],
            self.number[chosen],
            self.unit[chosen],
            self.tokens_input[chosen],
            self.tokens_output[chosen],
            self.cached[chosen],
            self.luck[chosen],
            self.load,
            self.uniform[:, chosen],
            self.normal[:, chosen],
        )

    def request_id(self, i: int) -> str:
        """The id of the i-th request, the same in every run with the same seed."""
        return f"{self.fleet.seed:x}-{self.index:x}-{self.minute:x}-{self.number[i]:x}"


def demand(fleet: Fleet, index: int, minute: int) -> Demand:
    """What is asked of endpoint *index* in *minute* (from 0); needs nothing but the seed."""
    endpoint = fleet.endpoints[index]
    bits = np.random.Philox(counter=(0, 0, index, minute), key=(fleet.seed, 0))
    rng = np.random.default_rng(bits)
    begin = minute * MINUTE
    trace = azure()
    rate = endpoint.rate * _peak(fleet, endpoint, minute)
    if endpoint.steady:
        n = int(rng.poisson(rate))
        times = np.sort(rng.integers(begin, begin + MINUTE, n))
        rows = rng.integers(0, len(trace.offset), n)
    else:
        phase = scramble(fleet.seed * 65_537 + index) % trace.length
        times, rows = trace.arrivals(rate, begin, begin + MINUTE, rng, phase)
        n = len(times)
    unit, luck = _sessions(fleet, index, minute, rng, n)
    uniform = rng.random((CHANCES, n))
    tokens = np.maximum(1, np.rint(trace.context[rows] * endpoint.input_scale)).astype(np.int64)
    asked = Demand(
        fleet,
        index,
        minute,
        fleet.start + times,
        np.arange(n),
        unit,
        tokens,
        np.maximum(1, np.rint(trace.generated[rows] * endpoint.output_scale)).astype(np.int64),
        np.where(uniform[7] < 0.3, tokens // 2, 0),
        luck,
        float(np.exp(0.06 * np.sin(minute / 7.5 + index) + 0.04 * rng.standard_normal())),
        uniform,
        rng.standard_normal((2, n)),
    )
    return _changed(_made(asked))


def _peak(fleet: Fleet, endpoint: Endpoint, minute: int) -> float:
    """How many times as many requests as usual there may be in a minute."""
    return prod(f.strength for f in _of(fleet, endpoint, minute, {Kind.SURGE}))


def _made(asked: Demand) -> Demand:
    """Those of the requests that are made: more in a surge, fewer when some stay away."""
    faults = active(asked, {Kind.SURGE, Kind.DROP})
    if not faults:
        return asked
    share = np.full(len(asked), 1 / _peak(asked.fleet, asked.endpoint, asked.minute))
    for fault in faults:
        surge = fault.kind is Kind.SURGE
        share[during(asked, fault)] *= fault.strength if surge else 1 - fault.strength
    return asked.part(chance(asked, Kind.SURGE) < share)


def _changed(asked: Demand) -> Demand:
    """The requests as the application makes them now: with longer prompts, or ever new ones."""
    for fault in active(asked, {Kind.BLOAT, Kind.CACHE_MISS}):
        factor = np.ones(len(asked))
        bloat = fault.kind is Kind.BLOAT
        factor[during(asked, fault)] = fault.strength if bloat else 1 - fault.strength
        cached = np.rint(asked.cached * factor).astype(np.int64)
        tokens = np.maximum(1, np.rint(asked.tokens_input * factor)).astype(np.int64)
        asked = replace(asked, cached=cached, tokens_input=tokens if bloat else asked.tokens_input)
    return asked


def active(demand: Demand, kinds: Collection[Kind]) -> list[Fault]:
    """The faults of those kinds that may hit requests of this demand."""
    return _of(demand.fleet, demand.endpoint, demand.minute, kinds)


def _of(fleet: Fleet, endpoint: Endpoint, minute: int, kinds: Collection[Kind]) -> list[Fault]:
    return [
        fault
        for fault in fleet.faults
        if fault.kind in kinds
        and fault.concerns(endpoint.service, endpoint.endpoint)
        and fault.active(minute, minute + 1)
    ]


def during(demand: Demand, fault: Fault) -> npt.NDArray[np.bool_]:
    """Which requests come while the fault lasts."""
    minute = (demand.time - demand.fleet.start) / MINUTE
    hit: npt.NDArray[np.bool_] = (minute >= fault.start) & (minute < fault.end)
    return hit


def chance(demand: Demand, kind: Kind) -> Floats:
    """Whom a fault of a kind hits: [n] in 0..1, the same for a request whatever else goes wrong."""
    number = demand.number + (demand.minute << 20) + (demand.index << 44)
    salt = scramble(demand.fleet.seed * 64 + list(Kind).index(kind)) >> 1
    mixed = scramble_all(number ^ salt)
    return ((mixed >> np.uint64(12)).astype(np.float64) + 0.5) / 2.0**52


def _sessions(
    fleet: Fleet, index: int, minute: int, rng: np.random.Generator, n: int
) -> tuple[Ints, Floats]:
    """Who asks: some seats, each taken by one unit for a session; some ask more than others."""
    endpoint = fleet.endpoints[index]
    seats = max(4, min(endpoint.units, int(endpoint.rate * endpoint.session_minutes / 4)))
    # squared, so that a few seats ask much and most ask little
    seat = (seats * rng.random(n) ** 2).astype(np.int64)
    session = (minute + seat % endpoint.session_minutes) // endpoint.session_minutes
    mixed = scramble_all(seat + (session << 20) + (index << 44) + (fleet.seed << 52))
    return (mixed >> np.uint64(11)).astype(np.int64) % endpoint.units, (
        (mixed & np.uint64(0xFFFFF)).astype(np.float64) / 0x100000
    )
