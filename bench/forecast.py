"""Do the intervals of forecasts hold as many values as they say, on real traffic?

Forecasts of 1, 6 and 36 values from a dozen moments of the second half of each series: the request
rates of each client of ServeGen (10 minutes a value; those that send in half of the steps at
least), the requests and tokens of Azure's trace (10 s and 30 s), the latencies of each provider,
one request after the other. Beside it, the interval score (Gneiting & Raftery, JASA 2007) of ours
by that of the last value with the quantiles of its own errors.

python -m bench forecast
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.line import Figure, report
from bench.traffic import DATA
from processors.analyze.forecast import FEWEST, forecast

BENCH = "forecast"
LOW, HIGH = 0.85, 0.95  # of a nominal LEVEL
LEVEL = 0.9
HORIZONS = (1, 6, 36)
ORIGINS = 12
LEAST_BUSY = 0.5  # part of the steps with a request

Floats = npt.NDArray[np.float64]
Interval = Callable[[Floats, int], tuple[Floats, Floats]]


def load(folder: Path) -> dict[str, Floats]:
    """Every series, by where it is from."""
    found: dict[str, Floats] = {}
    for file in sorted((folder / "servegen").glob("*/*.csv")):
        rates = np.genfromtxt(file, dtype=np.float64, delimiter=",", usecols=(1,))
        if float((rates > 0).mean()) >= LEAST_BUSY:
            found[f"{file.parent.name} {file.stem}"] = rates
    azure = folder / "AzureLLMInferenceTrace_code.csv"
    if azure.exists():
        with azure.open() as lines:
            rows = list(csv.DictReader(lines))
        at = np.array([datetime.fromisoformat(row["TIMESTAMP"]).timestamp() for row in rows])
        tokens = np.array([float(row["GeneratedTokens"]) for row in rows])
        for seconds in (10, 30):
            step = ((at - at[0]) // seconds).astype(np.int64)
            for what, weights in (("requests", np.ones(step.size)), ("tokens", tokens)):
                summed = np.bincount(step, weights=weights).astype(np.float64)
                found[f"azure {what}, {seconds} s"] = summed
    for file in sorted((folder / "provider-latency").glob("*.json")):
        told = [each["end_to_end_latency_s"] for each in json.loads(file.read_text())]
        known = np.array([math.nan if each is None else each for each in told], dtype=np.float64)
        found[f"latency of {file.stem}"] = known[np.isfinite(known)]
    return found


def ours(past: Floats, horizon: int) -> tuple[Floats, Floats]:
    """The interval of the forecast."""
    found = forecast(past, horizon, LEVEL)
    return found.low, found.high


def naive(past: Floats, horizon: int) -> tuple[Floats, Floats]:
    """The last value, with the quantiles of what this has missed by so far."""
    tails = ((1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0)
    errors = [np.quantile(past[h:] - past[:-h], tails) for h in range(1, horizon + 1)]
    low, high = past[-1] + np.array(errors).T
    return low, high


def judged(series: Floats, horizon: int, interval: Interval) -> tuple[float, float] | None:
    """Coverage and interval score (in mean steps of the series); None where it is too short."""
    first = max(series.size // 2, FEWEST, 2 * horizon)
    last = series.size - horizon
    if last < first:
        return None
    covered, scores = [], []
    for origin in np.unique(np.linspace(first, last, ORIGINS).astype(np.int64)):
        past, true = series[:origin], series[origin : origin + horizon]
        low, high = interval(past, horizon)
        covered.append((low - 1e-9 <= true) & (true <= high + 1e-9))
        missed = np.maximum(low - true, 0.0) + np.maximum(true - high, 0.0)
        step = float(np.abs(np.diff(past)).mean()) or 1.0
        scores.append((high - low + 2.0 / (1.0 - LEVEL) * missed) / step)
    return float(np.mean(covered)), float(np.mean(scores))


def table(known: Mapping[str, Floats], interval: Interval) -> dict[int, Floats]:
    """Of each horizon, coverage and score of each series that is long enough: [series, 2]."""
    found = {}
    for horizon in HORIZONS:
        each = [judged(series, horizon, interval) for series in known.values()]
        found[horizon] = np.array([pair for pair in each if pair is not None])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=DATA / "traces")
    folder = parser.parse_args().data
    if not folder.exists():
        report(BENCH, math.nan, "of values", bar=LOW, at=">=", why=f"{folder} is not here")
    known = load(folder)
    mine, theirs = table(known, ours), table(known, naive)
    by_horizon = {h: float(pairs[:, 0].mean()) for h, pairs in mine.items()}
    whole = float(np.mean(list(by_horizon.values())))
    unit = f"of values in the {LEVEL:.0%} interval"
    also = [Figure(what="at most", value=round(whole, 4), unit=unit, bar=HIGH)]
    for h, value in by_horizon.items():
        for bar, at in ((LOW, ">="), (HIGH, "<=")):
            what = f"{h} ahead, at {'least' if at == '>=' else 'most'}"
            also.append(
                Figure(what=what, value=round(value, 4), unit=unit, bar=bar, at=at)  # type: ignore[arg-type]
            )
    score = {h: float(np.median(mine[h][:, 1] / theirs[h][:, 1])) for h in HORIZONS}
    report(
        BENCH,
        round(whole, 4),
        unit,
        bar=LOW,
        at=">=",
        also=also,
        vs={f"last value, {h} ahead": round(ratio, 3) for h, ratio in score.items()},
        last_value_covers={h: round(float(pairs[:, 0].mean()), 3) for h, pairs in theirs.items()},
        series=len(known),
    )


if __name__ == "__main__":
    main()
