# `llmopt` is a fixture whose type lies in a conftest
from __future__ import annotations

import re
import secrets
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from processors.actuate.version import versioned
from schemas.command import CommandKind
from schemas.config import ScopeConfig
from schemas.decision import Action, Decision
from schemas.rollout import Guardrail, Look, Phase, Verdict
from schemas.topics import COMMANDS, CONFIG, DECISIONS, DEPLOYMENTS
from streams.reading import Watch
from tests.integration.cli.acting import CATALOG, EVENT, STABLE, actuator

pytestmark = pytest.mark.integration


@pytest.fixture
def served(llmopt: Any, scope: str) -> str:
    """A scope in which a candidate is rolled out; the id of that."""
    id_ = f"r-{scope}"
    event = replace(EVENT, id=id_, scope=scope, phase=Phase.RAMPING, share=500, steps=4)
    llmopt.produce(DEPLOYMENTS.name, scope, replace(event, candidate_model="openai/small"))
    return id_


@pytest.mark.parametrize(
    ("word", "phase"),
    [
        ("promote", Phase.PROMOTED),
        ("abort", Phase.ROLLED_BACK),
        ("reject", Phase.ROLLED_BACK),
        ("approve", Phase.PENDING),
    ],
)
@pytest.mark.parametrize("by_id", [True, False])
def test_a_rollout_is_ended_or_let_go_on_by_hand(
    llmopt: Any, scope: str, served: str, word: str, phase: Phase, *, by_id: bool
) -> None:
    with actuator(llmopt, phase, "Ended by ada.", served) as obeyed:
        done = llmopt.json("deployments", word, served if by_id else scope, "--by", "ada")

    assert [(word, scope, served)] == [(c.kind.value, c.scope, c.rollout_id) for c in obeyed]
    assert (served, phase.value) == (done["event"]["id"], done["event"]["phase"])


def test_what_is_approved_says_what_becomes_of_it(llmopt: Any, scope: str, served: str) -> None:
    with actuator(llmopt, Phase.RAMPING, "Approved by ada: fine.", served):
        said = llmopt("deployments", "approve", served, "--by", "ada", "--reason", "fine").stdout

    assert f"{scope}: Approved by ada: fine. See `llmopt deployments show {served}`.\n" == said


def test_a_scope_whose_config_was_never_written_stays_with_what_it_has(
    llmopt: Any, scope: str, served: str
) -> None:
    event = replace(EVENT, revision=0, stable_model="openai/gpt-4")
    with actuator(llmopt, Phase.ROLLED_BACK, "Rejected by ada.", served, event=event):
        said = llmopt("deployments", "reject", served, "--by", "ada").stdout

    assert f"{scope} stays with openai/gpt-4. Rejected by ada.\n" == said


@pytest.mark.parametrize("word", ["promote", "abort", "approve", "reject"])
def test_what_is_not_being_rolled_out_is_not_to_be_given_a_word(
    llmopt: Any, scope: str, served: str, word: str
) -> None:
    end = replace(EVENT, id=served, scope=scope, sequence=2, phase=Phase.ROLLED_BACK)
    llmopt.produce(DEPLOYMENTS.name, scope, end)

    assert "is over" in llmopt("deployments", word, served, expect=3).stderr
    assert "No rollout is active in" in llmopt("deployments", word, scope, expect=3).stderr
    assert "No rollout is r-none: see" in llmopt("deployments", word, "r-none", expect=3).stderr


def test_a_promotion_is_refused_as_the_actuator_says(llmopt: Any, served: str) -> None:
    with actuator(llmopt, Phase.REJECTED, "There is no rollout to promote here."):
        answer = llmopt("deployments", "promote", served, expect=1)

    assert "llmopt: There is no rollout to promote here.\n" == answer.stderr


def test_a_config_that_is_set_is_served_when_the_command_returns(llmopt: Any, scope: str) -> None:
    llmopt.produce("llmopt.catalog.v1", "model/test/fit", CATALOG)
    with actuator(llmopt, Phase.PROMOTED, "Set by ada: try it.") as obeyed:
        words = ("--provider", "test", "--model", "fit", "--temperature", "0.5")
        more = ("--new", "--by", "ada", "--reason", "try it")
        answer = llmopt("config", "set", scope, *words, *more)

    assert f"{scope} is served test/fit" in answer.stdout
    assert (CommandKind.SET, "ada", "try it") == (obeyed[0].kind, obeyed[0].by, obeyed[0].reason)
    assert obeyed[0].config is not None
    assert versioned(obeyed[0].config) == obeyed[0].config


def test_a_refusal_is_the_actuators_sentence(llmopt: Any, scope: str) -> None:
    with actuator(llmopt, Phase.REJECTED, "There is no version before the stable one."):
        answer = llmopt("config", "rollback", scope, expect=1)

    assert ("", "llmopt: There is no version before the stable one.\n") == (
        answer.stdout,
        answer.stderr,
    )


def test_a_model_that_is_not_in_the_catalog_is_refused_before_it_is_sent(
    llmopt: Any, scope: str
) -> None:
    watch = Watch(llmopt.settings, llmopt.codec, [COMMANDS])
    try:
        words = ("--provider", "test", "--model", "invented")
        answer = llmopt("config", "set", scope, *words, expect=1)

        assert "Model test/invented is not in the catalog" in answer.stderr
        assert watch.until(lambda seen: seen.key == scope, 1.0) is None
    finally:
        watch.close()


def test_a_command_that_nobody_obeys_says_which_worker_is_missing(
    llmopt: Any, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.cli.give.WAIT", 0.5)

    assert (
        "no actuator is running: start a worker"
        in llmopt("config", "rollback", scope, expect=1).stderr
    )
    assert "Sent." in llmopt("config", "rollback", scope, "--no-wait").stdout


def test_the_newest_config_is_shown_and_the_fallback_when_there_is_none(llmopt: Any) -> None:
    service = f"svc{secrets.token_hex(3)}"
    old = ScopeConfig(scope=service, revision=1, epoch=1, stable=None, reason="old")
    llmopt.produce(CONFIG.name, service, old)
    llmopt.produce(CONFIG.name, service, replace(old, revision=2, stable=STABLE, reason="new"))

    assert 2 == llmopt.json("config", "get", service)["revision"]
    assert service == llmopt.json("config", "get", f"{service}/answer")["scope"]
    assert f"openai/gpt-4o ({STABLE.version})" in llmopt("config", "get", service).stdout


def test_a_scope_without_a_config_is_not_found(llmopt: Any, scope: str) -> None:
    if "*" in str(llmopt("config", "get", "*", expect=3).output):
        assert "run what they bring along" in llmopt("config", "get", scope, expect=3).stderr
    assert "never been changed" in llmopt("config", "history", scope, expect=3).stderr
    assert "no deployment" in llmopt("deployments", "show", scope, expect=3).stderr
    assert "no decision" in llmopt("decisions", "show", scope, expect=3).stderr


def test_a_rollout_is_told_from_its_beginning(llmopt: Any, scope: str, tmp_path: Path) -> None:
    rail = Guardrail(
        metric="errors",
        verdict=Verdict.FAIL,
        log_e=5.0,
        limit=4.0,
        stable_n=1000,
        candidate_n=100,
        stable_value=0.01,
        candidate_value=0.2,
        upper_harm=0.3,
        margin=0.05,
        sentence="Errors rose by 19 points.",
    )
    id_ = f"r-{scope}"
    start = replace(
        EVENT, id=id_, scope=scope, phase=Phase.RAMPING, share=500, step=1, steps=4, reason="new"
    )
    end = replace(
        start,
        sequence=3,
        phase=Phase.ROLLED_BACK,
        share=0,
        guardrails=(rail,),
        verdict=Verdict.FAIL,
        stable_model="openai/gpt-4o",
        stable_version="v-1",
        reason="errors",
    )
    llmopt.produce(DEPLOYMENTS.name, scope, start)
    assert [id_] == [
        e["id"] for e in llmopt.json("deployments", "list", "--active", "--scope", scope)
    ]
    llmopt.produce(DEPLOYMENTS.name, scope, replace(start, sequence=2, reason="too early"))
    listed = llmopt("deployments", "list", "--scope", scope).stdout
    assert re.search(r" held +5 % +1 of 4 .* too early", listed)
    for minute, log_e in enumerate((0.0, 2.0, 5.0), 1):
        look = Look(
            id=id_,
            scope=scope,
            at=start.at + minute * 60_000,
            share=500,
            phase=Phase.RAMPING,
            verdict=Verdict.INCONCLUSIVE,
            guardrails=(replace(rail, log_e=log_e),),
            stable_requests=300 * minute,
            candidate_requests=33 * minute,
        )
        llmopt.produce(DEPLOYMENTS.name, scope, look)
    llmopt.produce(DEPLOYMENTS.name, scope, replace(end, at=start.at + 3 * 60_000))

    assert [] == llmopt.json("deployments", "list", "--active", "--scope", scope)
    told = llmopt("deployments", "show", id_, "--plot", str(tmp_path / "it.png")).stdout
    assert told.startswith("Rolled back after 3 min: worse in errors.")
    assert told.index("ramping") < told.index("rolled_back")
    assert "errors: Errors rose by 19 points." in told
    assert "▁▄█" in told
    assert f"Drawn in {tmp_path / 'it.png'}." in told
    assert (tmp_path / "it.png").read_bytes().startswith(b"\x89PNG")
    whole = llmopt.json("deployments", "show", id_)
    assert [0.0, 2.0, 5.0] == [each["guardrails"][0]["log_e"] for each in whole["looks"]]
    assert (["ramping", "ramping", "rolled_back"], [0.05], None) == (
        [each["phase"] for each in whole["events"]],
        [each["share"] for each in whole["steps"]],
        whole["plot"],
    )
    assert ("fail", "inconclusive") == (
        whole["events"][-1]["guardrails"][0]["verdict"],
        whole["looks"][0]["verdict"],
    )
    assert whole == llmopt.json("deployments", "show", scope)
    change = llmopt.json("config", "history", scope)[0]
    assert ("openai/gpt-4o", "v-1") == tuple(change["serves"].values())


def test_a_decision_is_listed_and_explained(llmopt: Any, scope: str) -> None:
    decision = Decision(
        id=f"d-{scope}",
        scope=scope,
        at=1_760_000_000_000,
        rule="cost",
        priority="medium",
        action=Action.NONE,
        strategy="",
        current=STABLE,
        chosen=None,
        confidence=0.5,
        propensity=1.0,
        policy="abc",
        reasons=("No candidate is cheaper by 10 %.",),
    )
    llmopt.produce(DECISIONS.name, scope, decision)

    assert decision.id in llmopt("decisions", "list", "--scope", scope).stdout
    assert "No candidate is cheaper by 10 %." in llmopt("decisions", "show", decision.id).stdout
    assert "cost" == llmopt.json("decisions", "show", decision.id)["rule"]


def test_stages_that_never_ran_have_no_lag(llmopt: Any) -> None:
    stages = {each["stage"]: each for each in llmopt.json("status")["stages"]}

    assert {"collect", "merge", "enrich", "detect", "analyze", "decide", "actuate", "store"} == set(
        stages
    )
    for stage in stages.values():
        assert (stage["lag"] is None) == (stage["partitions"] == 0)


def test_the_command_returns_soon_after_the_actuator_answers(llmopt: Any, scope: str) -> None:
    with actuator(llmopt, Phase.PROMOTED, "Rolled back."):
        started = time.monotonic()
        llmopt("config", "rollback", scope, "--to", "v-1")

        assert time.monotonic() - started < 5
