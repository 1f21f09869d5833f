from __future__ import annotations

import json
import math

import pytest

from schemas.config import LlmConfig
from streams.cli import show


def test_a_document_is_json_of_dataclasses_and_plain_values(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show.document({"config": LlmConfig(version="v", provider="p", model="m"), "x": math.nan})

    found = json.loads(capsys.readouterr().out)
    assert ("m", None, None) == (found["config"]["model"], found["config"]["top_p"], found["x"])


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
