"""The stages by name, each with its agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from streams.agents import actuate, analyze, collect, decide, detect, enrich, merge
from streams.app import Agent
from streams.exactly_once.stage import Stage
from streams.settings import Settings

AGENTS: Mapping[str, tuple[Callable[[Settings], Stage[Any, Any]], Agent]] = {
    "collect": (collect.stage, collect.collect),
    "merge": (merge.stage, merge.merge),
    "enrich": (enrich.stage, enrich.enrich),
    "detect": (detect.stage, detect.detect),
    "analyze": (analyze.stage, analyze.analyze),
    "decide": (decide.stage, decide.decide),
    "actuate": (actuate.stage, actuate.actuate),
}


def make(name: str, settings: Settings) -> tuple[Stage[Any, Any], Agent]:
    """The stage called *name*, under *settings*, and its agent.

    Raises:
        KeyError: there is none.
    """
    stage, agent = AGENTS[name]
    return stage(settings), agent
