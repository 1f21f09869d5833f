"""Why is that predicted, and what could go wrong?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from processors.predict.features import FEATURES, features, name_of
from processors.predict.forecast import Expected, Risk
from processors.predict.foresee import changed, told
from processors.predict.history import Memory, Outcome, PredictPolicy, Proposal
from processors.predict.regress import regress
from processors.predict.scales import SCALES
from processors.predict.similar import likeness, recency

MOST = 3  # of each kind
LEAST = 0.05  # probability that is worth a word
NEAR = 0.05  # likeness below which a change is like no other
DAY_MS = 86_400_000
WORDS = {
    "cost_per_request_usd": "cost per request",
    "p95_latency_ms": "p95 latency",
    "quality": "quality",
    "error_rate": "error rate",
}
MITIGATIONS = {
    "cost_per_request_usd": "Roll it out in steps with a cost guardrail, or lower max_tokens.",
    "p95_latency_ms": "Begin with a small share and a latency guardrail.",
    "quality": "Shadow it first, and compare scores on the same requests.",
    "error_rate": "Begin with a small share; errors take it back within a minute.",
}


def risks(worse: Mapping[str, float]) -> tuple[Risk, ...]:
    """Probabilities of at least 5 % as risks, the most probable first."""
    found = [
        Risk(
            metric,
            probability,
            "high" if probability >= 0.5 else "medium" if probability >= 0.2 else "low",
            f"The {WORDS[metric]} gets worse than is allowed with a probability of "
            f"{100 * probability:.0f} %.",
            MITIGATIONS[metric],
        )
        for metric, probability in worse.items()
        if probability >= LEAST
    ]
    return tuple(sorted(found, key=lambda risk: (-risk.probability, risk.metric)))


def factors(policy: PredictPolicy, memory: Memory, change: Proposal) -> tuple[str, ...]:
    """The effects of what is changed, by the regressions, in units of a metric's spread."""
    found: list[tuple[float, str]] = []
    moved = features(change)
    for metric in sorted(change.current.keys() & SCALES.keys()):
        known, scale = told(memory.outcomes, metric), SCALES[metric]
        if not known or not moved.any():
            continue
        fresh = recency(policy, known, change.at)
        past = np.array([features(each.proposal) for each in known])
        fitted = regress(past, changed(known, metric, scale), fresh, scale.spread)
        now = scale.on(change.current[metric]).value
        for name, effect in zip(FEATURES, (fitted.coefficients * moved).tolist(), strict=True):
            if effect:
                value = scale.back(now + effect) - scale.back(now)
                side = "raises" if value > 0 else "lowers"
                found.append(
                    (
                        -abs(effect) / scale.spread,
                        f"By past changes, {name} {side} the {WORDS[metric]} by {abs(value):.3g}.",
                    )
                )
    return tuple(sentence for _, sentence in sorted(found)[:MOST])


def past(memory: Memory, change: Proposal) -> tuple[str, ...]:
    """Sentences on the changes most like this one."""
    near = likeness(memory.outcomes, change)
    order = sorted(range(near.size), key=lambda n: (-near[n], -n))
    return tuple(_sentence(memory.outcomes[n], change) for n in order[:MOST] if near[n] >= NEAR)


def _sentence(outcome: Outcome, change: Proposal) -> str:
    made = outcome.proposal
    days = max(0, change.at - made.at) / DAY_MS
    what = ", ".join(
        f"{WORDS[metric]} {made.current[metric].value:.4g} → {level.value:.4g}"
        for metric, level in sorted(outcome.reached.items())
        if metric in made.current and metric in WORDS
    )
    return (
        f"{name_of(made.before.config)} → {name_of(made.after.config)} in {made.scope}, "
        f"{days:.0f} days before: {what or 'nothing was measured'}."
    )


def assumptions(memory: Memory, change: Proposal, metrics: Mapping[str, Expected]) -> Iterator[str]:
    """What must hold for the prediction to hold."""
    yield "The scope's traffic and mix stay as they are."
    near = likeness(memory.outcomes, change)
    if not near.size:
        yield "No change was made yet, so that ranges are those of changes nothing is known of."
    elif near.max() < NEAR:
        yield "No past change is like this one, so that it is predicted by price and models alone."
    if None in (change.before.cost, change.after.cost):
        yield "A price is not known, and is taken for unchanged."
    lacking = sorted(SCALES.keys() - metrics.keys())
    if lacking:
        yield f"Of {_listed([WORDS[name] for name in lacking])} there is no level now."


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
