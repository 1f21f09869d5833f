"""A week of events from the past closes windows of every size, seven days included."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.recompute import compare, counted, newest
from processors.merge.recompute import batch_windows, content
from schemas.topics import AGGREGATES, METRICS
from schemas.window import SIZES, WindowAggregate

pytestmark = [pytest.mark.integration, pytest.mark.timeout(420)]

WEEK = SIZES["7d"]
CHUNKS, CHUNK = 60, 40  # as producing.py has them
AGAIN = 3  # chunks that its second half sends once more
LEAST = SIZES["1h"]  # of the week that may still be sent


@dataclass(frozen=True)
class Week:
    """What came of it."""

    pipeline: Any
    end: int  # ms
    windows: list[WindowAggregate]  # all revisions


@pytest.fixture(scope="module")
def week(pipeline: Any) -> Week:
    """Events of the newest week that is over, as far back as events are taken.

    Half of them come before both workers are killed: what of the week was summed up until then is
    in changelogs only.
    """
    now = int(time.time() * 1_000)
    end = now // WEEK * WEEK
    # Older ones go to the dead letters; an hour for the late ones of the plan, and for this test.
    first = max(end - WEEK, now - (METRICS.retention_ms or 0) + SIZES["1h"])
    if end - first < LEAST:
        pytest.skip("in this hour the week before is too old to be sent, and this one is not over")
    plan = {
        "brokers": pipeline.cluster.bootstrap_servers,
        "registry": pipeline.cluster.registry_url,
        "progress": str(pipeline.folder / "progress"),
        "seed": 7,
        "start": first,
        "step_ms": (end - first) / (CHUNKS * CHUNK),
        "chunks": CHUNKS // 2,
        "seconds": 1.0,
        "began": time.time(),
        "again": AGAIN,
        "partitions": 4,
    }
    # Days pass within a second: a source that its new owner takes over a second later than the
    # others are would be days late, were it counted as idle.
    pipeline.start("worker-1", "worker-2", idle_after="10m")
    produce(pipeline, plan)
    pipeline.until(lambda: not pipeline.unread("collect"), 60, "the first half is read")
    pipeline.until(lambda: pipeline.closed(first + (end - first) // 3), 60, "days are closed")
    for name in ("worker-1", "worker-2"):
        pipeline.workers.kill(name)
    pipeline.start("worker-1", "worker-2")
    produce(pipeline, plan | {"chunks": CHUNKS})
    pipeline.close_windows(end)
    pipeline.until(lambda: pipeline.closed(end), 90, "the week is closed")
    pipeline.until(lambda: not pipeline.unread("collect"), 60, "all is read")

    assert [0, 0] == pipeline.stop()
    return Week(pipeline, end, [seen.value for seen in pipeline.records(AGGREGATES)])


def produce(pipeline: Any, plan: dict[str, Any]) -> None:
    """Send the plan's events that are not sent yet, and a few once more."""
    script = Path(__file__).with_name("producing.py")
    subprocess.run([sys.executable, script, json.dumps(plan)], env=pipeline.env, check=True)


def closed(windows: Iterable[WindowAggregate]) -> list[WindowAggregate]:
    """The newest revisions of all windows that are closed."""
    return [each for each in newest(windows).values() if each.closed]


def test_every_window_of_the_week_is_exact(week: Week) -> None:
    found = {each.record_id: content(each) for each in closed(week.windows) if each.end <= week.end}
    events = counted(week.pipeline.settings, week.pipeline.codec.registry)
    expected = {
        id_: content(each) for id_, each in batch_windows(events).items() if each.end <= week.end
    }

    assert set(SIZES) == {each.window for each in found.values()}
    assert [] == sorted(expected.keys() ^ found.keys())
    assert [] == [id_ for id_ in expected if expected[id_] != found[id_]]


def test_other_code_recomputes_the_same_days_and_weeks(week: Week) -> None:
    sizes = ("1h", "24h", "7d")
    settings, registry = week.pipeline.settings, week.pipeline.codec.registry
    compared, wrong = compare(settings, registry, week.windows, sizes)

    assert [] == wrong
    assert compared == sum(each.window in sizes for each in closed(week.windows))


def test_a_weeks_window_closes_once_with_all_that_its_minutes_hold(week: Week) -> None:
    of_week = [w for w in week.windows if (w.window, w.closed, w.end) == ("7d", True, week.end)]
    held: Counter[str] = Counter()
    for minute in closed(week.windows):
        if minute.window == "1m" and minute.pooled and week.end - WEEK <= minute.start < week.end:
            held[minute.scope] += minute.requests

    assert len(of_week) == len({each.record_id for each in of_week})
    assert {week.end} == {each.watermark for each in of_week}
    assert held == {each.scope: each.requests for each in of_week if each.pooled}
    assert 12 == len(held)


def test_nothing_of_the_week_was_lost(
    week: Week, commits_add_up: Callable[..., dict[int, dict[str, int]]]
) -> None:
    total: Counter[str] = Counter()
    for each in commits_add_up(week.pipeline, "collect").values():
        total.update(each)
    became = ("dead_lettered", "late", "duplicates", "aggregated")

    assert total["read"] == sum(total[name] for name in became)
    assert total["aggregated"] > CHUNKS * CHUNK
    assert total["duplicates"] >= AGAIN * CHUNK
    # Garbage alone, and what the plan sends beyond the grace.
    assert all(0 < total[name] < CHUNKS for name in ("dead_lettered", "late"))
