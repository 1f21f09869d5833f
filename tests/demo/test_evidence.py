"""What is found in the journal, the scenario and the fleet's own word."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from demo.evidence import draw, endings, sent, taken_over, thin, width, worse
from demo.run import SCENARIO
from schemas.journal import JournalRecord
from schemas.rollout import Deployment, Guardrail, Look, Phase, Verdict
from simulator.scenario import read

SUMMARY: dict[str, Any] = {
    "messages": 10,
    "duplicates": 1,
    "quality": 2,
    "garbage": 3,
    "garbage_failed": 0,
    "clients": {"reported": 12, "delivered": 12, "dropped": 0, "invalid": 0, "failed": 0},
    "services": {
        "a": {"cost_usd": 1.0, "default_cost_usd": 2.0},
        "b": {"cost_usd": 0.5, "default_cost_usd": 4.0},
    },
}


def line(partition: int, epoch: int, now: int) -> JournalRecord:
    return JournalRecord(
        stage="collect", partition=partition, sequence=1, epoch=epoch, now=now, seed=0, ranges=(),
        catalog=0, policy="", watermark=None,
    )  # fmt: skip


def test_what_was_sent_is_what_the_fleet_says() -> None:
    found = sent(SUMMARY)

    assert found is not None
    assert (15, 1.5, 6.0) == (found.messages, found.cost_usd, found.default_usd)


@pytest.mark.parametrize("name", ["dropped", "invalid", "failed", "garbage_failed"])
def test_a_fleet_whose_reports_did_not_all_arrive_is_no_evidence(name: str) -> None:
    lost = SUMMARY | {name: 1, "clients": {**SUMMARY["clients"], name: 1}}

    assert sent(lost) is None


def test_only_commits_of_the_partitions_that_the_killed_one_had_count_and_by_their_new_owner() -> (
    None
):
    before = [line(partition, 1, 90) for partition in range(4)]
    dying = [line(2, 1, 110)]
    after = [*(line(0, 2, 120) for _ in range(5)), line(2, 2, 130), line(2, 3, 140)]

    assert {2: 2, 3: 0} == taken_over([*before, *dying, *after], 100, {2, 3})


def test_the_scenario_says_which_models_are_worse_and_where() -> None:
    found = worse(read(Path(SCENARIO)))

    assert {"support/summarize"} == {scope for scope, models in found.items() if models}
    assert "mistral/open-mixtral-8x7b" in found["support/summarize"]
    assert "openai/gpt-4" not in found["support/summarize"]


def test_the_scenario_says_where_too_little_is_asked() -> None:
    assert {"archive/tag"} == thin(read(Path(SCENARIO)))


RAIL = Guardrail(
    metric="quality",
    verdict=Verdict.INCONCLUSIVE,
    log_e=1.0,
    limit=4.0,
    stable_n=100,
    candidate_n=10,
    stable_value=95.0,
    candidate_value=90.0,
    upper_harm=0.2,
    margin=0.1,
    sentence="",
)
WORSE = replace(RAIL, log_e=5.0, verdict=Verdict.FAIL)


def event(id_: str, minute: int, phase: Phase, share: int, **more: Any) -> Deployment:
    given: dict[str, Any] = {
        "scope": "a/b",
        "revision": 1,
        "sequence": minute + 1,
        "previous": None,
        "step": 1,
        "steps": 4,
        "verdict": Verdict.INCONCLUSIVE,
        "guardrails": (),
        "reason": "Why.",
        "by": "optimizer",
        "decision_id": None,
        "stable_version": "1",
        "candidate_version": "2",
        "stable_model": "c/c",
        "candidate_model": "c/d",
    }
    return Deployment(id=id_, at=minute * 60_000, phase=phase, share=share, **given | more)


def look(id_: str, minute: int, requests: int = 0) -> Look:
    return Look(
        id=id_,
        scope="a/b",
        at=minute * 60_000,
        share=100,
        phase=Phase.RAMPING,
        verdict=Verdict.INCONCLUSIVE,
        guardrails=(RAIL,),
        stable_requests=10 * requests,
        candidate_requests=requests,
    )


def test_how_rollouts_ended_or_stand_is_told_in_the_order_of_their_last_events() -> None:
    told = [
        event("r-held", 0, Phase.RAMPING, 100),
        event("r-back", 0, Phase.RAMPING, 500),
        event("r-held", 9, Phase.RAMPING, 100, reason="Held."),
        event("r-back", 8, Phase.ROLLED_BACK, 0, guardrails=(RAIL, WORSE)),
        event("r-no", 9, Phase.REJECTED, 0),
        event("m-1", 1, Phase.PROMOTED, 10_000, candidate_model=None),
        event("r-on", 10, Phase.RAMPING, 500),
        look("r-held", 30, requests=12),
        "a record of another kind",
    ]

    assert [
        ("r-back", "rolled_back", ("quality",), 8.0, 0, 0),
        ("r-held", "held", (), 30.0, 100, 12),
        ("r-on", "ramping", (), 0.0, 500, 0),
    ] == [(e.id, e.phase, e.failed, e.minutes, e.share, e.requests) for e in endings(told)]


@pytest.mark.parametrize(
    ("last", "before", "crossed"), [(WORSE, RAIL, True), (RAIL, RAIL, False), (WORSE, WORSE, False)]
)
def test_the_rollback_of_a_bad_candidate_is_drawn_and_looked_at(
    last: Guardrail,
    before: Guardrail,
    crossed: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    ended = endings(
        [
            event("r-0", 0, Phase.RAMPING, 500),
            event("r-0", 1, Phase.ROLLED_BACK, 0, scope="a/other"),
            event("r-1", 0, Phase.RAMPING, 500),
            event("r-1", 2, Phase.ROLLED_BACK, 0),
        ]
    )
    typed: list[tuple[str, ...]] = []

    def command(_: object, *words: str) -> str:
        typed.append(words)
        looks = [{"guardrails": [{"log_e": g.log_e, "limit": g.limit}]} for g in (before, last)]
        return json.dumps({"looks": looks})

    monkeypatch.setattr("demo.evidence.command", command)
    file = tmp_path / "folder" / "it.png"
    found = draw({}, ended, {"a/b": {"c/d"}}, file)

    assert found is not None
    assert [("deployments", "show", "r-1", "--plot", str(file), "--json")] == typed
    assert ("r-1", 2, None, crossed) == (found.id, found.looks, found.width, found.crossed)


def test_without_a_bad_candidate_that_was_taken_back_nothing_is_drawn(tmp_path: Path) -> None:
    ended = endings([event("r-1", 0, Phase.RAMPING, 500), event("r-1", 1, Phase.PROMOTED, 10_000)])

    assert draw({}, ended, {"a/b": {"c/d"}}, tmp_path / "it.png") is None


def test_only_a_png_has_a_width(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\xb0\0\0")
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")

    assert [1_200, None, None] == [width(tmp_path / name) for name in ("a.png", "b.png", "c.png")]
