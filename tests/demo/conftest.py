"""Evidence that keeps every promise, and evidence against each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from demo.promises import Ending, Evidence, Held, Picture, Replayed, Sent

DRAWN = Picture(id="r-3", file="back.png", width=1_200, looks=9, crossed=True)
GOOD = Evidence(
    sent=Sent(
        metrics=1_000, duplicates=10, quality=100, garbage=5, cost_usd=40.0, default_usd=100.0
    ),
    counts={"read": 1_105, "aggregated": 1_088, "late": 2, "duplicates": 10, "dead_lettered": 5},
    endings=(
        Ending(
            id="r-1", scope="search/answer", phase="promoted", stable_model="openai/gpt-4",
            candidate_model="openai/gpt-4o-mini", reason="it was as good", failed=(), minutes=31.0,
            share=10_000, requests=5_000,
        ),
        Ending(
            id="r-2", scope="support/chat", phase="promoted", stable_model="openai/gpt-4",
            candidate_model="openai/gpt-4o-mini", reason="it was as good", failed=(), minutes=31.0,
            share=10_000, requests=5_000,
        ),
        Ending(
            id="r-3", scope="support/summarize", phase="rolled_back", stable_model="openai/gpt-4",
            candidate_model="openai/gpt-4o-mini", reason="quality was worse",
            failed=("quality",), minutes=9.0, share=0, requests=700,
        ),
        Ending(
            id="r-4", scope="archive/tag", phase="held", stable_model="openai/gpt-4",
            candidate_model="openai/gpt-4o-mini", reason="Still held: a person is asked. Or so.",
            failed=(), minutes=60.0, share=100, requests=24,
        ),
    ),
    worse={"support/summarize": {"openai/gpt-4o-mini"}, "search/answer": ()},
    thin={"archive/tag"},
    picture=DRAWN,
    dropped=0,
    killed_pid=42,
    commits_after_kill={2: 7, 3: 4},
    windows_compared=500,
    windows_wrong=(),
    revisions={"search/answer": (1, 2, 3), "support/chat": (1, 4)},
    stored={"decisions": Held(3), "deployments": Held(20), "anomalies": Held(0)},
    replayed=Replayed({"collect": 10, "merge": 10}, None, "3 instead of 2", "decide[1], commit 7"),
)  # fmt: skip
LOST, STANDS = GOOD.endings[2:]
SAME = replace(GOOD.endings[1], candidate_model=GOOD.endings[1].stable_model)

BREAKS: Mapping[str, tuple[Evidence, ...]] = {
    "moved to a cheaper model": (
        replace(GOOD, endings=GOOD.endings[1:]),
        replace(GOOD, endings=(LOST, STANDS)),
        replace(GOOD, sent=None),
        replace(GOOD, sent=replace(GOOD.sent, cost_usd=100.0)),
        # A second scope was "moved" to the model that it has.
        replace(GOOD, endings=(GOOD.endings[0], SAME, LOST, STANDS)),
    ),
    "took a bad candidate back": (
        replace(GOOD, endings=(*GOOD.endings[:2], STANDS), picture=None),
        # One was taken back that is as good, and none that is worse.
        replace(GOOD, endings=(*GOOD.endings[:2], replace(LOST, scope="coder/complete"), STANDS)),
        # For another reason than its quality.
        replace(GOOD, endings=(*GOOD.endings[:2], replace(LOST, failed=("latency",)), STANDS)),
        # It was tried again, and won.
        replace(GOOD, endings=(*GOOD.endings, replace(LOST, phase="promoted", failed=()))),
    ),
    "held what nobody could judge": (
        replace(GOOD, endings=GOOD.endings[:3]),
        replace(GOOD, thin=()),
        replace(GOOD, endings=(*GOOD.endings[:3], replace(STANDS, phase="promoted"))),
        replace(GOOD, endings=(*GOOD.endings[:3], replace(STANDS, phase="rolled_back"))),
        replace(GOOD, endings=(*GOOD.endings[:3], replace(STANDS, share=1_000))),
        replace(GOOD, endings=(*GOOD.endings[:3], replace(STANDS, share=0))),
    ),
    "drew the rollback": (
        replace(GOOD, picture=None),
        replace(GOOD, picture=replace(DRAWN, id="r-1")),
        replace(GOOD, picture=replace(DRAWN, width=None)),
        replace(GOOD, picture=replace(DRAWN, width=600)),
        replace(GOOD, picture=replace(DRAWN, looks=0)),
        replace(GOOD, picture=replace(DRAWN, crossed=False)),
    ),
    "survived a killed worker": (
        replace(GOOD, killed_pid=None),
        replace(GOOD, commits_after_kill={}),
        replace(GOOD, commits_after_kill={2: 7, 3: 0}),
    ),
    "every event accounted for": (
        replace(GOOD, sent=None),
        replace(GOOD, counts={}),
        replace(GOOD, dropped=1),
        replace(GOOD, counts={**GOOD.counts, "read": 1_104}),
        replace(GOOD, counts={**GOOD.counts, "aggregated": 1_087}),
        replace(GOOD, counts={**GOOD.counts, "duplicates": 9, "aggregated": 1_089}),
        replace(GOOD, counts={**GOOD.counts, "dead_lettered": 6, "aggregated": 1_087}),
    ),
    "windows equal a batch recomputation": (
        replace(GOOD, windows_compared=0),
        replace(GOOD, windows_wrong=("search/answer|*|*|*|*|1m|0",)),
    ),
    "config revisions only rise": (
        replace(GOOD, revisions={}),
        replace(GOOD, revisions={"search/answer": (1, 1)}),
        replace(GOOD, revisions={"search/answer": (2, 1)}),
    ),
    "Postgres equals the topics": (
        replace(GOOD, stored={}),
        replace(GOOD, stored={"decisions": Held(0), "deployments": Held(0)}),
        replace(GOOD, stored={"decisions": Held(3), "deployments": Held(20, ("r1|2 is off",))}),
    ),
    "replay is identical": (
        replace(GOOD, replayed=replace(GOOD.replayed, commits={})),
        replace(GOOD, replayed=replace(GOOD.replayed, commits={"collect": 10, "merge": 0})),
        replace(GOOD, replayed=replace(GOOD.replayed, difference="merge[0], commit 3 differs")),
        replace(GOOD, replayed=replace(GOOD.replayed, otherwise=None)),
    ),
}


@pytest.fixture(scope="session")
def good() -> Evidence:
    """Evidence that keeps every promise."""
    return GOOD


@pytest.fixture(scope="session")
def breaks() -> Mapping[str, tuple[Evidence, ...]]:
    """Evidence that breaks a promise, by the promise's name."""
    return BREAKS


@pytest.fixture(
    params=[(name, each) for name, all_ in BREAKS.items() for each in all_],
    ids=[f"{name}-{i}" for name, all_ in BREAKS.items() for i, _ in enumerate(all_)],
)
def against(request: pytest.FixtureRequest) -> tuple[str, Evidence]:
    """A promise, and evidence that breaks it; each of them in turn."""
    found: tuple[str, Evidence] = request.param
    return found
