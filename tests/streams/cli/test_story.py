from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from schemas.loop import LoopState, Transition
from schemas.rollout import Verdict
from streams.cli.evidence import CELLS, over_time
from streams.cli.story import Story, metrics, newest_in, shares
from streams.cli.story import stories as found_in

Stories = Mapping[str, Story]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("promoted", "Promoted after 15 min: passed in errors and quality."),
        ("rolled back", "Rolled back after 8 min: worse in quality."),
        ("held", "Held at 5 %, 40 min after its start: inconclusive in errors and cost."),
        ("paused", "Paused at 5 %, 6 min after its start: inconclusive in errors."),
        ("ramping", "Ramping at 25 %, 7 min after its start: inconclusive in errors."),
        ("worse, not ended", "Ramping at 5 %, 8 min after its start: worse in quality."),
        ("very slow", "Ramping at 5 %, 2 d 1 h after its start: worse in cost."),
        ("started", "Ramping at 5 %, 0 s after its start: nothing has been compared yet."),
        ("pending", "Pending: the candidate has no traffic yet."),
        ("rejected", "Rejected."),
        ("never started", "Rolled back before it had traffic."),
        ("asked first", "Asking: not started."),
        ("asked later", "Asking at 5 %, 40 min after its start: inconclusive in errors and cost."),
        ("shadow", "Verified after 6 min: passed in quality."),
        ("manual", "Promoted."),
        ("aborted", "Rolled back after 2 min."),
        ("waited", "Promoted after 1 min."),
    ],
)
def test_how_a_rollout_stands_is_a_sentence(stories: Stories, name: str, sentence: str) -> None:
    assert sentence == stories[name].in_words()


def test_steps_have_shares_and_how_long_each_took(stories: Stories) -> None:
    rungs = stories["promoted"].rungs()

    assert [(1, 500, 5, 5), (2, 2_500, 10, 10)] == [
        (each.step, each.share, ((each.left or 0) - each.entered) // 60_000, each.looks)
        for each in rungs
    ]
    assert [Verdict.INCONCLUSIVE, Verdict.PASS] == [each.verdict for each in rungs]


def test_the_step_that_a_rollout_stands_on_has_not_been_left(stories: Stories) -> None:
    (rung,) = stories["held"].rungs()

    assert (500, None, 40, Verdict.INCONCLUSIVE) == (
        *(rung.share, rung.left, rung.looks, rung.verdict),
    )


def test_waiting_for_a_first_share_is_a_step_when_it_took_time(stories: Stories) -> None:
    assert [(0, 0), (1, 500)] == [(e.step, e.share) for e in stories["waited"].rungs()]
    assert [] == stories["manual"].rungs()
    assert [0] == [each.share for each in stories["pending"].rungs()]


def test_copies_are_a_step_of_their_own(stories: Stories) -> None:
    assert [(1, 0, 500, 2), (2, 0, 2_500, 4)] == [
        (each.step, each.share, each.shadow, each.looks) for each in stories["shadow"].rungs()
    ]


def test_shares_change_when_events_say_so(stories: Stories) -> None:
    began = stories["rolled back"].began

    assert [(0, 0), (0, 500), (5, 2_500), (8, 0)] == [
        ((at - began) // 60_000, share) for at, share in shares(stories["rolled back"])
    ]


def test_of_two_records_of_one_name_the_last_counts(stories: Stories) -> None:
    found = stories["rolled back"]
    corrected = replace(found.last, reason="Told again.")
    again = found_in([*found.looks[::-1], *found.events[::-1], found.looks[0], corrected])["r-1"]

    assert (found.looks, "Told again.") == (again.looks, again.last.reason)
    assert found.events[:-1] == again.events[:-1]


def test_rollouts_come_in_the_order_of_their_last_events(stories: Stories) -> None:
    start, second, end = stories["rolled back"].events
    other = replace(start, id="r-2")
    told = [start, other, second, *stories["rolled back"].looks, end, stories["rejected"]]

    assert ["r-2", "r-1"] == list(found_in(told))
    assert [other] == list(found_in(told)["r-2"].events)


def test_what_has_no_event_is_no_rollout(stories: Stories) -> None:
    assert {} == found_in(stories["held"].looks)


def test_the_moves_that_a_rollout_made_belong_to_it(stories: Stories) -> None:
    move = Transition(
        scope="search/answer",
        sequence=5,
        at=stories["held"].began,
        source=LoopState.DEPLOYING,
        target=LoopState.MONITORING,
        reason="It has traffic.",
        by="optimizer",
        decision_id=None,
        rollout_id="r-1",
    )
    others = replace(move, sequence=6, rollout_id="r-2"), replace(move, rollout_id=None)
    told = [move, *others, replace(move, sequence=4), *stories["held"].events]

    assert [4, 5] == [each.sequence for each in found_in(told)["r-1"].moves]


def test_guardrails_stand_in_their_usual_order_and_unknown_ones_behind(stories: Stories) -> None:
    found = stories["held"]
    extra = replace(found.looks[0].guardrails[0], metric="availability")
    more = replace(found, looks=(replace(found.looks[0], guardrails=(extra,)), *found.looks[1:]))

    assert ["errors", "cost", "availability"] == metrics(more)


def test_evidence_over_time_is_drawn_against_its_limit(stories: Stories) -> None:
    share, errors, quality = over_time(stories["rolled back"])

    assert ("share", "▁▁▁▁▁▂▂▂") == share[:2]
    assert ("errors", "▁▁▁▁▁▁▁▁", "1 : 5", "80 : 1", "10.0 pp", "5.0 pp", "inconclusive") == errors
    assert ("quality", "▁▂▃▄▅▆▇█", "80 : 1", "80 : 1", "20.0 %", "10.0 %", "fail") == quality


def test_many_looks_share_a_cell_and_its_highest_is_drawn(stories: Stories) -> None:
    found = stories["held"]
    peak = replace(found.looks[20].guardrails[0], log_e=9.0)
    high = replace(found.looks[20], guardrails=(peak, *found.looks[20].guardrails[1:]))
    line = over_time(replace(found, looks=(*found.looks[:20], high, *found.looks[21:])))[1][1]

    assert "▁" * 10 + "█" + "▁" * 9 == line
    assert len(str(line)) <= CELLS


def test_what_was_not_judged_leaves_a_gap(stories: Stories) -> None:
    found = stories["rolled back"]
    looks = tuple(replace(each, guardrails=each.guardrails[:1]) for each in found.looks[:3])
    lines = [row[1] for row in over_time(replace(found, looks=(*looks, *found.looks[3:])))]

    assert "   ▄▅▆▇█" == lines[2]


def test_without_looks_the_guardrails_of_the_events_are_told(stories: Stories) -> None:
    rows = over_time(replace(stories["rolled back"], looks=()))

    assert [("errors", ""), ("quality", "")] == [row[:2] for row in rows]
    assert [] == over_time(stories["pending"])


def test_the_newest_of_a_scope_is_a_rollout_if_there_is_one(stories: Stories) -> None:
    rollout, other = stories["held"], stories["ramping"]
    change, refused = stories["manual"], stories["rejected"]
    elsewhere = replace(rollout, events=(replace(rollout.last, scope="a/b"),))
    scope = rollout.last.scope

    assert rollout is newest_in([other, rollout, change, refused, elsewhere], scope)
    assert change is newest_in([change, refused], scope)
    assert refused is newest_in([refused, elsewhere], scope)
    assert newest_in([elsewhere], scope) is None
