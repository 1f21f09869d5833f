"""How well does each model do each task, when some requests were answered by several models?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BORROWED = 10.0  # answers of other tasks that the spread of a task leans on
DOUBT = 10.0  # pairs that say 0: a likeness is believed to be within 0.3 of it, 1/0.3² pairs
MOST = 0.95  # likeness of two answers, at most


@dataclass(frozen=True, slots=True)
class Levels:
    """The mean of each cell that was seen, one task after the other."""

    task: Ints  # [k]
    model: Ints  # [k]
    mean: Floats  # [k], unit of the values
    covariance: Floats  # [k, k] of the means' errors; zero between tasks
    spread: Floats  # [k] variance of one answer
    likeness: float  # correlation of two models' answers to one request, 0 to 0.95


def levels(task: Ints, model: Ints, item: Ints, value: Floats) -> Levels:
    """Estimate the mean of each cell (task, model); what others got on the same items corrects it.

    With σ² the spread of a task and ρ the likeness,

        value = level(task, model) + σ·(√ρ·item + √(1−ρ)·rest),

    and the levels are the generalized least squares estimate: an item that other models found hard
    counts as bad luck of a model that drew it. Where every model answered the same items the
    estimates are the plain means, whose errors then have the covariance ρσ²/n. σ² is pooled over
    the models of a task, for a rate's own spread is smallest where it was overestimated; ρ is
    that of the pairs of answers to one item, of all tasks, shrunk for few of them.

    Reference: control variates and crossed random effects, as in Searle, Casella & McCulloch,
    "Variance Components", 1992, chapters 7 and 9.

    Args:
        task: [n] code of the task, 0 and up.
        model: [n] code of the model.
        item: [n] code of the request, within its task; a code of its own when nobody else got it.
        value: [n] what the answer was worth.

    Raises:
        ValueError: no answers, lengths that differ, or a value that is no finite number.

    Examples:
        >>> of = np.array
        >>> seen = levels(of([0, 0, 0]), of([0, 0, 1]), of([0, 1, 2]), of([1.0, 0.0, 1.0]))
        >>> seen.mean.tolist()
        [0.5, 1.0]
    """
    if not task.size or not task.size == model.size == item.size == value.size:
        raise ValueError("answers need a task, a model, an item and a value each")
    if not np.isfinite(value).all():
        raise ValueError("an answer's value must be a finite number")
    blocks = [_block(t, model[task == t], item[task == t], value[task == t]) for t in set(task)]
    blocks.sort(key=lambda block: block.task)
    freedom = np.array([block.freedom for block in blocks])
    squares = np.array([block.squares for block in blocks])
    overall = squares.sum() / max(freedom.sum(), 1.0)
    spread = (squares + BORROWED * overall) / (freedom + BORROWED)
    likeness = _likeness(blocks, spread)
    found = [block.estimate(s, likeness) for block, s in zip(blocks, spread, strict=True)]
    size = [block.models.size for block in blocks]
    covariance = np.zeros((sum(size), sum(size)))
    for end, (_, part) in zip(np.cumsum(size), found, strict=True):
        covariance[end - len(part) : end, end - len(part) : end] = part
    return Levels(
        task=np.repeat([block.task for block in blocks], size),
        model=np.concatenate([block.models for block in blocks]),
        mean=np.concatenate([mean for mean, _ in found]),
        covariance=covariance,
        spread=np.repeat(spread, size),
        likeness=likeness,
    )


@dataclass(frozen=True, slots=True)
class _Block:
    """The answers of one task: counts and sums by item and model."""

    task: int
    models: Ints  # [m]
    counts: Floats  # [items, m]
    sums: Floats  # [items, m]
    squares: float  # about the models' means
    freedom: float  # answers beyond one a model

    def estimate(self, spread: float, likeness: float) -> tuple[Floats, Floats]:
        """The levels [m] and their covariance [m, m], by Woodbury's identity item by item."""
        rest = 1.0 - likeness
        weight = likeness / (rest + self.counts.sum(axis=1) * likeness)
        leaning = self.counts * weight[:, None]
        inverse = np.linalg.inv((np.diag(self.counts.sum(axis=0)) - leaning.T @ self.counts) / rest)
        score = (self.sums.sum(axis=0) - leaning.T @ self.sums.sum(axis=1)) / rest
        return inverse @ score, spread * inverse


def _block(task: int, model: Ints, item: Ints, value: Floats) -> _Block:
    models, column = np.unique(model, return_inverse=True)
    items, row = np.unique(item, return_inverse=True)
    counts, sums = np.zeros((items.size, models.size)), np.zeros((items.size, models.size))
    np.add.at(counts, (row, column), 1.0)
    np.add.at(sums, (row, column), value)
    about = value - (sums.sum(axis=0) / counts.sum(axis=0))[column]
    return _Block(
        int(task), models, counts, sums, float(about @ about), float(value.size - models.size)
    )


def _likeness(blocks: list[_Block], spread: Floats) -> float:
    """Mean product of the residuals of two models' answers to one item, in units of the spread."""
    together = pairs = 0.0
    for block, variance in zip(blocks, spread, strict=True):
        if variance > 0.0:
            mean = block.sums.sum(axis=0) / block.counts.sum(axis=0)
            rest = block.sums - block.counts * mean
            together += ((rest.sum(axis=1) ** 2).sum() - (rest**2).sum()) / variance
            pairs += ((block.counts.sum(axis=1) ** 2).sum() - (block.counts**2).sum()).item()
    # two answers are one pair, which the sums count twice
    return min(MOST, max(0.0, float(together) / (pairs + 2 * DOUBT)))
