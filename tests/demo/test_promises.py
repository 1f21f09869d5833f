from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from demo.promises import Evidence, judge


def broken(evidence: Evidence) -> list[str]:
    return [each.name for each in judge(evidence) if not each.kept]


def test_good_evidence_keeps_every_promise(good: Evidence) -> None:
    assert [] == broken(good)


def test_every_promise_has_evidence_that_breaks_it(
    good: Evidence, breaks: Mapping[str, tuple[Evidence, ...]]
) -> None:
    assert [each.name for each in judge(good)] == list(breaks)


def test_evidence_against_a_promise_breaks_it_and_no_other(against: tuple[str, Evidence]) -> None:
    name, evidence = against
    failed = broken(evidence)

    assert name in failed
    # Without the fleet's word two promises have no evidence; without a rollback two have none.
    assert {name} == set(failed) or evidence.sent is None or evidence.picture is None


def test_a_worse_candidate_that_won_is_no_move_to_a_cheaper_model(good: Evidence) -> None:
    first, _, lost, stands = good.endings
    found = replace(good, endings=(first, replace(lost, phase="promoted", failed=()), stands))

    assert [
        *("moved to a cheaper model", "took a bad candidate back", "drew the rollback")
    ] == broken(found)


def test_a_broken_promise_says_what_was_found(good: Evidence) -> None:
    found = replace(good, counts={**good.counts, "read": 1_104})
    told = {each.name: each.sentence for each in judge(found)}

    assert "1,105 sent, but 1,104 read" in told["every event accounted for"]
