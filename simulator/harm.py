"""What the faults do to requests that models serve, each request by its own chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from simulator.demand import Demand, active, chance, during
from simulator.faults import SERVING, Fault, Kind
from simulator.fleet import Floats
from simulator.served import Served
from simulator.trace import MINUTE

Flags = npt.NDArray[np.bool_]
TAIL_SHARE = 0.02  # of the requests that a fault of the tail makes slow
FLAP = 2.0  # minutes on, and minutes off


@dataclass(slots=True)
class Harm:
    """What is different of n requests; factors of 1, rates of 0 and False for all that is well."""

    first: Floats  # factor of the time to the first token
    each: Floats  # factor of the time per further token
    failing: Floats  # added to the error rate
    down: Floats  # share that fails with 503
    limited: Flags  # gets 429
    expired: Flags  # gets 504
    retried: Flags  # is answered at the fourth attempt
    longer: Floats  # factor of the output tokens
    cut: Flags  # ends after a tenth
    refused: Flags  # is told that this cannot be answered
    worse: Floats  # share of the quality that is gone
    worthless: Flags
    dearer: Floats  # factor of the price


def harm(demand: Demand, served: Sequence[Served], by: npt.NDArray[np.int64]) -> Harm:
    """Everything that the faults of serving do to *demand*, which is served *by* those configs.

    Args:
        demand: n requests.
        served: The configs in use.
        by: [n] index into *served*.
    """
    n = len(demand)
    found = Harm(
        first=np.ones(n), each=np.ones(n), failing=np.zeros(n), down=np.zeros(n),
        limited=np.zeros(n, np.bool_), expired=np.zeros(n, np.bool_),
        retried=np.zeros(n, np.bool_), longer=np.ones(n), cut=np.zeros(n, np.bool_),
        refused=np.zeros(n, np.bool_), worse=np.zeros(n), worthless=np.zeros(n, np.bool_),
        dearer=np.ones(n),
    )  # fmt: skip
    for fault in active(demand, SERVING):
        models = [fault.hits(c.provider, c.model, c.version, c.cohort) for c in served]
        hit = np.array(models)[by] & during(demand, fault)
        lot = chance(demand, fault.kind)
        _availability(found, fault, demand, hit, lot)
        _latency(found, fault, demand, hit, lot)
        _answers(found, fault, demand, hit, lot)
    return found


def _availability(found: Harm, fault: Fault, demand: Demand, hit: Flags, lot: Floats) -> None:
    strength = fault.strength
    match fault.kind:
        case Kind.OUTAGE:
            found.down[hit] = np.maximum(found.down[hit], strength)
        case Kind.FLAPPING:
            on = hit & (_since(demand, fault) % (2 * FLAP) < FLAP)
            found.down[on] = np.maximum(found.down[on], strength)
        case Kind.ERRORS:
            found.failing[hit] += strength
        case Kind.TIMEOUT:
            found.expired |= hit & (lot < strength)
        case Kind.RATE_LIMIT:
            passed = (demand.time - demand.fleet.start) % MINUTE / MINUTE
            found.limited |= hit & (passed >= 1 - strength)
        case Kind.RETRIES:
            found.retried |= hit & (lot < strength)
        case _:
            pass


def _latency(found: Harm, fault: Fault, demand: Demand, hit: Flags, lot: Floats) -> None:
    factor = np.ones(len(demand))
    match fault.kind:
        case Kind.SLOW:
            factor[hit] = fault.strength
        case Kind.DRIFT:
            factor[hit] = 1 + fault.strength * _since(demand, fault)[hit] / 60
        case Kind.TAIL:
            factor[hit & (lot < TAIL_SHARE)] = fault.strength
        case Kind.JITTER:
            sigma = fault.strength
            factor[hit] = np.exp(sigma * special.ndtri(lot[hit]) - sigma**2 / 2)
        case Kind.SLOW_START:
            found.first[hit] *= fault.strength
        case Kind.THROUGHPUT:
            found.each[hit] *= fault.strength
        case _:
            return
    found.first *= factor
    found.each *= factor


def _answers(found: Harm, fault: Fault, demand: Demand, hit: Flags, lot: Floats) -> None:
    strength = fault.strength
    match fault.kind:
        case Kind.VERBOSE:
            found.longer[hit] *= strength
        case Kind.TRUNCATED:
            found.cut |= hit & (lot < strength)
        case Kind.REFUSAL:
            found.refused |= hit & (lot < strength)
        case Kind.QUALITY:
            found.worse[hit] = 1 - (1 - found.worse[hit]) * (1 - strength)
        case Kind.QUALITY_DRIFT:
            gone = np.minimum(1.0, strength * _since(demand, fault)[hit] / 60)
            found.worse[hit] = 1 - (1 - found.worse[hit]) * (1 - gone)
        case Kind.COLLAPSE:
            found.worthless |= hit & (lot < strength)
        case Kind.PRICE:
            found.dearer[hit] *= strength
        case _:
            pass


def _since(demand: Demand, fault: Fault) -> Floats:
    """Minutes since the fault began, of each request."""
    since: Floats = (demand.time - demand.fleet.start) / MINUTE - fault.start
    return since
