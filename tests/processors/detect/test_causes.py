"""Hints at the cause of a change."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.detect.causes import Amount, Cell, causes, parts

MODELS = {"gpt": "one", "mini": "one", "opus": "two", "haiku": "two", "flash": "three"}
OTHERS = {"region": ("eu", "us", "ap"), "version": ("v1", "v2"), "cohort": ("stable", "candidate")}
AMOUNTS = st.builds(Amount, st.floats(0, 1e6), st.floats(1, 1e6))


def ratio(cells: list[Cell], side: str) -> float:
    return float(
        sum(getattr(c, side).total for c in cells) / sum(getattr(c, side).size for c in cells)
    )


def faulty(seed: int, guilty: tuple[str, str], lift: float) -> list[Cell]:
    """Errors of all combinations of dimensions; those with the guilty value fail more often now."""
    rng = np.random.default_rng(seed)
    cells = []
    for model, *rest in product(MODELS, *OTHERS.values()):
        labels = {"model": model, "provider": MODELS[model], **dict(zip(OTHERS, rest, strict=True))}
        requests = rng.poisson(rng.lognormal(5, 1), 2) + 1
        rate = 0.02 + (lift if labels[guilty[0]] == guilty[1] else 0.0)
        cells.append(
            Cell(
                labels,
                Amount(float(rng.binomial(requests[0], 0.02)), float(requests[0])),
                Amount(float(rng.binomial(requests[1], rate)), float(requests[1])),
            )
        )
    return cells


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS), min_size=1, max_size=20))
def test_the_parts_add_up_to_the_change(amounts: list[tuple[Amount, Amount]]) -> None:
    cells = [Cell({"model": str(i)}, *each) for i, each in enumerate(amounts)]
    change = ratio(cells, "now") - ratio(cells, "before")

    assert pytest.approx(change, rel=1e-9, abs=1e-6) == sum(parts(cells))


@pytest.mark.parametrize("lift", [0.1, 0.3])
@pytest.mark.parametrize(
    "guilty",
    [
        ("model", "opus"),
        ("provider", "one"),
        ("region", "us"),
        ("version", "v2"),
        ("cohort", "candidate"),
    ],
)
def test_the_guilty_value_is_first_in_nine_of_ten_faults(
    guilty: tuple[str, str], lift: float
) -> None:
    first = [causes(faulty(seed, guilty, lift))[0] for seed in range(100)]

    assert np.mean([guilty == (hint.dimension, hint.value) for hint in first]) >= 0.9


def test_shares_of_a_dimension_add_up_to_one() -> None:
    shares: dict[str, float] = {}
    for hint in causes(faulty(0, ("model", "opus"), 0.2)):
        shares[hint.dimension] = shares.get(hint.dimension, 0.0) + hint.share

    assert pytest.approx(dict.fromkeys(("model", "provider", *OTHERS), 1.0)) == shares


def test_traffic_that_moved_to_a_dear_model_is_its_cause() -> None:
    cells = [
        Cell({"model": "dear", "region": region}, Amount(10.0, 100.0), Amount(40.0, 400.0))
        for region in ("eu", "us")
    ] + [
        Cell({"model": "cheap", "region": region}, Amount(9.0, 900.0), Amount(6.0, 600.0))
        for region in ("eu", "us")
    ]
    first = causes(cells)[0]

    assert ("model", "dear") == (first.dimension, first.value)


def test_a_cell_that_is_new_or_gone_counts_by_its_traffic() -> None:
    cells = [
        Cell({"model": "old"}, Amount(10.0, 100.0), Amount(0.0, 0.0)),
        Cell({"model": "new"}, Amount(0.0, 0.0), Amount(50.0, 100.0)),
    ]

    assert pytest.approx([0.2, 0.2]) == parts(cells)


def test_nothing_changed_has_no_cause() -> None:
    same = Amount(1.0, 10.0)

    assert () == causes([Cell({"model": "a"}, same, same)])


def test_an_even_change_has_no_cause() -> None:
    cells = [
        Cell({"model": m}, Amount(1.0, 100.0), Amount(2.0, 100.0)) for m in ("a", "b", "c", "d")
    ]

    assert [(0.0, pytest.approx(0.25))] * 4 == [(h.strength, h.share) for h in causes(cells)]


def test_without_counts_there_is_no_change_to_explain() -> None:
    with pytest.raises(ValueError, match="both before and now"):
        parts([Cell({"model": "a"}, Amount(0.0, 0.0), Amount(1.0, 1.0))])
