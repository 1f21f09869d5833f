"""A worker that can do a tenth of what comes for 40 seconds: no more memory, and no event lost."""

from __future__ import annotations

from typing import Any

import pytest

from bench.backpressure import END_BAR, MOST_BAR, held
from bench.servers import Servers

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def test_a_worker_that_is_held_back_keeps_its_memory_ends_in_time_and_loses_nothing(
    pipeline: Any,
) -> None:
    at = Servers(pipeline.cluster, pipeline.settings, pipeline.folder, pipeline.codec)
    found = held(at, rate=40_000, seconds=40, patience=120)

    assert 0.02 < found.share < 0.4
    assert found.backlog > 10 * 40_000
    assert found.ended_in <= END_BAR
    assert max(found.memory) <= MOST_BAR
