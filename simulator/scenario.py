"""A scenario file: the fleet and what will go wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import yaml

from schemas.catalog import Model
from simulator.faults import fault_of
from simulator.fleet import Endpoint, Fleet
from simulator.profiles import PROFILES

SCENARIOS = Path(__file__).with_name("scenarios")


class InvalidScenario(ValueError):
    """A scenario that cannot be run; the sentence says what to change."""


def read(file: Path, *, seed: int = 1, start: int = 0, rate: float = 1.0) -> Fleet:
    """The fleet of a scenario file.

    Args:
        file: YAML with `endpoints` and, if wanted, `defaults` for them and `faults`, such as
            `{kind: tail, strength: 8, service: search, start: 90, end: 120}`: a kind of
            `simulator.faults.Kind`, which says what its strength is, minutes from and to which it
            lasts, and where, by service and endpoint; what concerns serving also by provider,
            model, version and cohort. A bare name is looked for among the scenarios beside this
            module.
        seed: Of all chance.
        start: ms since the epoch, of minute 0.
        rate: Times every endpoint's rate.

    Returns:
        The fleet.

    Raises:
        InvalidScenario: It cannot be read or makes no sense.
    """
    beside = SCENARIOS / f"{file.name}.yaml"
    path = beside if not file.is_file() and file.suffix == "" and beside.exists() else file
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        fleet = fleet_of(raw, seed, start)
    except (OSError, yaml.YAMLError, ValueError, TypeError) as error:
        raise InvalidScenario(f"The scenario {path} cannot be run: {error}") from error
    return replace(
        fleet, endpoints=tuple(replace(one, rate=one.rate * rate) for one in fleet.endpoints)
    )


def fleet_of(raw: object, seed: int = 1, start: int = 0) -> Fleet:
    """The fleet that a scenario's content describes.

    Raises:
        ValueError: Something in it is missing, unknown or senseless.
        TypeError: A value is of another type than it should be.
    """
    if not isinstance(raw, Mapping) or not raw.get("endpoints"):
        raise ValueError("it needs a list of endpoints.")
    unknown = set(raw) - {"endpoints", "defaults", "faults"}
    if unknown:
        raise ValueError(f"{min(unknown)!r} is not known; there are endpoints, defaults, faults.")
    defaults = raw.get("defaults") or {}
    endpoints = tuple(_endpoint({**defaults, **one}) for one in raw["endpoints"])
    scopes = [one.scope for one in endpoints]
    if len(set(scopes)) < len(scopes):
        raise ValueError(f"{max(scopes, key=scopes.count)} is there twice.")
    faults = tuple(fault_of(one) for one in raw.get("faults") or ())
    for fault in faults:
        if not any(fault.concerns(one.service, one.endpoint) for one in endpoints):
            raise ValueError(f"the fault {fault.kind} concerns no endpoint of the scenario.")
    return Fleet(endpoints=endpoints, faults=faults, seed=seed, start=start)


def _endpoint(raw: Mapping[str, Any]) -> Endpoint:
    known = {field.name for field in fields(Endpoint)}
    unknown = set(raw) - known
    if unknown:
        raise ValueError(f"an endpoint has no {min(unknown)!r}; it has {', '.join(sorted(known))}.")
    missing = {"service", "endpoint", "rate", "default"} - set(raw)
    if missing:
        raise ValueError(f"an endpoint needs {min(missing)!r}.")
    return Endpoint(**raw)


def cards(difficulty: float = 0.5) -> tuple[Model, ...]:
    """The simulated models as a catalog would believe them to be: their profiles, no truths.

    Args:
        difficulty: Of a typical endpoint, as in `Endpoint`.
    """
    return tuple(
        Model(
            provider=one.provider,
            model=one.model,
            quality=round(100 - difficulty * (100 - one.quality), 1),
            p95_latency_ms=round(1.5 * one.shape.ttft_ms + 100 * one.shape.itl_ms),
            error_rate=one.error_rate,
        )
        for one in PROFILES.values()
    )
