"""Who asks what, when: the part of the simulation that no config can change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.scope import ALL, bucket_of, scope_of
from simulator.faults import Fault
from simulator.profiles import PROFILES
from simulator.trace import MINUTE, Ints, azure

Floats = npt.NDArray[np.float64]
CHANCES = 13
TRUTHS = ("quality", "quality_sd", "latency", "error_rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint of one application and its users.

    `truth` says for a model (`provider/model`, or `*` for all but the default) what is different
    here from its profile: quality (0–100, mean), quality_sd, latency (times the profile's),
    error_rate.

    Raises:
        ValueError: A model or a truth is not known, or a number makes no sense.
    """

    service: str
    endpoint: str
    rate: float  # requests per minute
    default: str  # provider/model while no config says otherwise
    units: int = 2_000  # users
    truth: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    difficulty: float = 0.5  # share of a profile's missing quality that shows here
    input_scale: float = 1.0  # of the trace's tokens
    output_scale: float = 1.0
    quality_share: float = 0.2  # of the answers that are scored
    session_minutes: int = 6
    reports_cost: bool = True
    steady: bool = False  # Poisson arrivals instead of the bursts of the trace

    def __post_init__(self) -> None:
        """Check."""
        for model in (self.default, *(name for name in self.truth if name != ALL)):
            if model not in PROFILES:
                raise ValueError(f"{self.scope}: {model!r} is none of {', '.join(PROFILES)}.")
        for model, truth in self.truth.items():
            for name in set(truth) - set(TRUTHS):
                raise ValueError(f"{self.scope}: {model} has no {name!r}, only {TRUTHS}.")
        if self.rate <= 0 or self.units <= 0 or self.session_minutes <= 0:
            raise ValueError(f"{self.scope}: rate, units and session_minutes must be above 0.")
        if not 0 <= self.quality_share <= 1 or not 0 <= self.difficulty <= 1:
            raise ValueError(f"{self.scope}: quality_share and difficulty are 0 to 1.")

    @property
    def scope(self) -> str:
        """`service/endpoint`."""
        return scope_of(self.service, self.endpoint)

    def true_of(self, model: str) -> Mapping[str, float]:
        """What is different of *model* here."""
        others = self.truth.get(ALL, {}) if model != self.default else {}
        return {**others, **self.truth.get(model, {})}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All endpoints, the faults, and the seed that all chance comes from."""

    endpoints: tuple[Endpoint, ...]
    faults: tuple[Fault, ...] = ()
    seed: int = 1
    start: int = 1_700_000_040_000  # ms since the epoch, of minute 0


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
    if endpoint.steady:
        n = int(rng.poisson(endpoint.rate))
        times = np.sort(rng.integers(begin, begin + MINUTE, n))
        rows = rng.integers(0, len(trace.offset), n)
    else:
        phase = scramble(fleet.seed * 65_537 + index) % trace.length
        times, rows = trace.arrivals(endpoint.rate, begin, begin + MINUTE, rng, phase)
        n = len(times)
    unit, luck = _sessions(fleet, index, minute, rng, n)
    uniform = rng.random((CHANCES, n))
    tokens = np.maximum(1, np.rint(trace.context[rows] * endpoint.input_scale)).astype(np.int64)
    return Demand(
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


def scramble(value: int) -> int:
    """A 64-bit hash of an integer (the finalizer of SplitMix64)."""
    mask = 0xFFFFFFFFFFFFFFFF
    value = (value + 0x9E3779B97F4A7C15) & mask
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & mask
    return value ^ value >> 31


def scramble_all(values: Ints) -> npt.NDArray[np.uint64]:
    """`scramble` of each value."""
    x = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = x ^ x >> np.uint64(31)
    return mixed


@cache
def unit_names(service: str, units: int) -> tuple[str, ...]:
    """The names of a service's units."""
    return tuple(f"{service}-user-{i}" for i in range(units))


@cache
def buckets(service: str, units: int, salt: str) -> Ints:
    """The bucket of each unit in the rollout with that salt."""
    return np.array([bucket_of(name, salt) for name in unit_names(service, units)], np.int64)
