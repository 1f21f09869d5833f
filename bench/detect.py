"""How well and at what cost anomalies are found in real series.

The ensemble with its one setting reads the dev half of the Numenta benchmark; one threshold is
chosen for all files, as that benchmark does, and for comparison on one half of the files to score
the other. The incidents of a shop are judged by its metrics
together. Then 10,000 scopes × 4 metrics take a minute's values.

python -m bench detect
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.line import Figure, report
from bench.nab import PUBLISHED, Floats, Labelled, Profile, best, load, profiles, score_at
from bench.petshop import FALSE, judge
from bench.traffic import DATA
from processors.detect.series import SeriesPolicy, fresh, update

BENCH = "detect"
POLICY = SeriesPolicy()
SERIES = 40_000  # 10,000 scopes × 4 metrics
SPLITS = 10
BAR, MICROSECONDS, SECONDS, BYTES, INCIDENTS = 60.0, 50.0, 1.0, 2_048.0, 0.9


def scored(values: Floats) -> Floats:
    """The score of each point by those before it."""
    state, scores = fresh(POLICY), np.zeros(values.size)
    for at in range(values.size):
        scores[at : at + 1], state = update(POLICY, state, values[at : at + 1])
    return scores


def held_out(corpus: Sequence[Labelled], scores: Sequence[Floats], standard: Profile) -> float:
    """The mean score of halves of the files by the thresholds of the other halves."""
    found = []
    for seed in range(SPLITS):
        order = np.random.default_rng(seed).permutation(len(corpus))
        halves = np.array_split(order, 2)
        for a, b in (halves, halves[::-1]):
            _, threshold = best([corpus[i] for i in a], [scores[i] for i in a], standard)
            rest, theirs = [corpus[i] for i in b], [scores[i] for i in b]
            found.append(score_at(rest, theirs, standard, threshold))
    return float(np.mean(found))


def minute() -> tuple[float, float]:
    """Seconds of a core for one value of each of many series, the median; bytes of a series."""
    rng = np.random.default_rng(0)
    state, took = fresh(POLICY, SERIES), []
    for _ in range(POLICY.minimum + 20):
        values = rng.normal(size=SERIES)
        began = time.process_time()
        _, state = update(POLICY, state, values)
        took.append(time.process_time() - began)
    return float(np.median(took[POLICY.minimum :])), state.bytes_per_series


def main(data: Path) -> None:
    """Measure and report."""
    folder = data / "nab"
    if not folder.exists():
        report(BENCH, float("nan"), "NAB standard", bar=BAR, at=">=", why=f"there is no {folder}")
        return
    corpus = load(folder)
    scores, took = [], []
    for series in corpus:
        began = time.process_time()
        scores.append(scored(series.values))
        took.append((time.process_time() - began) / series.values.size * 1e6)
    known = profiles(folder)
    by_profile = {name: best(corpus, scores, each) for name, each in known.items()}
    shop = judge(data / "incidents" / "petshop")
    microseconds, (seconds, size) = float(np.median(took)), minute()
    report(
        BENCH,
        round(by_profile["standard"][0], 1),
        "NAB standard",
        bar=BAR,
        at=">=",
        also=(
            Figure(
                what="incidents found",
                value=shop.found / shop.issues,
                unit="of 1",
                bar=INCIDENTS,
                at=">=",
            ),
            Figure(what="false points", value=shop.false, unit="of 1", bar=FALSE),
            Figure(what="one point", value=round(microseconds, 1), unit="µs", bar=MICROSECONDS),
            Figure(what="40,000 values", value=round(seconds, 3), unit="s", bar=SECONDS),
            Figure(what="state of a series", value=size, unit="B", bar=BYTES),
        ),
        vs={name: round(by_profile["standard"][0] / x, 2) for name, x in PUBLISHED.items()},
        published_on_all_files=PUBLISHED,
        profiles={name: round(score, 1) for name, (score, _) in by_profile.items()},
        thresholds={name: round(at, 2) for name, (_, at) in by_profile.items()},
        held_out_halves=round(held_out(corpus, scores, known["standard"]), 1),
        files=len(corpus),
        incidents=shop.issues,
        delay_s=shop.delay,
        metrics_of_the_shop=shop.metrics,
        points_per_second=round(1e6 / microseconds),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.detect")
    parser.add_argument("--data", type=Path, default=DATA)
    main(parser.parse_args().data)
