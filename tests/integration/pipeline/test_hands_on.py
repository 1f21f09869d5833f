"""With nothing but stock tools: an event goes in, its window, the configs and the lag come out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from infra.kafka.install import HERE
from schemas.scope import scope_of
from schemas.topics import AGGREGATES, CONFIG, METRICS, STAGES
from schemas.window import MINUTE
from streams.stages import make

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

SOON_MS = 15_000
needs_kcat = pytest.mark.skipif(shutil.which("kcat") is None, reason="kcat is not installed")


@pytest.fixture(scope="module")
def living(pipeline: Any) -> Iterator[Any]:
    """Workers, and a fleet that lives as fast as we do."""
    pipeline.start("worker-1", "worker-2")
    fleet = subprocess.Popen(
        [
            *(sys.executable, "-m", "simulator", "--speed", "1", "--minutes", "10"),
            *("--bootstrap-servers", pipeline.cluster.bootstrap_servers),
            *("--start", str(int(time.time() * 1_000))),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        words = ("--provider", "openai", "--model", "gpt-4o-mini", "--by", "ada", "--new")
        pipeline.llmopt("config", "set", "search/answer", *words)
        yield pipeline
    finally:
        fleet.kill()
        fleet.wait(10)


def tool(pipeline: Any, *words: str, said: str = "") -> str:
    """What a tool prints."""
    return subprocess.run(
        words,
        env=pipeline.env,
        input=said,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def kcat(pipeline: Any, *words: str, said: str = "") -> str:
    return tool(pipeline, "kcat", "-b", pipeline.cluster.bootstrap_servers, *words, said=said)


def test_the_console_consumer_reads_configs_as_text(living: Any) -> None:
    words = ("--topic", CONFIG.name, "--from-beginning", "--max-messages", "1")
    shown = tool(living, str(HERE / "bin" / "kafka-console-consumer"), *words)

    assert ("search/answer", "gpt-4o-mini") == config(shown)


@needs_kcat
def test_kcat_reads_configs_as_text(living: Any) -> None:
    key, shown = kcat(living, "-C", "-t", CONFIG.name, "-e", "-q", "-f", "%k %s\n").split(" ", 1)

    assert "search/answer" == key
    assert ("search/answer", "gpt-4o-mini") == config(shown)


def config(shown: str) -> tuple[str, str]:
    """The scope and the stable model of the first config in *shown*."""
    found = json.loads(shown.splitlines()[0])
    return found["scope"], found["stable"]["model"]


def test_the_lag_of_every_stage_is_shown(living: Any) -> None:
    def described() -> dict[tuple[str, str, int], list[str]]:
        shown = tool(
            living, str(HERE / "bin" / "kafka-consumer-groups"), "--describe", "--all-groups"
        )
        rows = [line.split() for line in shown.splitlines()]
        assert ["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG"] in [
            row[:6] for row in rows
        ]
        return {(r[0], r[1], int(r[2])): r[3:6] for r in rows if len(r) > 5 and r[2].isdigit()}

    def complete() -> bool:
        shown = described()
        return (
            all(all(re.fullmatch(r"\d+", each) for each in shown.get(at, ["-"])) for at in busy)
            and wanted <= shown.keys()
        )

    wanted = {
        (f"llmopt.{stage}", topic.name, partition)
        for stage in STAGES
        for topic in make(stage, living.settings)[0].reads
        for partition in range(4)
    }
    # Of a topic without a record there is no offset to commit; these have some.
    busy = {at for at in wanted if at[0] in ("llmopt.collect", "llmopt.merge")}

    living.until(complete, 60, "offsets of every stage")


@needs_kcat
def test_a_line_of_json_without_a_key_is_in_its_minute_within_seconds(living: Any) -> None:
    now = int(time.time() * 1_000)
    line = {
        "timestamp": now,
        "service": "hello",
        "endpoint": "kcat",
        "model": "gpt-4o-mini",
        "provider": "openai",
        "latency_ms": 812.5,
        "tokens_input": 1200,
        "tokens_output": 300,
    }
    kcat(living, "-P", "-t", METRICS.name, said=json.dumps(line))
    start = now // MINUTE * MINUTE

    def window() -> Any:
        for seen in living.records(AGGREGATES):
            each = seen.value
            mine = (each.scope, each.window) == (scope_of("hello", "kcat"), "1m")
            if mine and each.pooled and each.closed:
                return seen
        return None

    seen = living.until(window, MINUTE / 1_000 + 40, "the window")

    assert (start, 1, 812.5) == (
        seen.value.start,
        seen.value.requests,
        seen.value.metrics["latency_ms"].sum,
    )
    assert seen.timestamp - max(now, start + MINUTE) < SOON_MS
    assert asdict(seen.value)["metrics"]["tokens_total"]["sum"] == 1_500
