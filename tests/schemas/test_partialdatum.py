"""The quick way to a partial gives what the general one gives, or leaves the datum to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec as codecs
from schemas.codec import FRAME, Codec
from schemas.datum import writer
from schemas.errors import Undecodable
from schemas.partial import Partial
from schemas.partialdatum import quick
from schemas.registry import LocalRegistry
from schemas.topics import PARTIALS

pytestmark = pytest.mark.usefixtures("way")


CODEC = Codec(LocalRegistry())
LONG = st.integers(-(1 << 63), (1 << 63) - 1)
NAME = st.text(max_size=20)
PARTIAL = st.builds(
    Partial,
    source=LONG,
    sources=LONG,
    watermark=st.none() | LONG,
    idle=st.booleans(),
    floor=st.none() | LONG,
    keys=st.lists(st.tuples(*[NAME] * 6), max_size=4).map(tuple),
    error_types=st.lists(st.text(max_size=70), max_size=3).map(tuple),
    cell_bytes=LONG,
    count_bytes=LONG,
    **{
        name: st.binary(max_size=100)
        for name in ("key", "minute", "counters", "moments", "extremes", "cells", "cell_counts",
                     "failures", "failure_counts", "units", "widths", "figures", "flags")
    },
)  # fmt: skip
NOTHING = Partial(
    source=1, sources=2, watermark=None, idle=False, keys=(), error_types=(), key=b"", minute=b"",
    counters=b"", moments=b"", extremes=b"", cells=b"", cell_counts=b"", failures=b"",
    failure_counts=b"", units=b"",
)  # fmt: skip
SHORT, LONGER = ("chat", "answer", "m", "p", "", "größer"), ("s" * 64, "e", "m", "p", "", "")


def slowly(data: bytes) -> Partial | str:
    """What the general way makes of it, or why it refuses it."""
    with patch.object(codecs, "quick", lambda *_: None):
        return read(data)


def read(data: bytes) -> Partial | str:
    try:
        found: Partial = CODEC.decode(PARTIALS, data)
    except Undecodable as error:
        return f"{error.reason}: {error.detail}"
    return found


@given(PARTIAL)
def test_a_partial_is_read_quickly_as_it_was_written(partial: Partial) -> None:
    data = CODEC.encode(PARTIALS, partial)
    if all(len(name.encode()) < 64 for key in partial.keys for name in key):
        assert quick(data, FRAME.size) == partial
    assert read(data) == slowly(data) == partial


@given(PARTIAL, st.data())
def test_bytes_that_are_changed_are_read_as_they_are_slowly(
    partial: Partial, draw: st.DataObject
) -> None:
    data = bytearray(CODEC.encode(PARTIALS, partial))
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(FRAME.size, len(data) - 1))
        data[at] = draw.draw(st.integers(0, 255))
    cut = bytes(data[: draw.draw(st.integers(FRAME.size, len(data)))])
    for each in (bytes(data), cut, bytes(data) + b"\0"):
        assert read(each) == slowly(each)


def in_blocks(items: bytes, counts: tuple[bytes, ...]) -> bytes:
    """An array of one item to a block, with the counts as they are given."""
    return b"".join(count + items for count in counts) + b"\0"


@pytest.mark.parametrize(
    "counts", [(b"\2", b"\2"), (b"\1\x1a", b"\2"), (b"\x84\0",)], ids=["two", "sized", "long"]
)
def test_arrays_in_other_blocks_are_left_to_the_general_way(counts: tuple[bytes, ...]) -> None:
    key = writer(Partial)(replace(NOTHING, keys=(SHORT,)))
    empty = writer(Partial)(NOTHING)
    start = next(i for i, (a, b) in enumerate(zip(key, empty, strict=False)) if a != b)
    item = key[start + 1 : len(key) - len(empty) + start]
    datum = empty[:start] + in_blocks(item, counts) + empty[start + 1 :]
    frame = CODEC.encode(PARTIALS, NOTHING)[: FRAME.size]
    assert quick(frame + datum, FRAME.size) is None
    assert read(frame + datum) == slowly(frame + datum)


@pytest.mark.parametrize("key", [SHORT, LONGER], ids=["short", "long"])
def test_keys_are_the_same_by_either_way(key: tuple[str, str, str, str, str, str]) -> None:
    partial = replace(NOTHING, keys=(key, key))
    data = CODEC.encode(PARTIALS, partial)
    assert read(data) == slowly(data) == partial
    assert (quick(data, FRAME.size) is None) == (key is LONGER)


def test_another_schema_is_read_by_the_general_way(monkeypatch: pytest.MonkeyPatch) -> None:
    data = CODEC.encode(PARTIALS, NOTHING)
    asked: list[Callable[..., object]] = []
    monkeypatch.setattr(codecs, "quick", asked.append)
    monkeypatch.setattr(codecs, "same", lambda *_: False)
    assert read(data) == NOTHING
    assert not asked
