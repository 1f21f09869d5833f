"""A list that a filter leaves empty does not say that there is nothing."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from processors.actuate.version import versioned
from schemas.alarm import Alarm, Answer
from schemas.config import LlmConfig
from schemas.decision import Action, Decision
from schemas.insight import Insight, InsightKind
from schemas.rollout import Phase
from schemas.window import EnrichedWindow
from streams.cli import home, main
from streams.settings import Settings

SCOPE = "search/answer"
READERS = {
    "alarms": "_all",
    "anomalies": "_all",
    "decisions": "_all",
    "deployments": "_told",
    "insights": "_newest",
    "windows": "_newest",
}
LIST = ("alarms", "decisions", "deployments")
Told = Callable[..., str]


def some(records: ModuleType) -> dict[str, Any]:
    """One record of what each command lists, of SCOPE."""
    config = versioned(LlmConfig(version="", provider="openai", model="gpt-4o"))
    return {
        "alarms": Alarm(
            id="a-1", scope=SCOPE, at=1, trigger="poor", severity="medium", metric="quality",
            answer=Answer.TOLD, value=70.0, limit=80.0, baseline=90.0, requests=500,
            rollout_id=None, version=config.version, target_version=None, expires_at=None,
            by="optimizer", sentence="Poorer than before.",
        ),
        "anomalies": records.anomaly(scope=SCOPE),
        "decisions": Decision(
            id="d-1", scope=SCOPE, at=1, rule="cost", priority="medium", action=Action.NONE,
            strategy="", current=config, chosen=None, confidence=0.5, propensity=1.0, policy="",
        ),
        "deployments": records.deployment(scope=SCOPE, phase=Phase.PROMOTED),
        "insights": Insight(
            id="t", scope=SCOPE, kind=InsightKind.TREND, metric="quality", window="1m", start=0,
            end=1, revision=1, holds=True, at=1, direction="degrading", value=-1.0,
            reference=90.0, low=-2.0, high=-0.5, relative=-0.1, p=0.001, confidence=0.999,
            subject="", causes=(), method="mann_kendall", samples=10, sentence="",
        ),
        "windows": EnrichedWindow(
            window=records.window(end=1 << 60), cost_usd=None, cost_per_request_usd=None
        ),
    }  # fmt: skip


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, records: ModuleType) -> Told:
    """What a command says where there is one record, or none."""

    def run(command: str, *words: str, found: Sequence[object] | None = None) -> str:
        module = importlib.import_module(f"streams.cli.{command}")
        every = [some(records)[command]] if found is None else list(found)
        monkeypatch.setattr(home, "reached", Settings)
        monkeypatch.setattr(module, READERS[command], lambda *_: every)
        called = (command, "list") if command in LIST else (command,)
        answer = CliRunner().invoke(main, [*called, *words], catch_exceptions=False)
        assert 0 == answer.exit_code, answer.output
        return answer.output

    return run


@pytest.mark.parametrize("command", READERS)
def test_a_scope_that_matches_nothing_is_named_with_what_is_there(command: str, told: Told) -> None:
    option = () if command in ("insights", "windows") else ("--scope",)
    said = told(command, *option, "serch/answer")

    assert "serch/answer. Without it there is 1; nearest: search/answer.\n" in said
    assert said.startswith("No ")


@pytest.mark.parametrize("command", READERS)
def test_where_there_is_nothing_at_all_no_filter_is_blamed(command: str, told: Told) -> None:
    option = () if command in ("insights", "windows") else ("--scope",)

    assert "Without it" not in told(command, *option, "serch/answer", found=())


@pytest.mark.parametrize(
    ("command", "words", "said"),
    [
        ("deployments", ("--active",), "Nothing is being rolled out.\n"),
        (
            "deployments",
            ("--active", "--scope", SCOPE),
            (
                "No rollouts or changes match --scope search/answer --active. "
                "Without them there is 1.\n"
            ),
        ),
        ("alarms", ("--open", "--scope", SCOPE), "Nothing waits for an answer.\n"),
        ("alarms", ("--open",), "Nothing waits for an answer.\n"),
        (
            "alarms",
            ("--open", "--scope", "mail/draft"),
            (
                "No alarms match --scope mail/draft --open. Without them there is 1; "
                "known: search/answer.\n"
            ),
        ),
        (
            "insights",
            (SCOPE, "--kind", "forecast"),
            "No insights match search/answer --kind forecast. Without them there is 1.\n",
        ),
        (
            "anomalies",
            ("--suppressed", "--scope", "mail"),
            "Nothing unusual was to be expected.\n",
        ),
    ],
)
def test_other_filters_are_told_too(
    command: str, words: tuple[str, ...], said: str, told: Told
) -> None:
    assert said == told(command, *words)


def test_what_was_refused_is_left_out_and_counted(told: Told, records: ModuleType) -> None:
    refused = [records.deployment(id=f"m-{n}", phase=Phase.REJECTED) for n in range(30)]
    found = [records.deployment(id="r-9"), *refused]
    plain, whole = told("deployments", found=found), told("deployments", "--refused", found=found)

    assert ["r-9"] == [line.split()[0] for line in plain.splitlines()[1:-1]]
    assert "30 that were refused are left out: --refused lists them, too." in plain
    assert 21 == len(whole.splitlines())
