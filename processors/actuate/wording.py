"""What a guardrail has seen, in words for a person."""

from __future__ import annotations

import math
from collections.abc import Sequence

from processors.actuate.guardrails.reading import Reading
from schemas.rollout import Verdict

NAMES = {"errors": "error rate", "latency": "p95 latency", "quality": "quality", "cost": "cost"}
MOST_ODDS = math.log(1e6)  # beyond, a number says no more
DATA = {
    "errors": "requests",
    "latency": "latencies",
    "quality": "quality scores",
    "cost": "costs",
}


def sentence(
    metric: str, verdict: Verdict, reading: Reading, margin: float, min_samples: int
) -> str:
    """What is known, for a person."""
    data, known = DATA[metric], reading.candidate_n
    if not known:
        return f"No {data} from the candidate yet."
    if not reading.stable_n:
        return f"No {data} from the stable config to compare with."
    seen = (
        f"The candidate's {NAMES[metric]} is {_show(metric, reading.candidate_value)} against "
        f"{_show(metric, reading.stable_value)}"
    )
    unit = "percentage points" if metric == "errors" else "%"
    allowed = f"{margin * 100:g} {unit}"
    if verdict is Verdict.FAIL:
        odds = math.exp(min(reading.log_e, MOST_ODDS))
        why = f"worse, with evidence of at least {odds:,.0f} to 1"
        if reading.upper_harm is not None and reading.upper_harm <= margin:
            most = f"{reading.upper_harm * 100:.3g} {unit}"
            why += f", though by at most {most}: the margin of {allowed} is for what is not proven"
    elif verdict is Verdict.PASS:
        why = f"not worse by more than {allowed}"
    elif reading.compared_n < min_samples:
        why = f"{reading.compared_n} of {min_samples} {data} could be compared so far"
    elif reading.upper_harm is None:
        why = f"too few {data} to say how much worse it may be"
    else:
        why = (
            f"it may be worse by up to {reading.upper_harm * 100:.3g} {unit}, {allowed} is allowed"
        )
    return f"{seen}: {why}."


def _show(metric: str, value: float | None) -> str:
    if value is None:
        return "unknown"
    if metric == "errors":
        return f"{value:.2%}"
    if metric == "latency":
        return f"{value:,.0f} ms"
    return f"${value:.3g}" if metric == "cost" else f"{value:.1f}"


def named(metrics: Sequence[str]) -> str:
    """Guardrails in a sentence.

    >>> named(["errors"]), named(["errors", "latency", "cost"])
    ('errors', 'errors, latency and cost')
    """
    return " and ".join(filter(None, (", ".join(metrics[:-1]), *metrics[-1:])))
