from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from demo.stored import COPIED, SHAPES, Key, compare, expected
from schemas.config import LlmConfig, ScopeConfig, Split
from schemas.topics import CONFIG
from sinks.rows import TABLES
from streams.follow import FOLLOWED

OLD = LlmConfig(version="v1", provider="openai", model="gpt-4", parameters={"seed": "7"})
NEW = LlmConfig(version="v2", provider="openai", model="gpt-4o-mini", temperature=0.1)
SPLIT = Split(rollout_id="r1", salt="s", share=500)
SAID = ScopeConfig(
    scope="search/answer", revision=2, epoch=1, stable=OLD, candidate=NEW, split=SPLIT,
    updated_at=1_760_000_000_000, reason="cheaper", decision_id="d1",
)  # fmt: skip
ROW = {
    "scope": "search/answer",
    "revision": 2,
    "epoch": 1,
    "updated_at": 1_760_000_000_000,
    "stable_version": "v1",
    "candidate_version": "v2",
    "share": 500,
    "split": {"rollout_id": "r1", "salt": "s", "share": 500, "by": "unit", "shadow": 0},
    "reason": "cheaper",
    "decision_id": "d1",
}
KEY = ("scope", "revision")
CALLED = "search/answer|2"


def wanted() -> Mapping[Key, Any]:
    return expected({name: [SAID] if name == CONFIG.name else [] for name in COPIED})[
        "config_versions"
    ]


def row(**changes: Any) -> dict[str, Any]:
    (found,) = wanted().values()
    return {**found, **changes}


def test_a_record_becomes_its_row() -> None:
    assert ROW == {name: value for name, value in row().items() if name in ROW}
    assert ("gpt-4", {"seed": "7"}) == (row()["stable"]["model"], row()["stable"]["parameters"])
    assert 0.1 == row()["candidate"]["temperature"]


def test_every_column_that_the_store_writes_is_compared() -> None:
    compared: dict[str, set[str]] = {}
    for shape in SHAPES:
        compared.setdefault(shape.table, set()).update(shape.plain, shape.other)
    written = {table.name: set(table.columns) for table in TABLES}

    written["decisions"].remove("revision")  # a decision is made once
    arrays = {"metric_names", "metric_counts", "metric_figures"}  # what the view shows as one
    assert arrays < written["windows"]
    written["aggregates"] = written.pop("windows") - arrays | {"metrics"}
    assert written == compared
    assert {topic.name for topic in FOLLOWED} < set(COPIED)


def test_of_two_records_of_a_key_the_newer_one_counts() -> None:
    later = replace(SAID, epoch=2, reason="another owner")
    for records in ([SAID, later], [later, SAID]):
        topics = dict.fromkeys(COPIED, ()) | {CONFIG.name: records}
        (found,) = expected(topics)["config_versions"].values()

        assert (2, "another owner") == (found["epoch"], found["reason"])


def test_rows_that_say_what_their_records_say_are_right() -> None:
    held = compare([row()], wanted(), KEY)

    assert (1, ()) == (held.records, held.wrong)


@pytest.mark.parametrize("column", [*sorted(ROW.keys() - KEY), "stable", "candidate"])
def test_a_row_that_differs_in_any_column_is_named(column: str) -> None:
    (told,) = compare([row(**{column: "other"})], wanted(), KEY).wrong

    assert told.startswith(f"{CALLED}: {column} is 'other'")


def test_a_missing_row_and_a_row_of_no_record_are_named() -> None:
    assert (f"{CALLED} is not in Postgres",) == compare([], wanted(), KEY).wrong
    more = [row(), row(scope="support/chat")]
    assert ("support/chat|2 is on no topic",) == compare(more, wanted(), KEY).wrong


def test_a_record_that_one_of_two_topics_lacks_is_no_match() -> None:
    # As of a window that was never enriched: the row has its values, but its cost is nobody's.
    partial = {key: {**each, "cost_usd": 1.0} for key, each in wanted().items()}
    held = compare([row(cost_usd=None)], partial, KEY)

    assert (f"{CALLED}: cost_usd is None, but 1.0 on the topic",) == held.wrong
