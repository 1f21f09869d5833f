"""Declared events: what a document may say of them."""

from __future__ import annotations

import pytest

from schemas.catalog import Event
from schemas.declare import declare, gather
from schemas.errors import InvalidCatalog


def test_an_event_is_declared_by_its_times() -> None:
    entries = declare(
        {"events": {"night": {"at": "2h", "lasts": "40m", "scopes": ["search"]}, "x": {"lasts": 1}}}
    )

    night = Event(id="night", at_s=7_200, lasts_s=2_400, scopes=("search",))
    assert {"event/night": night, "event/x": Event(id="x", lasts_s=1)} == entries
    assert night == gather(entries, 0).events["night"]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "lasts"),
        ({"lasts": "1d"}, "event/x, lasts: it would never be over; write less than every, 86400s"),
        ({"lasts": 0}, "event/x, lasts_s: 0 is not possible"),
        ({"lasts": 1, "scopes": []}, "event/x, scopes: the list is empty"),
        ({"lasts": 1, "scopes": ["a|b"]}, "event/x, scopes"),
        ({"lasts": 1, "until": 3}, "there is no field 'until'"),
    ],
)
def test_an_event_that_cannot_be_is_refused(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(InvalidCatalog) as refused:
        declare({"events": {"x": fields}})

    assert sentence in str(refused.value)
