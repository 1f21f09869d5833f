"""Twenty thousand mutated messages: no worker ends, and each message is decoded or put aside."""

from __future__ import annotations

import time
from typing import Any

import pytest

from bench.mutate import Material, mutated
from bench.poison import accounts, fill, once_more, worked_off
from bench.servers import Servers

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

MESSAGES = 20_000
SEED = 20


def test_each_is_decoded_or_a_dead_letter_and_is_sent_again_once(pipeline: Any) -> None:
    at = Servers(pipeline.cluster, pipeline.settings, pipeline.folder, pipeline.codec)
    material = Material.at(at.codec, time.time_ns() // 1_000_000)
    fill(at.settings, mutated(material, SEED, MESSAGES))
    worked_off(at, "worker-poison")
    found = accounts(at.settings, at.codec)

    assert MESSAGES == found.messages
    assert MESSAGES / 3 < found.dead < MESSAGES
    assert len(found.reasons) >= 12

    after = once_more(at, found)

    # What is wrong stays wrong.
    assert {reason: 2 * count for reason, count in found.reasons.items()} == after.reasons
