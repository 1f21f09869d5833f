"""Minutes of an endpoint with faults, and what is to be asked of them."""

from typing import Any

import numpy as np
from scipy import stats

from simulator.faults import ASKING, FACTORS, OPEN, SERVING, Fault, Kind
from simulator.fleet import Endpoint, Fleet
from simulator.requests import requests
from simulator.serve import OK, Answers

ENDPOINT = Endpoint(
    service="shop", endpoint="answer", rate=600, default="openai/gpt-4", quality_share=1.0
)
COLUMNS = ("latency_us", "ttft_us", "tokens_output", "outcome", "cost_nanousd", "retries")
HERE = [kind for kind in Kind if kind in SERVING or kind in ASKING]


def at(minute: int, *faults: Fault) -> Answers:
    """A minute of a fleet with those faults."""
    (answers,) = requests(Fleet(endpoints=(ENDPOINT,), faults=faults, seed=5), minute)
    assert len(answers.demand) > 100
    return answers


def fault(kind: Kind, strength: float, **more: Any) -> Fault:
    return Fault(kind=kind, strength=strength, start=3, end=4, **more)


def failed_share(answers: Answers, rows: Any) -> float:
    return float((answers.outcome[rows] != OK).mean())


def failed(answers: Answers) -> float:
    return float((answers.outcome != OK).mean())


def same(one: Answers, other: Answers) -> bool:
    """Whether the same was asked and the same came of it."""
    asked = all(
        getattr(one.demand, name).tolist() == getattr(other.demand, name).tolist()
        for name in ("time", "number", "tokens_input", "cached")
    )
    return (
        asked
        and all(getattr(one, name).tolist() == getattr(other, name).tolist() for name in COLUMNS)
        and np.array_equal(one.quality, other.quality, equal_nan=True)
    )


def strength_of(kind: Kind) -> float:
    return 3.0 if kind in FACTORS or kind in OPEN else 0.5


def share(hits: Any, wanted: float) -> bool:
    """Whether so many of them are what a share of that size may come to."""
    return bool(stats.binomtest(int(np.sum(hits)), len(hits), wanted).pvalue > 1e-3)
