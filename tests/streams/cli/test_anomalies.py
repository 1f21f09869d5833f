from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

from schemas.anomaly import Anomaly, Cause, Severity
from streams.cli import anomalies as command
from streams.cli import home, main
from streams.settings import Settings

T0, MINUTE = 1_760_000_040_000, 60_000
OPENAI = Cause(dimension="provider", value="openai", share=1.2, strength=0.9)
Told = Callable[..., Result]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, records: ModuleType) -> Told:
    """What the command says of anomalies of which only the difference is told."""

    def run(*words: str, found: list[dict[str, object]]) -> Result:
        every = [
            records.anomaly(
                **{
                    "id": f"{each['scope']}|{each['minute']}",
                    "start": T0 + int(str(each["minute"])) * MINUTE,
                    "end": T0 + (int(str(each["minute"])) + 1) * MINUTE,
                    **{name: value for name, value in each.items() if name != "minute"},
                }
            )
            for each in found
        ]
        monkeypatch.setattr(home, "reached", Settings)
        monkeypatch.setattr(command, "_all", lambda _: every)
        answer = CliRunner().invoke(main, ["anomalies", *words], catch_exceptions=False)
        assert 0 == answer.exit_code
        return answer

    return run


FOUND: list[dict[str, object]] = [
    {"scope": "search/answer", "minute": 0, "severity": Severity.HIGH, "causes": (OPENAI,)},
    {"scope": "search/rerank", "minute": 3, "detector": "ensemble"},
    {"scope": "chat/reply", "minute": 4, "causes": (OPENAI,)},
    {"scope": "mailer/draft", "minute": 5},
    {"scope": "search/answer", "minute": 90},
    {"scope": "search/answer", "minute": 95, "is_anomaly": False},
    {
        "scope": "chat/reply",
        "minute": 96,
        "is_anomaly": False,
        "suppressed": "rollout r-1: ramping",
    },
]


def test_anomalies_of_one_service_or_cause_are_one_incident_newest_first(told: Told) -> None:
    found = json.loads(told("--json", found=FOUND).output)

    assert [
        ["search/answer"],
        ["mailer/draft"],
        ["chat/reply", "search/answer", "search/rerank"],
    ] == [each["scopes"] for each in found]
    assert ["high", T0, T0 + 5 * MINUTE] == [found[2][x] for x in ("severity", "start", "end")]
    assert "provider" == found[2]["anomalies"][0]["causes"][0]["dimension"]


def test_the_table_says_what_moved_and_who_told_it(told: Told) -> None:
    lines = told(found=FOUND).output.splitlines()

    assert lines[3].startswith("high for 5 min")
    assert lines[3].rstrip().endswith("provider openai (120 %)")
    assert "ensemble" in lines[4]
    assert 6 == len(lines)


def test_a_scope_or_a_service_can_be_asked_for(told: Told) -> None:
    scopes = [
        {scope for each in json.loads(answer.output) for scope in each["scopes"]}
        for answer in (
            told("--json", "--scope", "search", found=FOUND),
            told("--json", "--scope", "search/rerank", found=FOUND),
        )
    ]

    assert [{"search/answer", "search/rerank"}, {"search/rerank"}] == scopes


def test_the_limit_counts_incidents(told: Told) -> None:
    assert 1 == len(json.loads(told("--json", "--limit", "1", found=FOUND).output))


def test_what_was_to_be_expected_is_listed_with_its_reason(told: Told) -> None:
    table = told("--suppressed", found=FOUND).output
    (each,) = json.loads(told("--suppressed", "--json", found=FOUND).output)

    assert "rollout r-1: ramping" in table
    assert ("chat/reply", False) == (each["scope"], each["is_anomaly"])


def test_without_anomalies_there_is_a_sentence(told: Told) -> None:
    assert "Nothing unusual was found.\n" == told(found=[]).output
    assert "Nothing unusual was to be expected.\n" == told("--suppressed", found=[]).output


def test_a_hint_that_tells_little_joins_nothing(records: ModuleType) -> None:
    weak = Cause(dimension="provider", value="openai", share=0.5, strength=0.2)
    own = Cause(dimension="version", value="v1", share=1.0, strength=1.0)
    every: list[Anomaly] = [records.anomaly(causes=(each,)) for each in (weak, own)]

    assert {} == command.shared(every)
