"""Which value of which dimension moved when a metric did?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Amount(NamedTuple):
    """What a metric is a ratio of: errors, cost or latencies, and how many requests."""

    total: float
    size: float


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of values, such as model and region, before and now."""

    labels: Mapping[str, str]  # dimension → value
    before: Amount
    now: Amount


@dataclass(frozen=True, slots=True)
class Hint:
    """One value of a dimension, and its part in the change."""

    dimension: str
    value: str
    share: float  # of the change; the values of a dimension add up to 1
    strength: float  # 0 to 1: how much of what cells differ by it tells


class _Part(NamedTuple):
    change: float
    weight: float


def parts(cells: Sequence[Cell]) -> list[float]:
    r"""What each cell adds to the change of the ratio of the sums; they add up to it exactly.

    With the weight w of a cell in the counts and its ratio r, before and now,

        R₁ − R₀ = Σ (r₁ − r₀)·(w₀ + w₁)/2 + Σ (w₁ − w₀)·((r₀ + r₁)/2 − R̄),  R̄ = (R₀ + R₁)/2,

    the first sum because cells got worse, the second because traffic moved to worse ones
    (Bennet's decomposition, J. Royal Statistical Society 83, 1920; R̄ adds nothing to it). A cell
    that is there only once has its one ratio at both times.

    Raises:
        ValueError: nothing was counted before or now.
    """
    before, now = (sum(getattr(c, side).size for c in cells) for side in ("before", "now"))
    if before <= 0 or now <= 0:
        raise ValueError("there must be counts both before and now")
    middle = sum(c.before.total for c in cells) / before / 2
    middle += sum(c.now.total for c in cells) / now / 2
    found = []
    for cell in cells:
        w0, w1 = cell.before.size / before, cell.now.size / now
        r0 = cell.before.total / cell.before.size if w0 else 0.0
        r1 = cell.now.total / cell.now.size if w1 else r0
        r0 = r0 if w0 else r1
        found.append((r1 - r0) * (w0 + w1) / 2 + (w1 - w0) * ((r0 + r1) / 2 - middle))
    return found


def causes(cells: Sequence[Cell]) -> tuple[Hint, ...]:
    """The values of all dimensions, the likeliest cause first; () where nothing changed.

    In every dimension the shares add up to 1, so a large share alone tells little: a value with
    most of the traffic has most of any change. What counts is how much more than its part of the
    traffic a value has of the change, e, as the between-groups sum of squares of parting it from
    the rest, e² / (w (1 − w)), out of the same sum over all cells. A model at fault tells more
    than its provider, whose other models are well; a provider more than each of its models.

    Args:
        cells: All with the same dimensions.
    """
    changes = parts(cells)
    change = sum(changes)
    if not change:
        return ()
    before, now = (sum(getattr(c, side).size for c in cells) for side in ("before", "now"))
    weights = [(c.before.size / before + c.now.size / now) / 2 for c in cells]
    differ = sum((c - w * change) ** 2 / w for c, w in zip(changes, weights, strict=True) if w > 0)
    # Below this cells differ by rounding only.
    differ = differ if differ > 1e-18 * change**2 else 0.0
    hints = []
    for dimension in sorted(cells[0].labels):
        values: dict[str, _Part] = defaultdict(lambda: _Part(0.0, 0.0))
        for cell, c, w in zip(cells, changes, weights, strict=True):
            so_far = values[cell.labels[dimension]]
            values[cell.labels[dimension]] = _Part(so_far.change + c, so_far.weight + w)
        for value, part in sorted(values.items()):
            excess, rest = part.change - part.weight * change, part.weight * (1 - part.weight)
            told = excess**2 / rest / differ if rest > 1e-12 and differ > 0 else 0.0
            # Who moved against the change is no cause of it.
            hints.append(
                Hint(dimension, value, part.change / change, told if excess * change > 0 else 0.0)
            )
    return tuple(sorted(hints, key=lambda hint: (-hint.strength, -hint.share)))
