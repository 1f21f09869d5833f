"""What would this change do?"""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum

from processors.predict.explain import assumptions, factors, past, risks
from processors.predict.forecast import Expected, Forecast
from processors.predict.foresee import Foreseen, expected, foresee
from processors.predict.history import Memory, PredictPolicy, Proposal
from processors.predict.scales import SCALES
from processors.predict.whatif import Traffic, whatif


def propose(policy: PredictPolicy, memory: Memory, change: Proposal, *, seed: int) -> Forecast:
    """Predict every metric that the scope has a level of now, with ranges, risks and reasons.

    Args:
        policy: How predictions are made.
        memory: What past changes came to.
        change: The proposed one.
        seed: of the draws that tell the risks.
    """
    foreseen: dict[str, Foreseen] = {}
    metrics: dict[str, Expected] = {}
    for metric in SCALES:
        seen = foresee(policy, memory, change, metric)
        if seen is not None:
            foreseen[metric] = seen
            metrics[metric] = expected(policy, memory, change, metric, seen)
    drawn = whatif(
        {metric: each.current for metric, each in metrics.items()},
        {metric: seen.together for metric, seen in foreseen.items()},
        Traffic(1.0),
        {},
        draws=policy.draws,
        seed=seed,
    )
    return Forecast(
        scope=change.scope,
        metrics=metrics,
        confidence=min((each.confidence for each in metrics.values()), default=0.0),
        improvement=improvement(policy.weights, metrics),
        risks=risks(drawn.worse),
        factors=factors(policy, memory, change),
        similar=past(memory, change),
        assumptions=tuple(assumptions(memory, change, metrics)),
    )


def improvement(weights: Mapping[str, float], metrics: Mapping[str, Expected]) -> float:
    """The weighted mean of what each metric gains, a share of the larger of its two values.

    −1 to 1: a cost that vanishes gains 1, one that comes from nothing −1; 0 without metrics.
    """
    weighed = {metric: weights.get(metric, 0.0) for metric in metrics}
    whole = fsum(weighed.values())
    if not whole:
        return 0.0
    return (
        fsum(
            weight * _gain(SCALES[metric].better, metrics[metric])
            for metric, weight in weighed.items()
        )
        / whole
    )


def _gain(better: int, metric: Expected) -> float:
    most = max(abs(metric.current), abs(metric.predicted))
    return better * (metric.predicted - metric.current) / most if most else 0.0
