"""What holds whatever happens, in any order."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.actuate import cycle
from processors.actuate.rollout import NEXT
from processors.actuate.state import ENTRY, ScopeState, fresh, restore
from processors.actuate.step import step
from schemas.command import CommandKind
from schemas.config import ScopeConfig
from schemas.decision import Action
from schemas.loop import LoopState, Transition
from schemas.rollout import Deployment, Look, Phase

STRATEGIES = (
    *("balanced", "balanced", "balanced", "ab", "asks", "shadow", "rolling", "dark green"),
    *("blue-green", "at once"),
)
SCOPES = ("search/answer", "mail/draft", "*")


class Act(NamedTuple):
    """Something that happens; what it needs is picked from it, the rest is passed over."""

    what: str
    scope: str = SCOPES[0]
    which: int = 0
    n: int = 1


def acts_of(
    what: Sequence[str], scopes: Sequence[str] = SCOPES[:1], which: int = 0, n: int = 1
) -> st.SearchStrategy[Act]:
    """Acts of these kinds."""
    parts = (st.sampled_from(what), st.sampled_from(scopes), st.integers(0, which))
    return st.builds(Act, *parts, st.integers(1, n))


ACTS = st.lists(
    st.one_of(
        acts_of(("good", "slow", "broken"), n=6),
        acts_of(("elsewhere",), n=90),
        acts_of(("deploy", "deploy", "take back", "revise"), SCOPES[:2], which=2, n=9),
        acts_of(tuple(CommandKind), SCOPES, which=3),
        acts_of(("note",), SCOPES[:2], which=2, n=70),
    ),
    max_size=14,
)
BREAK = acts_of(("hush", "hush", "restart"), n=90)
TICKING = st.tuples(ACTS, BREAK, ACTS, BREAK).map(lambda t: [*t[0], t[1], *t[2], t[3]])
CANDIDATE = {"good": {}, "slow": {"latency": 2000.0}, "broken": {"error_rate": 0.4}}


def happen(world: ModuleType, acts: Sequence[Act]) -> Any:
    """Let *acts* happen one by one to a scope with a past; at each point the state is whole."""
    play = world.Play()
    play.past()
    for number, act in enumerate(acts):
        config = (world.OLD, world.NEW, world.OTHER, None)[act.which]
        if act.what in CANDIDATE:
            play.minutes(act.n, 2000, **CANDIDATE[act.what])
        elif act.what == "elsewhere":
            play.elsewhere(act.n)
        elif act.what == "hush":
            play.hush(act.n)
        elif act.what == "deploy":
            strategy = STRATEGIES[act.n]
            own = {"scope": act.scope, "current": world.OLD, "strategy": strategy}
            play.feed(world.deploy(f"d{number}", config, at=play.clock, **own))
        elif act.what == "take back":
            own = {"scope": act.scope, "action": Action.ROLLBACK}
            play.feed(world.deploy(f"d{number}", None, at=play.clock, **own))
        elif act.what == "restart":
            play.restart()
        elif act.what == "note":  # a decision that is late by so many minutes
            action = (Action.NONE, Action.ALERT, Action.DEPLOY)[act.which]
            own = {"scope": act.scope, "action": action, "current": world.OLD}
            play.feed(world.deploy(f"d{number}", at=play.clock - 60_000 * act.n, **own))
        elif act.what == "revise":
            rows = play.rows(play.clock - 60_000 * (1 + act.n))
            play.feed(*(replace(r, window=replace(r.window, revision=2)) for r in rows))
        else:
            version = None if config is None else config.version
            own = {"id": f"c{number}", "config": config, "version": version}
            play.feed(world.command(act.what, act.scope, **own))

        assert play.state == restore(through_the_changelog(play.entries))
    return play


def through_the_changelog(entries: Mapping[str, ScopeState]) -> dict[str, ScopeState]:
    """The entries, written and read again."""
    return {
        key: msgspec.msgpack.decode(msgspec.msgpack.encode(entry), type=ENTRY)
        for key, entry in entries.items()
    }


@settings(max_examples=40)
@given(acts=TICKING)
def test_no_transition_is_outside_the_table(world: ModuleType, acts: list[Act]) -> None:
    play = happen(world, acts)
    phases: dict[str, Phase] = {}
    sequences: dict[str, int] = {}
    for event in play.events:
        before = phases.get(event.id)
        sequence = sequences.get(event.id, 0) + 1

        assert (before, sequence) == (event.previous, event.sequence)
        assert event.phase in NEXT[before]

        phases[event.id] = event.phase
        sequences[event.id] = sequence


@settings(max_examples=100)
@given(acts=TICKING)
def test_a_scope_moves_along_the_table_of_the_control_loop_and_skips_nothing(
    world: ModuleType, acts: list[Act]
) -> None:
    play = happen(world, acts)
    for scope in SCOPES:
        moves = [move for move in play.transitions if move.scope == scope]
        ends = [LoopState.IDLE, *(move.target for move in moves)]

        assert list(range(1, len(moves) + 1)) == [move.sequence for move in moves]
        assert ends[:-1] == [move.source for move in moves]
        assert all(move.target in cycle.NEXT[move.source] for move in moves)
        entry = play.state.scopes.get(scope, ScopeState())
        assert (ends[-1], len(moves)) == (entry.cycle.state, entry.cycle.sequence)


@settings(max_examples=100)
@given(acts=TICKING)
def test_between_two_records_a_scope_is_where_its_rollout_is(
    world: ModuleType, acts: list[Act]
) -> None:
    play = happen(world, acts)
    for entry in play.state.scopes.values():
        assert place(entry) is entry.cycle.state


def place(entry: ScopeState) -> LoopState:
    """Where in the control loop a scope must be with this rollout."""
    if entry.rollout is None:
        return LoopState.IDLE
    if entry.rollout.phase is not Phase.PENDING:
        return LoopState.MONITORING
    asks = entry.rollout.asks_until is not None
    return LoopState.VALIDATING if asks else LoopState.DEPLOYING


@settings(max_examples=40)
@given(acts=TICKING, way=st.sampled_from(["good", "elsewhere", "hush"]))
def test_no_scope_is_stuck_however_it_goes_on(world: ModuleType, acts: list[Act], way: str) -> None:
    """Held for a person is not stuck: the person's word then ends it."""
    goes_on = [Act("resume", "*"), Act("restart"), Act(way, n=130)]  # longer than any wait
    play = happen(world, [*acts, *goes_on])
    for entry in play.state.scopes.values():
        assert entry.cycle.state in {LoopState.IDLE, LoopState.MONITORING}
    play.feed(world.command("abort", "*", id="the last word"))
    for entry in play.state.scopes.values():
        assert LoopState.IDLE is entry.cycle.state


@settings(max_examples=40)
@given(acts=TICKING)
def test_a_scopes_revisions_count_up_one_by_one(world: ModuleType, acts: list[Act]) -> None:
    play = happen(world, acts)
    for scope in SCOPES:
        revisions = [c.revision for c in play.configs if c.scope == scope]

        assert list(range(1, len(revisions) + 1)) == revisions


@settings(max_examples=40)
@given(acts=TICKING)
def test_a_rollback_brings_the_stable_config_back_bit_for_bit(
    world: ModuleType, acts: list[Act]
) -> None:
    play = happen(world, acts)
    written = {(c.scope, c.revision): c for c in play.configs}
    for event in play.events:
        if event.phase is Phase.ROLLED_BACK and event.previous in {Phase.RAMPING, Phase.PAUSED}:
            before, after = (written[event.scope, event.revision - i] for i in (1, 0))

            assert msgspec.json.encode(before.stable) == msgspec.json.encode(after.stable)
            assert (None, None) == (after.candidate, after.split)
            assert event.stable_version == after.stable.version


@settings(max_examples=40)
@given(acts=TICKING)
def test_a_config_is_split_exactly_while_there_is_a_candidate(
    world: ModuleType, acts: list[Act]
) -> None:
    play = happen(world, acts)
    for config in play.configs:
        assert config.stable is not None
        assert (config.split is None) == (config.candidate is None)
        assert config.split is None or 0 < config.split.share + config.split.shadow <= 10_000
        assert config.split is None or not config.split.share * config.split.shadow
        assert config.candidate is None or config.candidate.version != config.stable.version


@settings(max_examples=40)
@given(acts=ACTS, cuts=st.lists(st.integers(0, 200), max_size=8))
def test_how_the_inputs_are_cut_into_batches_plays_no_part(
    world: ModuleType, acts: list[Act], cuts: list[int]
) -> None:
    play = happen(world, acts)
    edges = [0, *sorted(min(cut, len(play.inputs)) for cut in cuts), len(play.inputs)]
    batches = [play.inputs[a:b] for a, b in itertools.pairwise(edges)]
    state, emits = fresh(), []
    for batch in batches:
        outcome = step(play.policy, state, batch, play.moment)
        state = outcome.state
        emits.extend(outcome.emits)

    assert (play.state, play.emits) == (state, emits)


@settings(max_examples=40)
@given(acts=TICKING)
def test_a_stopped_task_serves_no_candidate(world: ModuleType, acts: list[Act]) -> None:
    play = happen(world, [Act("deploy", which=1), Act("stop", "*"), *acts])
    resumed = any(act.what == "resume" and act.scope == "*" for act in acts)
    after = play.configs[2:]

    assert resumed or all(config.split is None for config in after)


def test_every_transition_of_the_table_happens(world: ModuleType) -> None:
    old, new, other = (Act("deploy", which=which) for which in range(3))
    resume, pause, promote, abort = (Act(what) for what in ("resume", "pause", "promote", "abort"))
    story = [new, pause, resume, Act("good", n=6), pause, promote, resume]
    story += [other, pause, abort, resume, old, Act("slow", n=6), Act("take back")]
    story += [Act("set", which=2), old, promote, Act("rollback", which=3)]
    story += [Act("deploy", "mail/draft", 1), Act("abort", "mail/draft")]
    story += [Act("deploy", "mail/draft", 2), Act("promote", "*")]
    story += [Act("deploy", which=1, n=5), Act("good", n=20)]
    story += [Act("deploy", which=1, n=4), Act("approve")]
    play = happen(world, [*story, abort, abort])
    seen: set[tuple[Phase | None, Phase]] = reduce(
        lambda found, event: found | {(event.previous, event.phase)}, play.events, set()
    )

    assert {(a, b) for a, after in NEXT.items() for b in after} == seen


def test_every_record_goes_to_the_partition_of_the_task(world: ModuleType) -> None:
    play = world.Play(moment=replace(world.MOMENT, partition=2, partitions=4))
    play.start()
    play.minutes(1)

    assert {(world.SCOPE, 2)} == {(e.key, e.partition) for e in play.emits}
    assert {Deployment, Look, Transition, ScopeConfig} == {type(e.value) for e in play.emits}


def test_every_move_of_the_control_loop_happens(world: ModuleType) -> None:
    new, old = Act("deploy", which=1), Act("deploy", which=0)
    little = Act("note", "mail/draft", 0)
    story = [Act("note", n=1), Act("good", n=30), Act("good", n=40), Act("note", which=2, n=70)]
    story += [old, new, Act("abort"), Act("set", which=2), little]
    play = happen(world, [*story, Act("deploy", "mail/draft", 1), Act("abort", "mail/draft")])
    decision = world.deploy("nobody", None, scope="mail/draft", action=Action.NONE)
    play.feed(decision)
    seen = {(move.source, move.target) for move in play.transitions}

    assert {(a, b) for a, after in cycle.NEXT.items() for b in after} == seen
