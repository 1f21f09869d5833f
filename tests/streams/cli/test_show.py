from __future__ import annotations

import json
import math
from collections.abc import Mapping

import pytest

from schemas.anomaly import Cause
from schemas.config import LlmConfig, Split
from streams.cli import show
from streams.cli.story import Story


def test_a_document_is_json_of_dataclasses_and_plain_values(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show.document({"config": LlmConfig(version="v", provider="p", model="m"), "x": math.nan})

    found = json.loads(capsys.readouterr().out)
    assert ("m", None, None) == (found["config"]["model"], found["config"]["top_p"], found["x"])


def test_verdicts_are_words_and_shares_fractions_in_a_document(
    capsys: pytest.CaptureFixture[str], stories: Mapping[str, Story]
) -> None:
    split = Split(rollout_id="r", salt="r", share=2_500, shadow=25)
    cause = Cause(dimension="model", value="m", share=1.2, strength=0.9)
    show.document({"look": stories["rolled back"].looks[-1], "split": split, "cause": cause})
    found = json.loads(capsys.readouterr().out)

    assert ("fail", ["inconclusive", "fail"], 0.25) == (
        found["look"]["verdict"],
        [each["verdict"] for each in found["look"]["guardrails"]],
        found["look"]["share"],
    )
    assert (0.25, 0.0025, 1.2) == (
        found["split"]["share"],
        found["split"]["shadow"],
        found["cause"]["share"],
    )


def test_a_table_shows_what_is_not_there_as_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(("name", "share"), [("a[b]c", None), ("d", 0.123456)], empty="none")

    assert ["name    share", "a[b]c       –", "d      0.1235"] == [
        line.rstrip() for line in capsys.readouterr().out.splitlines()
    ]


def test_an_empty_table_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(("name",), [], empty="There are none.")

    assert "There are none.\n" == capsys.readouterr().out


def test_facts_leave_out_what_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    show.facts([("scope", "a/b"), ("decision", None), ("revision", 3)])

    assert ["scope     a/b", "revision  3"] == capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("at", [None, -1, 10**18])
def test_a_time_that_is_none_is_not_shown(at: int | None) -> None:
    assert show.moment(at) is None
