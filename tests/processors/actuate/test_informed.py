import numpy as np
import pytest
from scipy import stats

from bench.minutes import rows
from bench.traffic import Requests, World, simulate
from bench.verdicts import PAST, PLAIN, STRATEGY
from processors.actuate.evidence import Evidence, fresh_evidence, observe, reference
from processors.actuate.informed import informed
from processors.actuate.judge import judge

WORLD = World(**PLAIN, candidate_errors=0.03, slower=1.1, dearer=0.9, quality=0.97)


def seen() -> tuple[Requests, Evidence]:
    """Twenty minutes, and what was taken in of them."""
    requests = simulate(WORLD, np.full(20, 5_000), 4)
    earlier = rows(simulate(WORLD, np.zeros(PAST, dtype=np.int64), 5))
    known = reference([row for stable, _ in earlier for row in stable])
    evidence = fresh_evidence()
    for i, (stable, candidate) in enumerate(rows(requests)):
        evidence = observe(evidence, stable, candidate, 5_000, known, i)
    return requests, evidence


def test_histograms_say_what_the_requests_themselves_say_within_a_percent() -> None:
    requests, evidence = seen()
    found = {g.metric: g for g in informed(judge(STRATEGY, evidence).guardrails, evidence)}
    values = {
        "errors": requests.failed.astype(float),
        "latency": requests.latency_ms,
        "quality": requests.quality,
        "cost": requests.cost_usd,
    }
    for metric, x in values.items():
        stable, candidate = x[requests.arm == 0], x[requests.arm == 1]
        comparison = found[metric].comparison
        low, high = stats.ttest_ind(candidate, stable, equal_var=False).confidence_interval()
        u = stats.mannwhitneyu(candidate, stable)

        assert comparison is not None
        assert pytest.approx((low, high), abs=0.02 * abs(stable.mean())) == (
            comparison.difference_low,
            comparison.difference_high,
        )
        assert pytest.approx(u.statistic / stable.size / candidate.size, abs=0.01) == (
            comparison.superiority
        )


def test_a_comparison_changes_no_verdict() -> None:
    _, evidence = seen()
    judgement = judge(STRATEGY, evidence)
    found = informed(judgement.guardrails, evidence)

    assert [g.verdict for g in judgement.guardrails] == [g.verdict for g in found]
    assert [g.sentence for g in judgement.guardrails] == [g.sentence for g in found]


def test_without_values_there_is_no_comparison() -> None:
    found = informed(judge(STRATEGY, fresh_evidence()).guardrails, fresh_evidence())

    assert [None] * 4 == [g.comparison for g in found]
