from __future__ import annotations

from typing import Any

import pytest

from streams.exactly_once.compare import LONGEST, differing


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        ({"a": 1, "b": [{"c": 2}]}, {"a": 1, "b": [{"c": 2}]}, []),
        (
            {"guardrails": [{"log_e": 0.1}, {"log_e": 0.12}]},
            {"guardrails": [{"log_e": 0.1}, {"log_e": 0.13}]},
            ["guardrails[1].log_e: 0.12 → 0.13"],
        ),
        ({"a": [1]}, {"a": [1, 2], "b": None}, ["a[1]: absent → 2", "b: absent → null"]),
        ({"a": {"b": 1}}, {"a": None}, ['a: {"b": 1} → null']),
        ("deleted", {"a": 1}, ['value: "deleted" → {"a": 1}']),
    ],
)
def test_a_difference_is_named_by_its_path(then: Any, now: Any, expected: list[str]) -> None:
    assert expected == list(differing(then, now))


def test_a_long_value_is_cut() -> None:
    (told,) = differing("x" * 1_000, "y")

    assert len(told) < LONGEST + 30
