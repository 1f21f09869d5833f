from __future__ import annotations

from dataclasses import replace

from schemas.report import RollbackReport
from schemas.rollout import Verdict
from streams.cli.report import lines

REPORT = RollbackReport(
    id="r-1",
    scope="search/answer",
    at=120_000,
    revision=7,
    by="optimizer",
    cause="trigger",
    trigger="errors",
    reason="Too many errors.",
    verdict=Verdict.FAIL,
    guardrails=(),
    share=500,
    left_version="v-2",
    left_model="openai/small",
    restored_version="v-1",
    restored_model="openai/large",
    requests=1800,
    failed=60,
    affected=200,
    first_bad_at=60_000,
    seconds=60.0,
    written_at=121_000,
    simulated=False,
    decision_id="d1",
)


def test_a_report_is_told_in_sentences() -> None:
    assert [
        (
            "search/answer: openai/small (v-2) was taken back from 5 % of the units; "
            "openai/large (v-1) serves again."
        ),
        "It is revision 7, written at 1970-01-01 00:02:01.",
        "By optimizer, for the trigger errors. Too many errors.",
        (
            "It had served 1,800 requests that were counted; 60 of them failed, and 200 came after "
            "the first bad evidence."
        ),
        "The evidence begins at 1970-01-01 00:01:00; 60 s later the config was restored.",
    ] == list(lines(REPORT))


def test_a_simulated_report_does_not_claim_to_have_done_anything() -> None:
    told = list(lines(replace(REPORT, simulated=True, share=10_000)))

    assert (
        "search/answer: openai/small (v-2) would be taken back from all requests; "
        "openai/large (v-1) would serve again."
    ) == told[0]
    assert "Nothing was done: this is a simulation." == told[1]
    assert told[-1].endswith("60 s later the config would be restored.")


def test_what_would_be_refused_says_why_and_no_more() -> None:
    refused = replace(REPORT, simulated=True, refused=True, restored_version=None)

    assert [
        "search/answer: nothing would be taken back. Too many errors.",
        "Nothing was done: this is a simulation.",
    ] == list(lines(refused))


def test_what_serves_nobody_yet_would_leave_the_stable_config_where_it_is() -> None:
    assert [
        (
            "search/answer: openai/small (v-2) would be taken back before it serves anybody; "
            "openai/large (v-1) stays."
        ),
        "Nothing was done: this is a simulation.",
    ] == list(lines(replace(REPORT, simulated=True, share=0)))


def test_requests_that_nobody_counted_are_not_none() -> None:
    known = replace(REPORT, counted_since=60_000)
    unknown = replace(REPORT, requests=0, failed=0, affected=0, share=10_000)

    assert (
        "It had served 1,800 requests counted since 1970-01-01 00:01:00;" in list(lines(known))[3]
    )
    assert list(lines(unknown))[3].startswith(
        "Its requests were not counted since it serves everybody:"
    )
    assert list(lines(replace(unknown, counted_since=60_000)))[3].startswith(
        "It had served 0 requests counted since"
    )


def test_without_bad_evidence_nothing_came_after_it() -> None:
    told = list(lines(replace(REPORT, first_bad_at=None, seconds=None, affected=0)))

    assert "It had served 1,800 requests that were counted; 60 of them failed." == told[3]


def test_without_evidence_no_time_is_told() -> None:
    told = replace(REPORT, cause="command", trigger=None, first_bad_at=None, seconds=None)

    assert "By optimizer, for a command. Too many errors." == list(lines(told))[2]
    assert "No evidence against it had been found before." == list(lines(told))[-1]


def test_where_nothing_is_restored_none_is_said_to_serve() -> None:
    told = list(lines(replace(REPORT, restored_version=None, restored_model=None, share=10_000)))

    assert (
        "search/answer: openai/small (v-2) was taken back from all requests; "
        "the scope has no config of its own any more."
    ) == told[0]
