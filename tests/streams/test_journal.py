"""What a commit wrote is told by digests, in C and in Python the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import native
from streams.exactly_once.journal import Record, digests

BODIES = st.none() | st.binary(max_size=70) | st.binary(max_size=40).map(lambda body: b"\0" + body)
RECORDS = st.builds(
    Record,
    topic=st.sampled_from(["llmopt.metrics.v1.dlq", "ü", ""]),
    partition=st.none(),
    key=st.none() | st.binary(max_size=9),
    value=BODIES,
)


@given(some=st.lists(RECORDS, max_size=5))
@settings(max_examples=200, deadline=None, database=None, derandomize=True)
def test_digests_are_those_of_python(some: list[Record]) -> None:
    assert native.core is not None

    assert [each.digest for each in some] == np.frombuffer(digests(some), "<u4").tolist()


def test_every_byte_but_the_frame_counts() -> None:
    value = bytes(range(1, 120))
    changed = [value[:i] + b"\xff" + value[i + 1 :] for i in range(len(value))]
    framed = [b"\0" + bytes([i]) * 4 + value for i in range(3)]
    written = [Record("t", 0, None, each) for each in (value, *changed, *framed)]
    found = np.frombuffer(digests(written), "<u4").tolist()

    assert len(value) + 1 == len(set(found[: len(value) + 1]))
    assert 1 == len(set(found[-3:]))


def test_what_is_no_record_is_refused() -> None:
    core: Any = native.core

    for odd in (
        (),
        ("t", 0),
        "text",
        ("t", 0, "key", b""),
        ("t", 0, b"", "value"),
        (1, 0, b"", b""),
    ):
        with pytest.raises(TypeError):
            core.digests([odd])
    with pytest.raises(TypeError, match="a list of records"):
        core.digests(())
