# `llmopt` is a fixture whose type lies in a conftest
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from schemas.topics import TOPICS
from streams import kafka

pytestmark = pytest.mark.integration

CATALOG = """
models:
  openai/gpt-4o: {quality: 84, p95_latency_ms: 2400}
  openai/gpt-4o-mini: {quality: 80, p95_latency_ms: 1600}
constraints:
  "*": {min_quality: 70}
"""


def test_applying_the_topics_twice_creates_them_once(llmopt: Any) -> None:
    again = llmopt.json("topics", "apply")

    assert ([], len(TOPICS), []) == (again["created"], len(again["unchanged"]), again["drift"])
    assert again["schemas"]
    assert "as declared" in llmopt("topics", "show").stdout


def test_a_topic_that_is_not_as_declared_is_shown_and_left_alone(llmopt: Any) -> None:
    name = "llmopt.anomalies.v1"

    def keep(milliseconds: str) -> None:
        entry = ConfigEntry(
            "retention.ms", milliseconds, incremental_operation=AlterConfigOpType.SET
        )
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
        admin = kafka.admin(llmopt.settings.bootstrap_servers)
        for future in admin.incremental_alter_configs([resource]).values():
            future.result(10)

    keep("60000")
    try:
        drift = llmopt.json("topics", "apply", expect=3)["drift"]
        shown = llmopt("topics", "show", name, expect=3).stdout
    finally:
        keep("2592000000")

    expected = {"topic": name, "setting": "retention.ms", "declared": "2592000000"}
    assert [expected | {"actual": "60000"}] == drift
    assert "60000" in shown


def test_another_partition_count_is_drift(llmopt: Any) -> None:
    found = json.loads(
        llmopt("topics", "show", "--json", expect=3, LLMOPT_PARTITIONS_DERIVED="9").stdout
    )

    assert {("partitions", "9", "4")} == {
        (each["setting"], each["declared"], each["actual"]) for each in found
    }


def test_a_catalog_is_declared_changed_and_pruned(llmopt: Any, tmp_path: Path) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text(CATALOG)
    dry = llmopt.json("catalog", "apply", str(file), "--dry-run", "--prune")
    before = llmopt.json("catalog", "show")
    llmopt("catalog", "apply", str(file), "--prune")

    assert not dry["applied"]
    assert set(dry["changes"]) - set(before) <= {
        "model/openai/gpt-4o",
        "model/openai/gpt-4o-mini",
        "constraints/*",
    }
    entries = llmopt.json("catalog", "show")
    assert ["constraints/*", "model/openai/gpt-4o", "model/openai/gpt-4o-mini"] == list(entries)
    assert 70 == entries["constraints/*"]["min_quality"]

    file.write_text("models: {openai/gpt-4o: {quality: 85}}")
    assert {"model/openai/gpt-4o": "changed"} == llmopt.json("catalog", "apply", str(file))[
        "changes"
    ]
    assert {} == llmopt.json("catalog", "apply", str(file))["changes"]
    pruned = llmopt.json("catalog", "apply", str(file), "--prune")["changes"]
    assert {"constraints/*": "deleted", "model/openai/gpt-4o-mini": "deleted"} == pruned
    assert ["model/openai/gpt-4o"] == list(llmopt.json("catalog", "show"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modles: {}", "modles"),
        ("models: {openai/gpt-4o: {quality: high}}", "model/openai/gpt-4o"),
        ("rules: {x: {when: {metric: speed}}}", "rule/x"),
        ("models: [", "is not YAML"),
        ("- a list", "not a list"),
    ],
)
def test_a_catalog_that_cannot_be_used_is_refused_whole(
    llmopt: Any, tmp_path: Path, text: str, said: str
) -> None:
    before = llmopt.json("catalog", "show")
    file = tmp_path / "catalog.yaml"
    file.write_text(text)
    answer = llmopt("catalog", "apply", str(file), expect=1)

    assert said in answer.stderr
    assert before == llmopt.json("catalog", "show")


def test_an_entry_that_another_program_broke_leaves_the_one_before_in_force(llmopt: Any) -> None:
    key = "model/test/broken"
    llmopt.produce(
        "llmopt.catalog.v1", key, b'{"provider": "test", "model": "broken", "quality": 5}'
    )
    llmopt.produce("llmopt.catalog.v1", key, b'{"provider": "test"}')
    answer = llmopt("catalog", "show", key)

    assert "quality 5" in answer.stdout
    assert f"Ignored by the workers: {key}" in answer.stderr
