"""A number of a key is computed once, and what is kept is bounded."""

from __future__ import annotations

import pytest

from processors.summary import known as subject
from processors.summary.known import Known
from schemas.partial import Key


def key(i: int) -> Key:
    return (f"s{i}", "e", "m", "p", "", "")


def test_a_number_is_computed_when_it_is_first_asked_for() -> None:
    asked = list[Key]()
    known = Known(lambda each: asked.append(each) or len(asked))  # type: ignore[func-returns-value]  # it returns None

    assert [1, 1, 2] == [known[key(0)], known[key(0)], known[key(1)]]
    assert [key(0), key(1)] == asked


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "MOST", 3)
    known = Known(lambda each: len(each[0]))

    assert [2] * 10 == [known[key(i)] for i in range(10)]
    assert len(known) <= 3
