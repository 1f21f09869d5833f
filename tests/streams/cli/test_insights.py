"""Which insights stand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from click.testing import CliRunner

from schemas.insight import Insight, InsightKind
from streams.cli import main
from streams.cli.insights import standing

MINUTE = 60_000
TREND = Insight(
    id="t", scope="a/b", kind=InsightKind.TREND, metric="quality", window="1m", start=0,
    end=10 * MINUTE, revision=1, holds=True, at=10 * MINUTE, direction="degrading", value=-1.0,
    reference=90.0, low=-2.0, high=-0.5, relative=-0.1, p=0.001, confidence=0.999, subject="",
    causes=(), method="mann_kendall", samples=10, sentence="",
)  # fmt: skip
FORECAST = replace(TREND, id="f", kind=InsightKind.FORECAST, at=15 * MINUTE)


def test_the_last_word_on_each_stands_the_newest_first() -> None:
    again, other = replace(TREND, revision=2), replace(TREND, id="u")

    assert [again, other] == standing([TREND, other, again])


def test_what_was_taken_back_does_not_stand() -> None:
    assert [] == standing([TREND, replace(TREND, revision=2, holds=False)])


def test_a_forecast_stands_until_its_time_has_come_in_its_own_windows() -> None:
    later = replace(TREND, end=15 * MINUTE)
    others = [replace(later, id="x", window="1h"), replace(later, id="y", scope="a/c")]

    assert FORECAST in standing([FORECAST, *others])
    assert [later] == standing([FORECAST, later])


@pytest.mark.parametrize(
    "words", [("baseline", "*"), ("baseline", "shop"), ("insights", "--kind", "x")]
)
def test_wrong_usage_is_told(words: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(main, list(words))

    assert 2 == answer.exit_code
    assert "broker" not in answer.stderr
