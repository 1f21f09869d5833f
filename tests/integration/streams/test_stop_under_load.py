"""A worker that is told to stop in the middle of much to do ends in time, and loses nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.environment import Environment
from streams.app import STOP_WITHIN
from tests.integration.streams.member import WITHIN, Member, Topics

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

TOTAL = 20_000


def test_sigterm_drains_and_exits_within_fifteen_seconds_under_load(
    cluster: Environment, topics: Topics, join: Callable[[str], Member], tmp_path: Path
) -> None:
    topics.send(*["s/e"] * TOTAL)
    script = Path(__file__).with_name("counting.py")
    command = [sys.executable, script, cluster.bootstrap_servers, cluster.registry_url, "w"]
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(command, stderr=log)
    try:
        deadline = time.monotonic() + WITHIN
        while topics.committed() < 1:
            assert time.monotonic() < deadline
        worker.terminate()
        began = time.monotonic()
        status = worker.wait(STOP_WITHIN + 5)
        took = time.monotonic() - began
    finally:
        worker.kill()
        worker.wait(10)
    done = topics.committed()

    assert (0, True) == (status, took <= STOP_WITHIN)
    assert 0 < done < TOTAL  # there was more to do
    join("next").count(TOTAL - done)
    assert sorted(f"s/e|{n}" for n in range(1, TOTAL + 1)) == topics.counted()
