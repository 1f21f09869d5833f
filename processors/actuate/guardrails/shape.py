"""Evidence that a whole distribution moved up: the classes of a reference, minute by minute."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from processors.actuate.reference import Classes, class_counts
from processors.stats import mixture, two_samples
from schemas.window import Histogram

Floats = npt.NDArray[np.float64]

FADE = 0.95  # per minute: how the expected shares follow the load
PRIOR = 20.0  # requests that the pre-period stands for in them


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Log e-values per alternative, and the recent load per class."""

    logs: tuple[float, ...] = ()
    load: tuple[float, ...] = ()


def observe(shape: Shape, classes: Classes, stable: Histogram, candidate: Histogram) -> Shape:
    """Add one minute; with another reference than before it starts anew."""
    base, tilts = _arrays(classes)
    if len(shape.load) != base.size or len(shape.logs) != len(tilts):
        shape = Shape(logs=(0.0,) * len(tilts), load=(0.0,) * base.size)
    if not stable.counts or not candidate.counts:
        return shape
    a, b = class_counts(stable, classes.edges), class_counts(candidate, classes.edges)
    load = np.array(shape.load)
    gains = two_samples.increments(b, a, PRIOR * base + load, tilts)
    return Shape(
        logs=tuple((np.array(shape.logs) + gains).tolist()),
        load=tuple((FADE * load + a + b).tolist()),
    )


def log_e(shape: Shape, weights: tuple[float, ...], inflation: float) -> float:
    """Log of the weighted mean, its evidence discounted by φ."""
    return mixture.tempered(shape.logs, inflation, weights)


@lru_cache(maxsize=256)
def _arrays(classes: Classes) -> tuple[Floats, Floats]:
    return np.array(classes.base), np.array(classes.tilts)
