"""What becomes of requests when given models answer them: the ground truth of the simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from simulator.demand import Demand, active, during
from simulator.faults import Kind
from simulator.fleet import Endpoint, Floats
from simulator.harm import Harm, harm
from simulator.profiles import PROFILES, SLOWEST_MS, TAIL_FROM, TAIL_INDEX, TAIL_SHARE
from simulator.served import Served
from simulator.trace import Ints, azure

OK, RATE_LIMIT, TIMEOUT, SERVER_ERROR, UNAVAILABLE, NOT_FOUND = range(6)
STATUS = np.array([200, 429, 504, 500, 503, 404])
ATTEMPTS = 4  # of a request that is retried
REFUSAL_TOKENS = 20
WORTHLESS = 0.05  # of the quality of an answer that is of no use
ERROR_TYPES = (None, "rate_limit", "timeout", "server_error", "unavailable", "not_found")


@dataclass(frozen=True, slots=True)
class Answers:
    """What the n requests of a demand got; `by` is the index into `served` of each.

    Quality is in points and NaN where nobody scored the answer. Latency in µs, cost in
    nano-dollars: the pipeline's own units, so that truth and report are the same number.
    """

    demand: Demand
    served: tuple[Served, ...]
    by: Ints
    latency_us: Ints
    ttft_us: Ints
    tokens_output: Ints  # 0 for a failed request
    cost_nanousd: Ints
    default_nanousd: Ints  # what the endpoint's default model would have cost
    outcome: Ints  # index into STATUS and ERROR_TYPES
    retries: Ints
    quality: Floats


def serve(demand: Demand, served: Sequence[Served], by: Ints) -> Answers:
    """Answer every request of *demand* with the config it was given.

    Args:
        demand: n requests.
        served: The configs in use.
        by: [n] index into *served*.

    Returns:
        The answers; a model without a profile answers none. A request's chance is its own: the same
        demand answered by other models gives what those would have made of the same moment.
    """
    endpoint = demand.endpoint
    table = np.array([parameters(endpoint, config.name) for config in served])
    ttft, ttft_sigma, itl, itl_sigma, errors, quality, sd, price_in, price_out, cached = table[by].T
    harmed = harm(demand, served, by)
    uniform, normal = demand.uniform, demand.normal

    first = ttft * np.exp(ttft_sigma * normal[0])
    beyond = TAIL_FROM * uniform[0] ** (-1 / TAIL_INDEX)
    first = np.where(uniform[1] < TAIL_SHARE, ttft * beyond, first) * demand.load * harmed.first
    each = itl * np.exp(itl_sigma * normal[1]) * demand.load * harmed.each

    outcome = _outcomes(demand, errors, harmed)
    outcome = np.where(
        np.array([config.name not in PROFILES for config in served])[by], NOT_FOUND, outcome
    )
    ok = outcome == OK
    tokens_output = np.where(ok, _written(demand, harmed), 0)
    latency = np.minimum(first + each * (tokens_output - 1).clip(0), SLOWEST_MS)
    latency = np.where(harmed.retried, ATTEMPTS * latency, latency)
    # a refusal comes at once, a time-out after patience is over
    latency = np.where(np.isin(outcome, (RATE_LIMIT, UNAVAILABLE, NOT_FOUND)), 0.3 * first, latency)
    latency = np.where(outcome == TIMEOUT, np.minimum(10 * first, SLOWEST_MS), latency)
    latency = np.minimum(latency, SLOWEST_MS)
    for fault in active(demand, {Kind.STUCK}):
        tokens = endpoint.output_scale * float(np.median(azure().generated))
        told = fault.strength * (ttft + itl * tokens)
        latency = np.where(during(demand, fault), told, latency)

    scored = ok & (uniform[4] < endpoint.quality_share)
    score = np.full(len(demand), np.nan)
    mean = (quality * (1 - harmed.worse) * _worth(harmed))[scored]
    score[scored] = _beta(mean, sd[scored], uniform[5][scored])

    fresh = demand.tokens_input - demand.cached
    cost = harmed.dearer * (price_in * fresh + cached * demand.cached + price_out * tokens_output)
    own = parameters(endpoint, endpoint.default)
    before = own[7] * fresh + own[9] * demand.cached + own[8] * tokens_output
    before *= _price_of_default(demand)
    return Answers(
        demand,
        tuple(served),
        by,
        np.rint(latency * 1e3).astype(np.int64),
        np.rint(np.minimum(first, latency) * 1e3).astype(np.int64),
        tokens_output,
        np.where(ok, np.rint(cost * 1e3), 0).astype(np.int64),
        np.where(ok, np.rint(before * 1e3), 0).astype(np.int64),
        outcome,
        np.where(harmed.retried, ATTEMPTS - 1, uniform[6] < 0.01).astype(np.int64) * ok,
        np.round(score, 3),
    )


def parameters(endpoint: Endpoint, name: str) -> tuple[float, ...]:
    """What a model is like at an endpoint: latency, errors, quality, prices (µ$ per token)."""
    profile = PROFILES.get(name, PROFILES[endpoint.default])
    truth = endpoint.true_of(name)
    slower = truth.get("latency", 1.0)
    shape = profile.shape
    return (
        shape.ttft_ms * slower,
        shape.ttft_sigma,
        shape.itl_ms * slower,
        shape.itl_sigma,
        truth.get("error_rate", profile.error_rate),
        truth.get("quality", 100 - endpoint.difficulty * (100 - profile.quality)),
        truth.get("quality_sd", 6.0),
        profile.input_per_mtok,
        profile.output_per_mtok,
        profile.cached_per_mtok,
    )


def _outcomes(demand: Demand, errors: Floats, harmed: Harm) -> Ints:
    """Half of the errors come alone, half in sessions in which every other request fails."""
    uniform, errors = demand.uniform, errors + harmed.failing
    unlucky = demand.luck < errors
    rate = np.where(unlucky, 0.5 + errors / 2, errors / 2)
    kind = np.select(
        [uniform[3] < 0.4, uniform[3] < 0.8], [RATE_LIMIT, TIMEOUT], default=SERVER_ERROR
    )
    outcome = np.where(uniform[2] < rate, kind, OK)
    outcome = np.where(harmed.expired & (outcome == OK), TIMEOUT, outcome)
    outcome = np.where(harmed.limited, RATE_LIMIT, outcome)
    return np.where(uniform[2] < harmed.down, UNAVAILABLE, outcome)


def _written(demand: Demand, harmed: Harm) -> Ints:
    """The tokens of the answers, were all of them answered."""
    tokens = demand.tokens_output * harmed.longer * np.where(harmed.cut, 0.1, 1.0)
    tokens = np.where(harmed.refused, np.minimum(tokens, REFUSAL_TOKENS), tokens)
    return np.maximum(1, np.rint(tokens)).astype(np.int64)


def _worth(harmed: Harm) -> Floats:
    """Which share of its quality an answer has left."""
    worth = np.where(harmed.cut, 0.5, 1.0)
    return np.where(harmed.refused | harmed.worthless, WORTHLESS, worth)


def _price_of_default(demand: Demand) -> Floats:
    provider, model = demand.endpoint.default.split("/", 1)
    factor = np.ones(len(demand))
    for fault in active(demand, {Kind.PRICE}):
        if fault.hits(provider, model):
            factor[during(demand, fault)] *= fault.strength
    return factor


def _beta(mean: Floats, sd: Floats, uniform: Floats) -> Floats:
    """Scores in 0..100 of a beta distribution with that mean and (at most) that deviation."""
    m = np.clip(mean / 100, 0.01, 0.99)
    spread = np.minimum((sd / 100) ** 2, 0.25 * m * (1 - m))
    total = m * (1 - m) / spread - 1
    scores: Floats = np.asarray(
        100 * special.betaincinv(m * total, (1 - m) * total, uniform), np.float64
    )
    return scores
