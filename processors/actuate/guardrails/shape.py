"""Evidence that a whole distribution moved up: the classes of a reference, minute by minute."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from processors.actuate.reference import Classes, class_counts
from processors.stats import mixture, two_samples
from processors.stats.dispersion import PRIOR as INFLATED
from processors.stats.dispersion import Dispersion
from schemas.window import Histogram

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FADE = 0.95  # per minute: how the expected shares follow the load
PRIOR = 20.0  # requests that the pre-period stands for in them


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Log e-values per alternative, the recent load per class, and the scores' differences."""

    weights: tuple[float, ...] = ()  # prior of the alternatives
    score: tuple[int, ...] = ()  # which score each alternative rests on
    logs: tuple[float, ...] = ()
    load: tuple[float, ...] = ()
    scores: Dispersion = field(default_factory=Dispersion)


def observe(shape: Shape, classes: Classes, stable: Histogram, candidate: Histogram) -> Shape:
    """Add one minute; with another reference than before it starts anew."""
    base, tilts, scores, edges = _arrays(classes)
    if shape.weights != classes.weights or len(shape.load) != base.size:
        shape = Shape(
            weights=classes.weights,
            score=classes.score,
            logs=(0.0,) * len(tilts),
            load=(0.0,) * base.size,
        )
    if not stable.counts or not candidate.counts:
        return shape
    a, b = class_counts(stable, edges), class_counts(candidate, edges)
    load = np.array(shape.load)
    gains = two_samples.increments(b, a, PRIOR * base + load, tilts)
    n_a, n_b = float(a.sum()), float(b.sum())
    mean_a, mean_b = scores @ a / n_a, scores @ b / n_b
    squares = scores**2 @ (a + b) - n_a * mean_a**2 - n_b * mean_b**2
    return Shape(
        weights=shape.weights,
        score=shape.score,
        logs=tuple((np.array(shape.logs) + gains).tolist()),
        load=tuple((FADE * load + a + b).tolist()),
        scores=shape.scores.add(
            (int(n_a), int(n_b)),
            (mean_b - mean_a).tolist(),
            np.maximum(squares, 0.0).tolist(),
        ),
    )


def log_e(shape: Shape, prior: float = INFLATED) -> float:
    """Log of the weighted mean, the evidence of each alternative discounted by its score's φ.

    Args:
        shape: The evidence.
        prior: What the estimate of φ starts from.
    """
    if not shape.scores.weight:
        return 0.0
    inflation = [shape.scores.inflation(i, prior) for i in range(len(shape.scores.lifts))]
    discounted = [x / inflation[i] for x, i in zip(shape.logs, shape.score, strict=True)]
    return mixture.log_mean(discounted, shape.weights)


@lru_cache(maxsize=256)
def _arrays(classes: Classes) -> tuple[Floats, Floats, Floats, Ints]:
    return (
        np.array(classes.base),
        np.array(classes.tilts),
        np.array(classes.scores),
        np.array(classes.edges),
    )
