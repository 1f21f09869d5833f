"""Who asks: the applications, and what will go wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt

from schemas.scope import ALL, bucket_of, scope_of
from simulator.faults import Fault
from simulator.profiles import PROFILES
from simulator.trace import Ints

Floats = npt.NDArray[np.float64]
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
