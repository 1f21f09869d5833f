"""How often an identical candidate is taken back, through the whole loop: one JSON line.

A fleet of 20 scopes, from 300 to 20,000 requests an hour, with the bursts of a real trace and with
sessions of 3 to 20 minutes. Candidate and stable are the same model, and every rollout is judged at
each of 1,000 minutes at 5 %, 25 % and 50 % of the units. All statistics see what they see live:
events go through the steps of collect, merge, enrich and actuate, and configs back to the fleet.

    python -m bench aa
    python -m bench.aa [--minutes 1000] [--seeds 1 2 3 4 5]
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

from bench.line import report
from schemas.catalog import Step, Strategy
from schemas.rollout import Phase
from simulator.fleet import Endpoint, Fleet
from simulator.trial import trial

BENCH = "aa"
START = 1_700_002_800_000  # a full hour
RATES = (5.0, 20.0, 80.0, 333.0)  # requests per minute
# Dear and cheap, fast and slow; the fourth reports no cost, so that its tokens are priced.
KINDS = (
    ("openai/gpt-4", 6, True),
    ("openai/gpt-4o-mini", 3, True),
    ("anthropic/claude-3-5-haiku-20241022", 12, True),
    ("openai/gpt-4o", 6, False),
    ("openai/o1", 20, True),
)
LADDER = Strategy(
    name="aa",
    steps=(
        Step(share=0.05, hold_s=60 * 60),
        Step(share=0.25, hold_s=120 * 60),
        Step(share=0.5, hold_s=10**7),
    ),
)
BAR = 0.09  # of 100 rollouts 9: the 97th percentile of what a rate of exactly 5 % would give


def fleet(seed: int) -> Fleet:
    """The fleet, with one seed's chance."""
    return Fleet(
        endpoints=tuple(
            Endpoint(
                service=f"service-{i}",
                endpoint=f"{rate:g}",
                rate=rate,
                default=model,
                session_minutes=minutes,
                reports_cost=reports,
            )
            for i, (model, minutes, reports) in enumerate(KINDS)
            for rate in RATES
        ),
        seed=seed,
        start=START,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=int, default=1_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    options = parser.parse_args()
    begun = time.process_time()
    endings = [
        (seed, ending)
        for seed in options.seeds
        for ending in trial(fleet(seed), LADDER, options.minutes)
    ]
    back = [(seed, ending) for seed, ending in endings if ending.phase is Phase.ROLLED_BACK]
    if any(ending.phase not in (Phase.RAMPING, Phase.ROLLED_BACK) for _, ending in endings):
        raise SystemExit("a rollout ended otherwise")
    for seed, ending in back:
        print(f"seed {seed}, {ending.scope}, minute {ending.minute}: {ending.reason}")
    causes = Counter(name for _, e in back for name in e.failed or ("critical",))
    report(
        BENCH,
        len(back),
        f"of {len(endings)}",
        bar=int(BAR * len(endings)),
        minutes=options.minutes,
        causes=dict(sorted(causes.items())),
        by_requests_per_hour={
            f"{60 * rate:g}": sum(e.scope.endswith(f"/{rate:g}") for _, e in back) for rate in RATES
        },
        cpu_s=round(time.process_time() - begun, 1),
    )


if __name__ == "__main__":
    main()
