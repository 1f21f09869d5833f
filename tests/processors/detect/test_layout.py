from __future__ import annotations

import numpy as np

from processors.detect.layout import (
    LARGEST,
    PLACES,
    SERIES,
    blank,
    closed,
    ensemble,
    opened,
    push,
    put_ensemble,
)
from processors.detect.series import SeriesPolicy, fresh, update

POLICY = SeriesPolicy(places=PLACES, largest=LARGEST)


def test_an_ensemble_that_is_packed_after_every_value_goes_on_as_if_it_were_not() -> None:
    rng, state, packed = np.random.default_rng(0), fresh(POLICY, 3), blank(3)
    expected, found = [], []
    for n in range(600):
        values = rng.normal(size=3) + (n > 500) * 9.0
        scores, state = update(POLICY, state, values)
        expected.append(scores)
        rows = opened([packed])
        scores, after = update(POLICY, ensemble(rows), values)
        put_ensemble(rows, after)
        (packed,) = closed(rows, 3)
        found.append(scores)

    assert np.array_equal(expected, found)
    assert (np.array(found) > POLICY.threshold).any()


def test_nothing_seen_is_a_fresh_ensemble() -> None:
    packed, plain = ensemble(opened([blank(2)])), fresh(POLICY, 2)
    pairs = zip(
        (*packed.sums, *packed.places, *packed[2:]),
        (*plain.sums, *plain.places, *plain[2:]),
        strict=True,
    )

    assert all(np.array_equal(a, b) for a, b in pairs)


def test_what_is_opened_and_closed_is_as_it_was() -> None:
    one, two = blank(2), np.random.default_rng(0).bytes(2 * SERIES.itemsize)

    assert [one, two] == closed(opened([one, two]), 2)


def test_what_is_written_is_not_what_was_read() -> None:
    before = blank(1)
    opened([before])["count"] = 7

    assert blank(1) == before


def test_the_newest_stands_at_the_end() -> None:
    rows = opened([blank(2)])
    for n in range(3):
        push(rows, "past", np.array([n, 10 + n]))

    assert [[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]] == rows["past"][:, -3:].tolist()
