"""The quick way to a batch gives what the general one gives, or leaves the datum to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import avsc
from schemas.avsc import Written
from schemas.batch import COLUMNS, MetricBatch
from schemas.batchdatum import quick
from schemas.codec import read
from schemas.datum import plainly
from schemas.errors import Undecodable

LONG = st.integers(-(1 << 63), (1 << 63) - 1)
NAME = st.text(max_size=20)
BATCH = st.builds(
    MetricBatch,
    producer_id=st.text(max_size=90),
    epoch=LONG,
    seq=LONG,
    n=st.integers(-(1 << 31), (1 << 31) - 1),
    keys=st.lists(st.tuples(*[NAME] * 6), max_size=4).map(tuple),
    error_types=st.lists(st.text(max_size=70), max_size=3).map(tuple),
    crc=LONG,
    **{name: st.binary(max_size=100) for name in COLUMNS},
)
OURS = Written.of(1, avsc.ours(MetricBatch))


pytestmark = pytest.mark.usefixtures("way")


def slowly(data: bytes) -> dict[str, Any] | None:
    """What the general way makes of it; None where it refuses it."""
    try:
        found = read(OURS, MetricBatch, data, 0)
    except Undecodable:
        return None
    found["keys"] = tuple(map(tuple, found["keys"]))
    found["error_types"] = tuple(found["error_types"])
    return found


@given(BATCH)
def test_what_we_write_is_read_the_quick_way(batch: MetricBatch) -> None:
    data = plainly(MetricBatch)(batch)

    assert slowly(data) == quick(data, 0)
    assert quick(b"frame" + data, 5) == quick(data, 0) is not None


@given(BATCH, st.data())
def test_broken_data_is_left_to_the_general_way(batch: MetricBatch, data: st.DataObject) -> None:
    whole = plainly(MetricBatch)(batch)
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255))
    for broken in (
        whole[:at],
        whole[:at] + bytes([other]) + whole[at + 1 :],
        whole + bytes([other]),
    ):
        found = quick(broken, 0)

        assert found is None or slowly(broken) == found


def test_names_of_any_length_are_read_by_one_way_or_the_other() -> None:
    short = MetricBatch(
        producer_id="p",
        epoch=1,
        seq=2,
        n=0,
        crc=0,
        error_types=(),
        keys=(("s", "e", "m", "p", "", ""),) * 3,
        **dict.fromkeys(COLUMNS, b""),
    )
    longer = plainly(MetricBatch)(
        MetricBatch(
            **{name: getattr(short, name) for name in MetricBatch.__slots__ if name != "keys"},
            keys=(("s" * 64, "e", "m", "p", "", ""),),
        )
    )

    assert short.keys == (quick(plainly(MetricBatch)(short), 0) or {})["keys"]
    assert quick(longer, 0) is None
    assert slowly(longer) is not None
