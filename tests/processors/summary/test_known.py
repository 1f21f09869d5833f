"""A number of a key is computed once, and what is kept is bounded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import native
from processors.summary import known as subject
from processors.summary.known import Known, Numbers, looked_up, ranked
from schemas.partial import Key

pytestmark = pytest.mark.usefixtures("way")


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


def test_numbers_are_looked_up_and_computed_where_they_are_not_known() -> None:
    known = Known(lambda each: -len(each[0]))
    known[key(1)] = 1 << 62

    assert [1 << 62, -3, -2, -2] == looked_up(known, [key(1), key(77), key(2), key(2)]).tolist()
    assert 3 == len(known)


def test_what_a_name_cannot_have_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        looked_up(Known(lambda each: 1 // len(each[4])), [key(1)])
    with pytest.raises(TypeError):
        looked_up(Numbers(), [["a list"]])  # type: ignore[type-var]  # it is none


@given(st.lists(st.lists(st.integers(0, 30).map(key), unique=True), max_size=5))
def test_names_are_ranked_in_their_order(parts: list[list[Key]]) -> None:
    expected = sorted({name for part in parts for name in part})

    names, found = ranked(parts)

    assert expected == list(names)
    assert parts == [[names[i] for i in each.tolist()] for each in found]


def test_numbers_that_are_none_are_refused() -> None:
    if native.core is not None:
        room = np.zeros(2, np.int64)
        with pytest.raises(TypeError):
            native.core.looked_up({"a": "b"}, ("a",), room)  # type: ignore[dict-item]  # as it says
        with pytest.raises(ValueError, match="a column of 3 items"):
            native.core.looked_up({}, ("a", "b", "c"), room)
        with pytest.raises(KeyError):
            native.core.looked_up({}, ("a",), room)
