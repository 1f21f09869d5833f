"""Latency: exceedances of the pre-period's quantiles, and a shift of the whole."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from processors.actuate.guardrails import shape
from processors.actuate.guardrails.arms import Arm
from processors.actuate.guardrails.reading import (
    Levels,
    Reading,
    Standing,
    bounded,
    harm_bounds,
)
from processors.actuate.guardrails.shape import Shape
from processors.actuate.reference import QUANTILES, Reference
from processors.sketch import ESTIMATES
from processors.stats import histograms
from schemas.window import Histogram

HARMS = (-0.1, 0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0)  # of p95
STEPS = tuple(histograms.steps(1.0 + harm) for harm in HARMS)
BURN_IN = 50
INFLATED = 4.0  # requests of a session are as slow as each other: what φ starts from
MICRO = 1_000  # microseconds per ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Evidence on latency.

    For every harm h of HARMS, `lifts` adds up w·(share of the candidate's values above
    τ95·(1+h) − share of the stable arm's above τ95): below zero, p95 rose by less than h.
    """

    moved: Shape = field(default_factory=Shape)
    lifts: tuple[float, ...] = (0.0,) * len(HARMS)
    squares: tuple[float, ...] = (0.0,) * len(HARMS)
    stable: Histogram = field(default_factory=Histogram)
    candidate: Histogram = field(default_factory=Histogram)
    compared_n: int = 0  # the candidate's, in minutes in which the stable arm had values too


def observe(latency: Latency, stable: Arm, candidate: Arm, reference: Reference) -> Latency:
    """Add one minute."""
    a, b = stable.latency, candidate.latency
    lifts, squares, moved = latency.lifts, latency.squares, latency.moved
    compared = latency.compared_n
    if reference.latency is not None and reference.latency_p95 is not None:
        moved = shape.observe(moved, reference.latency, a, b)
        if a.counts and b.counts:
            lifts, squares = _exceed(latency, a, b, reference.latency_p95)
            compared += sum(b.counts)
    return Latency(
        moved=moved,
        lifts=lifts,
        squares=squares,
        stable=histograms.pool((latency.stable, a)),
        candidate=histograms.pool((latency.candidate, b)),
        compared_n=compared,
    )


def _exceed(
    latency: Latency, a: Histogram, b: Histogram, p95: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    n_a, n_b = sum(a.counts), sum(b.counts)
    weight = n_a * n_b / (n_a + n_b)
    above_a = sum(c for bucket, c in zip(a.buckets, a.counts, strict=True) if bucket > p95) / n_a
    below = np.concatenate(([0], np.cumsum(b.counts)))
    within = below[np.searchsorted(b.buckets, np.array(STEPS) + p95, side="right")]
    above_b = 1.0 - within / n_b
    squares = n_a * above_a * (1.0 - above_a) + n_b * above_b * (1.0 - above_b)
    return (
        tuple((np.array(latency.lifts) + weight * (above_b - above_a)).tolist()),
        tuple((np.array(latency.squares) + squares).tolist()),
    )


def read(latency: Latency, levels: Levels) -> Reading:
    """The figures so far; harm is the relative rise of p95, known up to the grid HARMS."""
    stable_n, candidate_n = sum(latency.stable.counts), sum(latency.candidate.counts)
    known = standing(latency)
    lower, upper = harm_bounds(known, levels)
    return Reading(
        log_e=bounded(shape.log_e(latency.moved, INFLATED)),
        stable_n=stable_n,
        candidate_n=candidate_n,
        compared_n=latency.compared_n,
        stable_value=_p95(latency.stable),
        candidate_value=_p95(latency.candidate),
        standing=known,
        lower_harm=lower,
        upper_harm=upper,
    )


def standing(latency: Latency) -> Standing | None:
    """For each of HARMS the candidate's excess above it; None while too little is known.

    The variances count one more value above and one below than there were.
    """
    same = latency.moved.scores
    if sum(latency.candidate.counts) < BURN_IN or not same.weight:
        return None
    inflation = same.inflation(QUANTILES.index(0.95), INFLATED)
    rows = zip(HARMS, latency.lifts, latency.squares, strict=True)
    return Standing(
        same.weight,
        grid=tuple(
            (
                harm,
                lift / same.weight,
                math.sqrt((squares + 1.0) / (same.freedom + 2.0) * inflation / same.weight),
            )
            for harm, lift, squares in rows
        ),
    )


def _p95(values: Histogram) -> float | None:
    bucket = histograms.quantile(values, 0.95)
    return None if bucket is None else float(ESTIMATES[bucket + 1]) / MICRO
