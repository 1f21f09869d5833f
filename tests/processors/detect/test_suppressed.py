"""What was to be expected is judged and counted, and not told."""

from __future__ import annotations

from types import ModuleType

import pytest

from processors.detect import DetectPolicy, fresh, step
from processors.detect.moves import KEPT, move, over
from processors.detect.suppress import Recurring, known
from schemas.catalog import Event
from schemas.rollout import Phase
from tests.processors.detect.watching import MOMENT, POLICY, calm, inputs_of, minute, run

MINUTE = 60_000
RAMPING = "rollout r1: ramping"


@pytest.mark.parametrize(
    ("phase", "hushed"),
    [
        (Phase.PENDING, False),
        (Phase.RAMPING, True),
        (Phase.PAUSED, False),
        (Phase.PROMOTED, True),
        (Phase.VERIFIED, False),
        (Phase.ROLLED_BACK, True),
        (Phase.REJECTED, False),
    ],
)
def test_the_moves_of_a_rollout_explain_what_is_unusual(
    records: ModuleType, phase: Phase, *, hushed: bool
) -> None:
    moved = records.deployment(phase=phase, at=60 * MINUTE)
    _, (anomaly,) = run([*calm(60), moved, minute(60, latency=900.0)])

    assert hushed is not anomaly.is_anomaly
    assert (f"rollout r1: {phase.value}" if hushed else "") == anomaly.suppressed
    assert hushed is (anomaly.incident == "")


def test_they_explain_it_for_as_long_as_they_settle(records: ModuleType) -> None:
    settled = 60 + POLICY.settle_ms // MINUTE
    state, _ = run([*calm(60), records.deployment(phase=Phase.RAMPING, at=60 * MINUTE)])
    told = [
        run([*calm(at - 60, first=60), minute(at, latency=900.0)], state=state)[1][-1].is_anomaly
        for at in (settled - 1, settled)
    ]

    assert [False, True] == told


def test_another_scope_is_not_explained(records: ModuleType) -> None:
    moved = records.deployment(phase=Phase.RAMPING, at=60 * MINUTE, scope="other/scope")

    assert [True] == [a.is_anomaly for a in run([*calm(60), moved, minute(60, errors=90)])[1]]


def test_what_is_held_back_is_counted_and_does_not_silence_what_comes_after(
    records: ModuleType,
) -> None:
    moved = records.deployment(phase=Phase.RAMPING, at=60 * MINUTE)
    policy = DetectPolicy(settle_ms=2 * MINUTE)
    rows = [*calm(60), moved, *(minute(60 + n, latency=900.0) for n in range(4))]
    outcome = step(policy, fresh(), inputs_of(rows), MOMENT)

    assert [(60, RAMPING), (62, "")] == [
        (e.value.start // MINUTE, e.value.suppressed) for e in outcome.emits
    ]
    assert (1, 1) == (outcome.counts["suppressed"], outcome.counts["anomalies"])


def test_a_new_level_of_the_optimizer_s_own_is_learnt_as_it_is(records: ModuleType) -> None:
    moved = records.deployment(phase=Phase.PROMOTED, at=60 * MINUTE)
    level = [minute(60 + n, latency=300.0) for n in range(60)]
    _, expected = run([*calm(60), moved, *level])
    _, surprising = run([*calm(60), *level])

    assert not any(a.is_anomaly for a in expected)
    assert any(a.is_anomaly for a in surprising)


def test_a_known_event_is_not_told_whenever_it_recurs() -> None:
    backup = Recurring(first=0, period=50 * MINUTE, length=3 * MINUTE, reason="backup")
    rows = [*calm(100), minute(100, errors=80), *calm(10, first=101), minute(111, errors=80)]
    for scope in ("*", "search", "search/answer"):
        _, (hushed, told) = run(rows, DetectPolicy(recurring={scope: (backup,)}))

        assert ("backup", False) == (hushed.suppressed, hushed.is_anomaly)
        assert ("", True) == (told.suppressed, told.is_anomaly)
    assert 2 == sum(a.is_anomaly for a in run(rows, DetectPolicy(recurring={"x": (backup,)}))[1])


def test_what_people_declare_is_known_by_its_scopes() -> None:
    night = Event(id="night", lasts_s=60, at_s=7_200, scopes=("search", "chat/reply"))
    backup = Event(id="backup", lasts_s=5, every_s=3_600, scopes=("search",), description="slow")
    found = known([night, backup])

    assert {
        "search": (
            Recurring(0, 3_600_000, 5_000, "backup: slow"),
            Recurring(7_200_000, 86_400_000, 60_000, "night"),
        ),
        "chat/reply": (Recurring(7_200_000, 86_400_000, 60_000, "night"),),
    } == found


def test_a_revision_of_what_was_held_back_stays_so_and_can_be_withdrawn(
    records: ModuleType,
) -> None:
    moved = records.deployment(phase=Phase.RAMPING, at=60 * MINUTE)
    state, _ = run([*calm(60), moved, minute(60, latency=900.0)])
    rows = [minute(60, latency=800.0, revision=2), minute(60, latency=100.0, revision=3)]
    outcome = step(POLICY, state, inputs_of(rows), MOMENT)

    assert [(2, RAMPING), (3, "")] == [
        (e.value.revision, e.value.suppressed) for e in outcome.emits
    ]
    assert not any(e.value.is_anomaly for e in outcome.emits)
    assert {"suppressed": 1, "withdrawn": 1} == outcome.counts


def test_a_move_is_noted_once_and_few_are_kept(records: ModuleType) -> None:
    told = [records.deployment(phase=Phase.RAMPING, at=n * MINUTE) for n in range(KEPT + 4)]
    moves = move(POLICY, (), told[0])
    again = move(POLICY, moves, told[0])
    for each in told:
        moves = move(POLICY, moves, each)

    assert len(again) == 1
    assert (KEPT, told[-1].at) == (len(moves), moves[-1].start)


def test_a_deployment_that_moves_nothing_leaves_the_state_as_it_was(records: ModuleType) -> None:
    state, _ = run(calm(3))
    outcome = step(POLICY, state, inputs_of([records.deployment(phase=Phase.PENDING)]), MOMENT)

    assert outcome.state is state


def test_a_move_is_forgotten_when_no_revision_can_ask_for_it(records: ModuleType) -> None:
    moves = move(POLICY, (), records.deployment(phase=Phase.RAMPING, at=0))
    last = POLICY.settle_ms + POLICY.memory_ms

    assert (moves, ()) == (over(POLICY, moves, last - 1), over(POLICY, moves, last))
