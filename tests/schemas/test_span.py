"""Declared windows: what a document may say of them, and what their names say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalog import WindowPolicy
from schemas.declare import declare, gather
from schemas.errors import InvalidCatalog
from schemas.span import Hopping, Session, Span, called, pane, problem, span
from schemas.window import MINUTE

HOUR = 60 * MINUTE
minutes = st.integers(1, 7 * 24 * 60).map(lambda n: n * MINUTE)
spans = st.one_of(
    st.builds(Hopping, st.just("w"), minutes, minutes),
    st.builds(Session, st.just("w"), minutes, minutes),
)


def test_windows_are_declared_as_people_write_them() -> None:
    entries = declare(
        {
            "windows": {
                "recent": {"kind": "hopping", "size": "15m", "hop": "5m"},
                "visits": {"kind": "session", "gap": 600, "longest": "4h"},
            }
        }
    )

    assert {
        "window/recent": WindowPolicy(id="recent", kind="hopping", size_s=900, hop_s=300),
        "window/visits": WindowPolicy(id="visits", kind="session", gap_s=600, longest_s=14_400),
    } == entries
    assert ["recent:hopping:15m:5m", "visits:session:10m:4h"] == [
        span(each).name for each in gather(entries, 0).windows.values()
    ]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"kind": "sliding"}, "window/w, kind: 'sliding' is unknown; use one of hopping, session"),
        ({}, "window/w: needs a value for one of kind"),
        ({"kind": "hopping", "size": "5m"}, "window/w: hopping windows need a hop; add it"),
        ({"kind": "session", "longest": "1h"}, "window/w: session windows need a gap; add it"),
        (
            {"kind": "hopping", "size": "5m", "hop": "5m", "gap": "1m"},
            "window/w, gap: this is of session windows; remove it, or write kind: session",
        ),
        (
            {"kind": "hopping", "size": "90s", "hop": "30s"},
            "window/w, size: 90 s is no number of whole minutes; write one, like 5m",
        ),
        ({"kind": "hopping", "size": "5m", "hop": 0}, "window/w, hop: 0 s is no number of whole"),
        (
            {"kind": "hopping", "size": "15m", "hop": "10m"},
            "window/w, size: 15m is no multiple of the hop of 10m; write one, like 20m",
        ),
        ({"kind": "hopping", "size": "8d", "hop": "1d"}, "size: 8d is longer than 7d"),
        (
            {"kind": "hopping", "size": "1d", "hop": "1m"},
            "hop: a window would be the sum of 1,440 panes of 1m, more than 300; make it longer",
        ),
        (
            {"kind": "session", "gap": "2h", "longest": "1h"},
            "longest: 1h is shorter than the gap of 2h; make it longer",
        ),
        ({"kind": "session", "gap": 61, "longest": 600}, "gap: 61 s is no number of whole minutes"),
        ({"kind": "session", "gap": -60, "longest": 600}, "gap_s: -60 is not possible"),
        ({"kind": "session", "gap": "1m", "longest": "30d"}, "longest: 30d is longer than 7d"),
    ],
)
def test_what_cannot_be_declared_is_refused_with_what_to_change(
    fields: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidCatalog) as raised:
        declare({"windows": {"w": fields}})

    assert sentence in str(raised.value)


@pytest.mark.parametrize("name", ["5m", "", "Recent", "a:b", "a|b", "x" * 41])
def test_a_name_that_could_be_taken_for_another_is_refused(name: str) -> None:
    with pytest.raises(InvalidCatalog, match="is no name for windows"):
        declare({"windows": {name: {"kind": "session", "gap": "1m", "longest": "1h"}}})


@given(spans)
def test_a_name_says_all_that_was_declared(found: Span) -> None:
    assert (found if problem(found) is None else None) == called(found.name)


@pytest.mark.parametrize(
    "name", ["1m", "w:hopping:60m:5m", "w:hopping:05m:5m", "w:hopping:5m", "w:tumbling:5m:5m", "w"]
)
def test_a_name_that_no_declaration_gives_is_none(name: str) -> None:
    assert called(name) is None


@pytest.mark.parametrize(
    ("hop", "longest"), [(7, 1), (10, 5), (30, 15), (120, 60), (1_440, 1_440), (10_080, 10_080)]
)
def test_panes_are_the_longest_windows_that_a_hop_is_made_of(hop: int, longest: int) -> None:
    assert longest * MINUTE == pane(hop * MINUTE)


def test_a_session_is_over_when_it_was_silent_for_the_gap_or_at_the_cut() -> None:
    visits = Session("visits", 10 * MINUTE, HOUR)

    assert 21 * MINUTE == visits.end(5 * MINUTE, 10 * MINUTE)
    assert HOUR == visits.end(5 * MINUTE, 55 * MINUTE)
    assert 2 * HOUR == visits.end(HOUR, 2 * HOUR - MINUTE)
