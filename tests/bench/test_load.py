"""What the load sends is what a worker reads: every event of now, none twice."""

from __future__ import annotations

import pytest

from bench.load import FORMS, blocks, events
from schemas.codec import Codec
from schemas.decode import decode_events
from schemas.registry import LocalRegistry
from schemas.topics import METRICS

NOW = 1_760_000_123_456
WEEK = 7 * 86_400_000


@pytest.mark.parametrize("form", FORMS)
def test_each_turn_sends_new_events_of_its_own_time(form: str) -> None:
    some = blocks(Codec(LocalRegistry()), events(NOW - 60_000)[:2_000], form)
    sent, identities = 0, list[int]()
    for turn in range(2 * len(some)):
        block = some[turn % len(some)]
        values = [value for _, value in block.at(NOW, turn)]
        found = decode_events(LocalRegistry(), METRICS.name, values, NOW, WEEK)
        sent += block.events

        assert () == tuple(found.rejected)
        assert [NOW] * block.events == found.events.timestamp.tolist()

        identities += dict.fromkeys(found.events.identity.tolist())

    distinct = 2 * len(some) if form == "batch" else sent
    assert distinct == len(identities) == len(set(identities))


def test_the_share_that_is_spoilt_is_all_that_cannot_be_read() -> None:
    for turn, block in enumerate(blocks(Codec(LocalRegistry()), events(NOW)[:1_000], "avro", 0.1)):
        values = [value for _, value in block.at(NOW, turn)]
        found = decode_events(LocalRegistry(), METRICS.name, values, NOW, WEEK)

        assert 50 == block.spoilt == len(found.rejected)
        assert 450 == len(found.events)
