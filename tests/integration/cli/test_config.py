# `llmopt` is a fixture whose type lies in a conftest
from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import pytest

from schemas.command import CommandKind
from schemas.config import ScopeConfig
from schemas.rollout import Phase
from schemas.topics import COMMANDS, CONFIG, DEPLOYMENTS, ENRICHED
from streams.reading import Watch
from tests.integration.cli.acting import CATALOG, EVENT, STABLE, actuator

pytestmark = pytest.mark.integration

WORDS = ("--provider", "test", "--model", "fit")


@pytest.mark.parametrize(
    ("name", "new", "code", "said"),
    [
        ("{service}/anwser", (), 1, "nearest: {service}/answer. Nothing is set: add --new"),
        ("{service}x", (), 1, "No application has reported from {service}x within the last hour"),
        ("a b/c d/e", (), 2, "'a b/c d/e' is no scope: it holds white space."),
        ("a b/c d/e", ("--new",), 2, "'a b/c d/e' is no scope: it holds white space."),
        ("{service}/a/b", ("--new",), 2, "is no scope: it has more than one '/'."),
    ],
)
def test_a_scope_that_nobody_knows_is_not_set_by_mistake(
    llmopt: Any, name: str, new: tuple[str, ...], code: int, said: str
) -> None:
    service = f"svc{secrets.token_hex(4)}"
    llmopt.produce("llmopt.catalog.v1", "model/test/fit", CATALOG)
    known = ScopeConfig(scope=f"{service}/answer", revision=1, epoch=1, stable=STABLE)
    llmopt.produce(CONFIG.name, known.scope, known)
    watch = Watch(llmopt.settings, llmopt.codec, [COMMANDS])
    try:
        words = (*WORDS, *new)
        answer = llmopt("config", "set", name.format(service=service), *words, expect=code)

        assert said.format(service=service) in answer.stderr
        assert watch.until(lambda seen: name.format(service=service) == seen.key, 0.5) is None
    finally:
        watch.close()


@pytest.mark.parametrize("by_report", [False, True])
def test_a_scope_that_has_a_config_or_reports_is_set_without_a_word(
    llmopt: Any, scope: str, *, by_report: bool
) -> None:
    llmopt.produce("llmopt.catalog.v1", "model/test/fit", CATALOG)
    name = f"{scope} a/b"  # odd, but an application is called so
    config = ScopeConfig(scope=name, revision=1, epoch=1, stable=STABLE)
    if by_report:
        llmopt.produce(ENRICHED.name, name, b"a window")
    else:
        llmopt.produce(CONFIG.name, name, config)
    with actuator(llmopt, Phase.PROMOTED, "Set by ada."):
        llmopt("config", "set", name, *WORDS, "--by", "ada")


def test_a_config_that_was_removed_is_none_and_a_wider_one_serves(llmopt: Any, scope: str) -> None:
    service = scope.replace("/", "-")
    name = f"{service}/answer"
    wide = ScopeConfig(scope=service, revision=1, epoch=1, stable=STABLE)
    own = ScopeConfig(scope=name, revision=2, epoch=1, stable=None, reason="Unset by ada.")
    llmopt.produce(CONFIG.name, name, own)
    before = llmopt.json("status")["scopes"]
    with actuator(llmopt, Phase.ROLLED_BACK, "Unset by ada.") as obeyed:
        alone = llmopt("config", "unset", name, "--by", "ada").stdout
    llmopt.produce(CONFIG.name, service, wide)
    with actuator(llmopt, Phase.ROLLED_BACK, "Unset by ada."):
        within = llmopt("config", "unset", name, "--by", "ada").stdout

    assert [(CommandKind.UNSET, name)] == [(each.kind, each.scope) for each in obeyed]
    if "*" in str(llmopt("config", "get", "*", expect=3).output):
        assert "(revision 3): its applications run what they bring along. Unset by ada." in alone
    assert f"(revision 3): the config of {service} serves it. Unset by ada." in within
    assert service == llmopt.json("config", "get", name)["scope"]
    assert before + 1 == llmopt.json("status")["scopes"]
    assert [None] == [e["serves"]["version"] for e in llmopt.json("config", "history", name)[:1]]


def test_the_history_ends_with_what_served_before_the_first_change(llmopt: Any, scope: str) -> None:
    first = replace(
        EVENT,
        id=f"m-{scope}",
        scope=scope,
        stable_model="openai/large",
        stable_version="v-0",
        candidate_model="openai/small",
        candidate_version="v-1",
    )
    llmopt.produce(DEPLOYMENTS.name, scope, first)
    served = [each["serves"]["version"] for each in llmopt.json("config", "history", scope)]
    lines = llmopt("config", "history", scope).stdout.splitlines()

    assert ["v-1", "v-0"] == served
    assert "before" in lines[-1]
    assert "openai/large" in lines[-1]
    assert 1 == len(llmopt.json("config", "history", scope, "--limit", "1"))


def test_what_was_refused_is_listed_when_it_is_asked_for(llmopt: Any, scope: str) -> None:
    changed = replace(EVENT, id=f"m-{scope}", scope=scope)
    llmopt.produce(DEPLOYMENTS.name, scope, changed)
    for n in range(2):
        no = replace(EVENT, id=f"m-{scope}-{n}", scope=scope, phase=Phase.REJECTED, reason="No.")
        llmopt.produce(DEPLOYMENTS.name, scope, no)
    of = ("deployments", "list", "--scope", scope)

    assert [changed.id] == [each["id"] for each in llmopt.json(*of, "--limit", "1")]
    assert 3 == len(llmopt.json(*of, "--refused"))
    assert "2 that were refused are left out: --refused lists them" in llmopt(*of).stdout
    assert "left out" not in llmopt(*of, "--refused").stdout
    assert changed.id == llmopt.json("deployments", "show", scope)["id"]
