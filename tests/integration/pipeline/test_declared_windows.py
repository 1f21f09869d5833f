"""Hopping windows and sessions of the catalog, some declared midway, while workers are killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.recompute import counted, newest
from processors.merge.recompute import batch_windows, content
from schemas.columns import EventColumns
from schemas.scope import partition_of
from schemas.span import Hopping, Session, Span
from schemas.topics import AGGREGATES, CATALOG
from schemas.window import MINUTE, SIZES, WindowAggregate

pytestmark = [pytest.mark.integration, pytest.mark.timeout(420)]

CHUNKS, CHUNK = 60, 40  # as producing.py has them
LENGTH = 6 * SIZES["1h"]  # of event time
RECENT = Hopping("recent", 30 * MINUTE, 10 * MINUTE)
VISITS = Session("visits", 3 * MINUTE, 120 * MINUTE)
LATER = Hopping("later", 10 * MINUTE, 2 * MINUTE)
EARLY = {
    "recent": {"kind": "hopping", "size": "30m", "hop": "10m"},
    "visits": {"kind": "session", "gap": "3m", "longest": "2h"},
}
MORE = {"later": {"kind": "hopping", "size": "10m", "hop": "2m"}}


@dataclass(frozen=True)
class Ran:
    """What came of it."""

    pipeline: Any
    end: int  # ms; all windows up to it are closed
    declared: int  # offset on the catalog's topic of the windows that are declared midway
    windows: list[WindowAggregate]  # all revisions


@pytest.fixture(scope="module")
def ran(pipeline: Any) -> Ran:
    """Six hours of events; midway more windows are declared, and both workers are killed."""
    now = int(time.time() * 1_000)
    end = now // SIZES["1h"] * SIZES["1h"]
    plan = {
        "brokers": pipeline.cluster.bootstrap_servers,
        "registry": pipeline.cluster.registry_url,
        "progress": str(pipeline.folder / "progress"),
        "seed": 11,
        "start": end - LENGTH,
        "step_ms": LENGTH / (CHUNKS * CHUNK),
        "chunks": CHUNKS // 2,
        "seconds": 1.0,
        "began": time.time(),
        "again": 3,
        "partitions": 4,
    }
    declare(pipeline, EARLY)
    # Hours pass within a second: a source that is taken over later than others must not be idle.
    pipeline.start("worker-1", "worker-2", idle_after="10m")
    produce(pipeline, plan)
    pipeline.until(lambda: not pipeline.unread("collect"), 60, "the first half is read")
    pipeline.until(lambda: pipeline.closed(end - 2 * LENGTH // 3), 60, "hours are closed")
    pipeline.until(lambda: not pipeline.unread("merge"), 60, "all of it is merged")
    declare(pipeline, MORE)
    declared = max(seen.offset for seen in pipeline.records(CATALOG))
    for name in ("worker-1", "worker-2"):
        pipeline.workers.kill(name)
    pipeline.start("worker-1", "worker-2")
    produce(pipeline, plan | {"chunks": CHUNKS})
    pipeline.close_windows(end)
    pipeline.until(lambda: pipeline.closed(end), 90, "all is closed")
    pipeline.until(lambda: not pipeline.unread("collect"), 60, "all is read")
    pipeline.until(lambda: not pipeline.unread("enrich"), 60, "all is priced")

    assert [0, 0] == pipeline.stop()
    return Ran(pipeline, end, declared, [seen.value for seen in pipeline.records(AGGREGATES)])


def declare(pipeline: Any, windows: dict[str, Any]) -> None:
    """Add windows to the catalog."""
    file = pipeline.folder / "windows.yaml"
    file.write_text(yaml.safe_dump({"windows": windows}))
    pipeline.llmopt("catalog", "apply", str(file))


def produce(pipeline: Any, plan: dict[str, Any]) -> None:
    """Send the plan's events that are not sent yet, and a few once more."""
    script = Path(__file__).with_name("producing.py")
    subprocess.run([sys.executable, script, json.dumps(plan)], env=pipeline.env, check=True)


def begun(ran: Ran, span: Span) -> dict[int, int]:
    """From which minute on each partition of merge had the declaration, as its journal says."""
    found = {}
    for partition, lines in ran.pipeline.journal("merge").items():
        first = next(i for i, line in enumerate(lines) if line.catalog > ran.declared)
        reached = 0 if span is not LATER or first == 0 else lines[first - 1].watermark or 0
        found[partition] = reached // MINUTE * MINUTE
    return found


def closed(ran: Ran, windows: Iterable[WindowAggregate], name: str) -> dict[str, WindowAggregate]:
    """Those of a kind that are closed by the end."""
    return {
        each.record_id: content(each)
        for each in windows
        if each.window == name and each.closed and each.end <= ran.end and not each.void
    }


@pytest.fixture(scope="module")
def events(ran: Ran) -> list[EventColumns]:
    """All that count."""
    return counted(ran.pipeline.settings, ran.pipeline.codec.registry)


@pytest.mark.parametrize("span", [RECENT, VISITS, LATER], ids=lambda span: span.id)
def test_declared_windows_equal_a_batch_recomputation(
    ran: Ran, events: list[EventColumns], span: Span
) -> None:
    found = closed(ran, newest(ran.windows).values(), span.name)
    expected = {
        id_: window
        for partition, since in begun(ran, span).items()
        for id_, window in closed(
            ran, batch_windows(events, {span: since}).values(), span.name
        ).items()
        if partition_of(window.scope, 4) == partition
    }

    assert len(found) > 100
    assert [] == sorted(expected.keys() ^ found.keys())
    assert [] == [id_ for id_ in expected if expected[id_] != found[id_]]


def test_windows_that_were_declared_midway_begin_midway(ran: Ran) -> None:
    since = begun(ran, LATER)
    first = min(each.start for each in ran.windows if each.window == LATER.name)

    assert ran.end - LENGTH < min(since.values()) <= first


def test_windows_of_fixed_lengths_are_exact_beside_them(
    ran: Ran, events: list[EventColumns]
) -> None:
    expected, found = batch_windows(events), newest(ran.windows)
    for size in ("1m", "5m", "15m", "1h"):
        assert closed(ran, expected.values(), size) == closed(ran, found.values(), size)


def test_a_replay_of_merge_is_identical_before_and_behind_the_declaration(ran: Ran) -> None:
    assert "identical" in ran.pipeline.llmopt("replay", "--stages", "merge").stdout


def test_people_see_declared_windows_by_their_name(ran: Ran) -> None:
    shown = ran.pipeline.json("windows", "--size", "visits", "--last", "1d")
    found = [each for each in newest(ran.windows).values() if each.window == VISITS.name]

    assert sorted(each.record_id for each in found if each.pooled and not each.void) == sorted(
        "|".join(
            (f"{w['service']}/{w['endpoint']}", "*", "*", "*", "*", w["window"], str(w["start"]))
        )
        for w in (each["window"] for each in shown)
    )
    lines = ran.pipeline.llmopt("windows", "--size", "later", "--last", "1d").stdout.splitlines()
    assert ["start", "end", "scope"] == lines[0].split()[:3]

    wrong = ran.pipeline.llmopt("windows", "--size", "vists", expect=2).stderr
    assert "did you mean 'visits'?" in " ".join(wrong.split())
