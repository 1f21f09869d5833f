"""Fit the numbers of profiles.py from measurements, and print them.

python -m simulator.fit FOLDER

FOLDER has traces/provider-latency/*.json, routing/routerbench_dev.csv and
routing/aider_polyglot_leaderboard.yml.

Nothing of the data is kept but the printed numbers. Sources: ray-project/llmperf-leaderboard
(about 150 requests per provider: time to first token, time per token), Aider-AI/aider (pass rate
of its polyglot leaderboard), RouterBench (mean quality of 11 models on the same prompts).
"""

from __future__ import annotations

import csv
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from simulator.profiles import Shape

TAIL = 3.0  # times the median: where the tail begins
Floats = npt.NDArray[np.float64]


def shape(requests: list[dict[str, Any]]) -> Shape:
    """The latency of one provider.

    Medians, and the spread (of the logarithm) from the median and the 90th percentile, so that the
    tail, which has its own law, does not widen it.
    """
    good = [r for r in requests if r["ttft_s"] and r["number_output_tokens"] > 20]
    first = 1e3 * np.array([r["ttft_s"] for r in good])
    each = np.array(
        [
            1e3 * (r["end_to_end_latency_s"] - r["ttft_s"]) / (r["number_output_tokens"] - 1)
            for r in good
        ]
    )
    return Shape(
        ttft_ms=round(float(np.median(first)), 1),
        ttft_sigma=round(spread(first), 3),
        itl_ms=round(float(np.median(each)), 2),
        itl_sigma=round(spread(each), 3),
    )


def spread(values: Floats) -> float:
    """The standard deviation of ln x, from the median and the 90th percentile."""
    return float(np.log(np.percentile(values, 90) / np.median(values)) / 1.2816)


def tail(providers: list[Floats]) -> tuple[float, float]:
    """Over all providers: the share of first tokens beyond TAIL medians, and Hill's tail index.

    References:
        B. M. Hill, A simple general approach to inference about the tail of a distribution, Annals
        of Statistics 3 (1975).
    """
    scaled = np.concatenate([first / np.median(first) for first in providers])
    beyond = scaled[scaled > TAIL]
    return len(beyond) / len(scaled), float(1 / np.mean(np.log(beyond / TAIL)))


def main(folder: Path | None = None) -> int:
    """Print every fitted number; 0, also when there is nothing to fit from."""
    if folder is None:
        print("Skipped: name the folder of the measurements, which are not in the repository.")  # noqa: T201
        return 0
    latency = sorted((folder / "traces" / "provider-latency").glob("*.json"))
    router = folder / "routing" / "routerbench_dev.csv"
    aider = folder / "routing" / "aider_polyglot_leaderboard.yml"
    if not (latency and router.exists() and aider.exists()):
        print(f"Skipped: {folder} does not have the measurements that this fits.")  # noqa: T201
        return 0
    measured = {file.stem: json.loads(file.read_text()) for file in latency}
    for name, requests in measured.items():
        print(f'    "{name}": {shape(requests)},')  # noqa: T201
    firsts = [np.array([r["ttft_s"] for r in rs if r["ttft_s"]]) for rs in measured.values()]
    print("tail share %.4f, index %.2f" % tail(firsts))  # noqa: T201, UP031
    scores: dict[str, list[float]] = defaultdict(list)
    with router.open() as rows:
        for row in csv.DictReader(rows):
            scores[row["model"]].append(float(row["quality"]))
    for model, values in scores.items():
        print(f"{model}: quality {100 * np.mean(values):.1f}")  # noqa: T201
    for entry in yaml.safe_load(aider.read_text()):
        print(f"{entry['model']}: pass rate {entry['pass_rate_2']}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
