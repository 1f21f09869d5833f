"""What do all models on all tasks say of one model on one task?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import sqrt

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LADDER = (
    0.0,
    0.25,
    0.5,
    0.75,
    1.0,
)  # standard deviations of an effect, in units of the levels' own
STEPS = (-1.2, 0.0, 1.2)  # about the likely one, in units of what it may be off
SWEEPS = 2  # over the effects, to find it
AT_ONCE = 27  # points


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a matrix of tasks and models, seen or not."""

    task: Ints  # [c]
    model: Ints  # [c]
    features: Floats  # [c, f] of the config on the task: log price, temperature …; f may be 0

    def __post_init__(self) -> None:
        """Check the shapes.

        Raises:
            ValueError: they do not agree.
        """
        if not self.task.size == self.model.size == len(self.features):
            raise ValueError("each cell needs a task, a model and features")


@dataclass(frozen=True, slots=True)
class Posterior:
    """The level of every cell, given the estimates of those that were seen."""

    mean: Floats  # [c]
    covariance: Floats  # [c, c]
    effects: dict[str, float]  # standard deviation of each effect, averaged over the posterior


def hierarchy(cells: Cells, seen: Ints, mean: Floats, covariance: Floats) -> Posterior:
    """Shrink estimates of levels towards what the rest of the matrix says of them.

        level = task + features·(slope + slope of the task) + model + interaction

    Task means are free; slopes, models and interactions are normal with variances of their own.
    The variances are not plugged in: the posterior is averaged, by the restricted likelihood, over
    what they may be, so that few cells leave them, and with them the levels, uncertain.
    Features are centred within their task and scaled.

    Reference: Lindley & Smith, "Bayes estimates for the linear model", JRSSB 1972; Harville,
    "Maximum likelihood approaches to variance component estimation", JASA 1977.

    Args:
        cells: All cells of interest; each task must have one that was seen.
        seen: [k] indices of the cells with an estimate.
        mean: [k] the estimates.
        covariance: [k, k] of their errors.

    Raises:
        ValueError: shapes that do not agree, a number that is not finite, a task nobody has seen.

    Costs an inverse of [k, k] for each of 20 + 9 points of the variances, 40 + 81 with features.

    Examples:
        A model that was never tried on the second task, between two that were:

        >>> cells = Cells(np.array([0, 0, 0, 1, 1, 1]), np.arange(6) % 3, np.empty((6, 0)))
        >>> levels = np.array([60.0, 75.0, 90.0, 40.0, 70.0])
        >>> found = hierarchy(cells, np.array([0, 1, 2, 3, 5]), levels, np.eye(5))
        >>> round(found.mean[4]), round(sqrt(found.covariance[4, 4]))
        (55, 4)
    """
    if not seen.size or mean.shape != seen.shape or covariance.shape != (seen.size, seen.size):
        raise ValueError("each seen cell needs one estimate, with a covariance to each other")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise ValueError("estimates and their covariance must be finite numbers")
    tasks, task = np.unique(cells.task, return_inverse=True)
    fixed = np.eye(tasks.size)[task]
    if not fixed[seen].any(axis=0).all():
        raise ValueError("a task without any estimate has no level to go by")
    scale = _scale(fixed[seen], mean, covariance)
    names, kernels = _kernels(cells, fixed, scale)
    # a little noise keeps estimates without error apart
    noise = covariance + 1e-9 * scale**2 * np.eye(seen.size)
    likely, wide = _likely(kernels, fixed, seen, mean, noise)
    points = np.maximum(likely + wide * np.array(list(product(STEPS, repeat=len(names)))), 0.0)
    (level, error), weights = _averaged(points, kernels, fixed, seen, mean, noise)
    return Posterior(
        level, error, dict(zip(names, (scale * (weights @ points)).tolist(), strict=True))
    )


def given(
    priors: Floats, fixed: Floats, seen: Ints, mean: Floats, noise: Floats
) -> tuple[Floats, Floats, Floats]:
    """Levels for covariances of the effects that are known, with free task means.

    Args:
        priors: [p, c, c] covariances of all cells.
        fixed: [c, t] 1 where the cell is of the task.
        seen: [k] indices of the cells with an estimate.
        mean: [k] the estimates.
        noise: [k, k] of their errors, positive definite.

    Returns:
        The restricted log likelihood [p], the levels [p, c] and their covariances [p, c, c].
    """
    own = fixed[seen]
    whole = priors[:, seen[:, None], seen] + noise
    inverse = np.linalg.inv(whole)
    weighed = own.T @ inverse
    precision = weighed @ own
    error = np.linalg.inv(precision)
    tasks = error @ (weighed @ mean)[..., None]
    rest = mean[:, None] - own @ tasks
    gain = priors[:, :, seen] @ inverse
    open_ = fixed - gain @ own
    likelihood = -0.5 * (
        np.linalg.slogdet(whole)[1]
        + np.linalg.slogdet(precision)[1]
        + (rest.mT @ inverse @ rest)[:, 0, 0]
    )
    return (
        likelihood,
        (fixed @ tasks + gain @ rest)[..., 0],
        priors - gain @ priors[:, seen] + open_ @ error @ open_.mT,
    )


def _likely(
    kernels: Floats, fixed: Floats, seen: Ints, mean: Floats, noise: Floats
) -> tuple[Floats, Floats]:
    """What the standard deviations [e] are, one given the others, and how far they may be off."""
    likely, wide = np.full(len(kernels), LADDER[2]), np.zeros(len(kernels))
    for effect in (*reversed(range(len(kernels))),) * SWEEPS:
        points = np.tile(likely, (len(LADDER), 1))
        points[:, effect] = LADDER
        likelihood, _, _ = given(np.tensordot(points**2, kernels, axes=1), fixed, seen, mean, noise)
        weights = np.exp(likelihood - likelihood.max())
        weights /= weights.sum()
        likely[effect] = weights @ LADDER
        # narrower than half a rung cannot be told
        off = np.sqrt(weights @ (np.array(LADDER) - likely[effect]) ** 2)
        wide[effect] = max(off, LADDER[1] / 2)
    return likely, wide


def _averaged(
    points: Floats, kernels: Floats, fixed: Floats, seen: Ints, mean: Floats, noise: Floats
) -> tuple[tuple[Floats, Floats], Floats]:
    """Levels and covariance over *points* [p, e], with the points' weights."""
    likelihoods: Floats = np.empty(0)
    level, square = np.zeros(len(fixed)), np.zeros((len(fixed), len(fixed)))
    top, total = -np.inf, 0.0
    for start in range(0, len(points), AT_ONCE):
        priors = np.tensordot(points[start : start + AT_ONCE] ** 2, kernels, axes=1)
        likelihood, levels, errors = given(priors, fixed, seen, mean, noise)
        likelihoods = np.append(likelihoods, likelihood)
        higher = max(top, float(likelihood.max()))
        faded, weights = np.exp(top - higher), np.exp(likelihood - higher)
        away = levels - mean.mean()
        level = faded * level + weights @ away
        square = faded * square + np.tensordot(weights, errors, axes=1)
        square += (away * weights[:, None]).T @ away
        total, top = faded * total + weights.sum(), higher
    level /= total
    found = level + mean.mean(), square / total - np.outer(level, level)
    return found, np.exp(likelihoods - top) / total


def _scale(fixed: Floats, mean: Floats, covariance: Floats) -> float:
    """The standard deviation of the estimates about their tasks' means; else that of an error."""
    about = mean - fixed @ (fixed.T @ mean / fixed.sum(axis=0))
    freedom = len(mean) - fixed.shape[1]
    spread = about @ about / freedom if freedom else 0.0
    return sqrt(float(spread)) or sqrt(float(np.trace(covariance)) / len(mean)) or 1.0


def _kernels(cells: Cells, fixed: Floats, scale: float) -> tuple[list[str], Floats]:
    """The covariance [e, c, c] that each effect has at a standard deviation of *scale*."""
    found = dict(_effects(cells, fixed))
    return list(found), scale**2 * np.array(list(found.values()))


def _effects(cells: Cells, fixed: Floats) -> Iterator[tuple[str, Floats]]:
    same_task = fixed @ fixed.T
    counts = fixed.sum(axis=0)[:, None]
    features = cells.features - fixed @ (fixed.T @ cells.features / counts)
    size = np.sqrt((features**2).mean(axis=0))
    features = features[:, size > 0.0] / size[size > 0.0]
    if features.size:
        # together they explain as much as one would
        alike = features @ features.T / features.shape[1]
        yield "features", alike
        yield "features of the task", alike * same_task
    yield "model", (cells.model[:, None] == cells.model).astype(np.float64)
    yield "interaction", np.eye(len(cells.task))
