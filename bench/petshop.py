"""Incidents of a shop of micro-services: are they found, and how many points without one are told?

Hardt et al., "The PetShop dataset", CLeaR 2024. All services that are nearly always there, by
their mean latency and availability, are one series of many metrics; of an incident only its time
is known.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.nab import Floats
from processors.detect.joint import distance, learn

Key = tuple[str, str, str]
KINDS = (("latency", "Average"), ("availability", "Average"))
THERE = 0.99  # of the points, for a metric to be looked at
WINDOW, REFIT, FIRST = 288, 12, 100  # points of 5 minutes
FALSE = 0.01
STEP = 300.0  # seconds; a point is stamped with its start
CALM = ("high_traffic", "low_traffic")  # what has days without an incident


@dataclass(frozen=True, slots=True)
class Found:
    """What the distances from the usual tell."""

    issues: int
    found: int
    false: float  # share of the points of days without an incident
    delay: float  # seconds from an incident to the start of the point that tells it, the median
    metrics: int


def read(file: Path) -> tuple[Floats, dict[Key, Floats]]:
    """Times and each metric by service, metric and statistic; NaN where there is none."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines))
    keys = list(zip(*rows[:3], strict=True))
    table = np.array([[float(cell or "nan") for cell in row] for row in rows[4:]])
    return table[:, 0], {key: table[:, at] for at, key in enumerate(keys) if at}


def matrix(metrics: dict[Key, Floats], keys: list[Key], size: int) -> Floats:
    """[points, metrics], latency by its logarithm."""
    absent = np.full(size, np.nan)
    columns = [metrics.get(key, absent) for key in keys]
    return np.stack(
        [
            np.log(np.maximum(column, 1e-6)) if key[1] == "latency" else column
            for key, column in zip(keys, columns, strict=True)
        ],
        axis=1,
    )


def judge(folder: Path) -> Found:
    """Learn from days without an incident, then read each incident's half hour."""
    calm = {name: read(folder / name / "noissue" / "metrics.csv") for name in CALM}
    keys = [
        key
        for key in sorted(calm[CALM[0]][1])
        if key[1:] in KINDS
        and all(np.isfinite(each.get(key, np.nan)).mean() >= THERE for _, each in calm.values())
    ]
    usual, quiet = {}, []
    for name, (times, metrics) in calm.items():
        values = matrix(metrics, keys, times.size)
        for at in range(FIRST, len(values), REFIT):
            past = learn(values[max(0, at - WINDOW) : at])
            quiet.append(distance(past, values[at : at + REFIT]))
        usual[name] = learn(values[-WINDOW:])
    told = np.sort(np.concatenate(quiet))
    threshold = told[-int(FALSE * told.size)]
    delays = []
    for target in sorted(folder.glob("*/train/*/target.json")):
        began = json.loads(target.read_text("utf-8"))["target"]["timestamp"]
        times, metrics = read(target.with_name("metrics.csv"))
        kind = target.parts[-4] if target.parts[-4] in usual else CALM[1]
        over = distance(usual[kind], matrix(metrics, keys, times.size)) >= threshold
        first = times[over][0] if over.any() else -np.inf
        delays.append(first - began if first > began - STEP else np.inf)
    return Found(
        len(delays),
        int(np.isfinite(delays).sum()),
        float((told >= threshold).mean()),
        float(np.median(delays)),
        len(keys),
    )
