"""Promotion at interim analyses: at its level at the margin, and sooner than at all times."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from bench.minutes import rows
from bench.traffic import World, simulate
from bench.verdicts import PAST, PLAIN, STRATEGY
from processors.actuate.analysis import ANALYSES, Analysis, due, upper_harm
from processors.actuate.evidence import Evidence, fresh_evidence, observe, reference
from processors.actuate.guardrails.reading import Standing, sequence
from processors.actuate.judge import judge
from schemas.rollout import Verdict

HOUR = replace(STRATEGY, max_duration_s=3_600)
MARGIN = 0.05


def rollout(rng: np.random.Generator, harm: float, final_error: float) -> list[Analysis]:
    """Ten analyses of an estimate whose standard error shrinks to *final_error*."""
    weights = np.arange(1, ANALYSES + 1) * 100.0
    errors = final_error * np.sqrt(weights[-1] / weights)
    steps = rng.normal(0.0, np.sqrt(100.0 * weights[-1]) * final_error, ANALYSES)
    estimates = harm + np.cumsum(steps) / weights
    return [
        Analysis(time=(k + 1) / ANALYSES, standings={"errors": Standing(w, harm=e, error=s)})
        for k, (w, e, s) in enumerate(
            zip(weights.tolist(), estimates.tolist(), errors.tolist(), strict=True)
        )
    ]


def promoted(analyses: list[Analysis]) -> bool:
    upper = upper_harm(analyses, "errors", 0.05)
    return upper is not None and upper <= MARGIN


def test_a_harm_at_its_margin_is_promoted_as_often_as_the_level_says() -> None:
    rng = np.random.default_rng(1)
    wrong = np.mean([promoted(rollout(rng, MARGIN, MARGIN / 3)) for _ in range(4_000)])

    assert pytest.approx(0.05, abs=0.011) == wrong


def test_a_harmless_candidate_passes_more_often_than_by_a_bound_that_holds_at_all_times() -> None:
    rng = np.random.default_rng(2)
    rollouts = [rollout(rng, 0.0, MARGIN / 3) for _ in range(400)]
    always = [
        any(
            each.standings["errors"].harm
            + sequence(each.standings["errors"].weight, 0.05) * each.standings["errors"].error
            <= MARGIN
            for each in analyses
        )
        for analyses in rollouts
    ]
    planned = [promoted(analyses) for analyses in rollouts]

    # At the end the estimate is three standard errors below the margin: a fixed test has power .91.
    assert np.mean(planned) > 0.85
    assert np.mean(planned) > np.mean(always) + 0.2


def test_an_analysis_is_due_at_each_tenth_once_and_never_after_the_end() -> None:
    made: list[Analysis] = []
    times = []
    for minute in range(1, 80):
        time = due(made, minute / 60)
        if time is not None:
            made.append(Analysis(time=time, standings={}))
            times.append((minute, time))

    assert [(6 * k, k / 10) for k in range(1, 11)] == times


def test_a_rollout_that_was_not_looked_at_for_long_skips_what_it_missed() -> None:
    made = [Analysis(time=0.1, standings={})]

    assert (0.6, 1.0) == (due(made, 0.69), due(made, 7.0))
    assert due(made, 0.19) is None


def test_an_analysis_that_learned_next_to_nothing_is_no_look() -> None:
    first = Analysis(time=0.5, standings={"errors": Standing(100.0, harm=0.0, error=0.01)})
    same = Analysis(time=0.6, standings={"errors": Standing(100.5, harm=0.0, error=0.01)})
    nothing = Analysis(time=0.7, standings={})

    assert upper_harm([first], "errors", 0.05) == upper_harm([first, same, nothing], "errors", 0.05)
    assert upper_harm([first], "cost", 0.05) is None


def test_what_an_analysis_has_shown_stays_shown() -> None:
    good = Analysis(time=0.8, standings={"errors": Standing(100.0, harm=0.0, error=0.01)})
    worse = Analysis(time=0.9, standings={"errors": Standing(200.0, harm=0.2, error=0.01)})

    assert promoted([good])
    assert promoted([good, worse])


def observed(minutes: int, **world: float) -> Evidence:
    """So many minutes of both arms; each is 1/60 of the longest duration."""
    made = World(**PLAIN, **world)
    earlier = rows(simulate(made, np.zeros(PAST, dtype=np.int64), 8))
    known = reference([row for stable, _ in earlier for row in stable])
    evidence = fresh_evidence()
    for i, (stable, candidate) in enumerate(rows(simulate(made, np.full(minutes, 5_000), 9))):
        evidence = observe(evidence, stable, candidate, 5_000, known, i, (i + 1) / 60)
    return evidence


def test_a_strategy_with_a_longest_duration_promotes_at_an_analysis_and_never_between() -> None:
    better = {"dearer": 0.5, "slower": 0.8}
    before, at = observed(5, **better), observed(60, **better)
    verdicts = {g.metric: g.verdict for g in judge(HOUR, at).guardrails}

    assert () == before.analyses
    assert {Verdict.INCONCLUSIVE} == {g.verdict for g in judge(HOUR, before).guardrails}
    assert [k / 10 for k in range(1, 11)] == [analysis.time for analysis in at.analyses]
    assert {"errors", "latency", "quality", "cost"} == at.analyses[-1].standings.keys()
    assert {Verdict.PASS} == set(verdicts.values())
    assert judge(HOUR, at).ready


def test_what_is_still_open_says_how_many_analyses_were_made() -> None:
    judgement = judge(HOUR, observed(13, dearer=1.0))
    cost = next(g for g in judgement.guardrails if g.metric == "cost")

    assert Verdict.INCONCLUSIVE is cost.verdict
    assert cost.sentence.endswith(" 2 of 10 analyses within 3600 s are made.")


def test_analyses_survive_being_written_down() -> None:
    evidence = observed(13)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(evidence), type=Evidence)

    assert evidence == again
