"""How far off is what is predicted of a model after thirty answers on a task?

Each round draws 30 answers of each model on each task of RouterBench, for each model on prompts of
its own, and predicts the mean quality of its answers to all other prompts, by `levels` and
`hierarchy` (processors/predict) from the draws and the models' costs. Beside it are the
means of the draws with Student's intervals, which is what per-task means predict.

    python -m bench predict
    python -m bench.predict [--rounds N] [--data FILE]
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import stats

from bench.line import ROOT, Figure, report
from processors.predict.answers import Levels, levels
from processors.predict.hierarchy import Cells, hierarchy

BENCH = "predict"
DATA = ROOT.parent / "shared" / "data" / "routing" / "routerbench_dev.csv"  # never committed
DRAWN = 30  # answers of a model on a task
LEAST = 100  # prompts of a task, so that enough are left to know the truth by
ENOUGH, FEWEST = 8_800, 20  # predicted levels in all rounds, which fewer draw of more tasks; rounds
LEVEL = 0.9
BAR = 0.9  # of the error of per-task means
COVERS = (0.85, 0.95)

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Answers:
    """All answers of the models to the prompts of one task; NaN where there is none."""

    quality: Floats  # [prompts, models]
    cost: Floats  # [prompts, models], USD


@dataclass(frozen=True)
class Found:
    """Errors of one round, a cell or a switch each, and whether its interval held."""

    ours: Floats
    means: Floats
    held: Flags
    means_held: Flags


def read(file: Path) -> list[Answers]:
    """The tasks of *file*, prompts that every model has answered only."""
    with file.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    models = sorted({row["model"] for row in rows})
    tasks: dict[str, dict[str, Floats]] = {}
    for row in rows:
        prompts = tasks.setdefault(row["task"], {})
        both = prompts.setdefault(row["sample_id"], np.full((2, len(models)), np.nan))
        both[:, models.index(row["model"])] = float(row["quality"]), float(row["cost_usd"])
    found = []
    for _, prompts in sorted(tasks.items()):
        whole = np.array([both for _, both in sorted(prompts.items())])
        whole = whole[~np.isnan(whole).any(axis=(1, 2))]
        if len(whole) >= LEAST:
            found.append(Answers(whole[:, 0], whole[:, 1]))
    return found


def draws(tasks: Sequence[Answers], seed: int, *, together: bool) -> list[Flags]:
    """Which answers a round sees, 30 of each model; of all models the same if *together*."""
    rng = np.random.default_rng(seed)
    found = []
    for task in tasks:
        prompts, models = task.quality.shape
        seen = np.zeros((prompts, models), dtype=bool)
        for model in range(models):
            chosen = rng.permutation(prompts)[:DRAWN]
            if not together:
                seen[chosen, model] = True
            elif model == 0:
                seen[chosen] = True
        found.append(seen)
    return found


def predicted(tasks: Sequence[Answers], seen: Sequence[Flags]) -> tuple[Floats, Floats, Levels]:
    """Level of each cell, the covariance of their errors, and what was estimated before."""
    columns = []
    features = []
    for number, (task, mask) in enumerate(zip(tasks, seen, strict=True)):
        item, model = np.nonzero(mask)
        columns.append((np.full(item.size, number), model, item, task.quality[mask]))
        cost = np.where(mask, task.cost, 0.0).sum(axis=0) / mask.sum(axis=0)
        features.append(np.log(cost))
    task_, model_, item_, value = (np.concatenate(each) for each in zip(*columns, strict=True))
    found = levels(task_, model_, item_, value)
    cells = Cells(found.task, found.model, np.concatenate(features)[:, None])
    posterior = hierarchy(cells, np.arange(found.mean.size), found.mean, found.covariance)
    return posterior.mean, posterior.covariance, found


def errors(tasks: Sequence[Answers], seed: int, *, together: bool) -> tuple[Found, Found]:
    """Of one round: of the levels, and of the changes from any model to any other on a task."""
    seen = draws(tasks, seed, together=together)
    level, covariance, found = predicted(tasks, seen)
    truth, plain, variance, open_ = (
        np.concatenate(each)
        for each in zip(*(_plain(t, m) for t, m in zip(tasks, seen, strict=True)), strict=True)
    )
    ahead = np.diag(found.spread / open_)  # chance in the answers that are to come
    covariance = covariance + ahead
    same = found.task[:, None] == found.task
    before, after = np.nonzero(np.triu(same, 1))
    change = np.zeros((before.size, level.size))
    change[np.arange(before.size), before] = -1.0
    change[np.arange(before.size), after] = 1.0
    levels_, changes = (
        _found(
            by @ (level - truth),
            by @ (plain - truth),
            ((by @ covariance) * by).sum(axis=1),
            by**2 @ variance,
        )
        for by in (np.eye(level.size), change)
    )
    return levels_, changes


def _plain(task: Answers, seen: Flags) -> tuple[Floats, Floats, Floats, Floats]:
    """By model: the truth, the mean of the draws, its variance, and the number of prompts left."""
    left = (~seen).sum(axis=0)
    truth = np.where(seen, 0.0, task.quality).sum(axis=0) / left
    mean = np.where(seen, task.quality, 0.0).sum(axis=0) / DRAWN
    squares = np.where(seen, (task.quality - mean) ** 2, 0.0).sum(axis=0) / (DRAWN - 1)
    return truth, mean, squares * (1 / DRAWN + 1 / left), left.astype(np.float64)


def _found(ours: Floats, means: Floats, variance: Floats, plain: Floats) -> Found:
    normal, student = stats.norm.ppf((1 + LEVEL) / 2), stats.t.ppf((1 + LEVEL) / 2, DRAWN - 1)
    return Found(
        abs(ours),
        abs(means),
        abs(ours) <= normal * np.sqrt(variance),
        abs(means) <= student * np.sqrt(plain),
    )


def rounds(tasks: Sequence[Answers], count: int, *, together: bool) -> Iterator[tuple[str, Found]]:
    """Levels and switches over all rounds."""
    all_ = [errors(tasks, seed, together=together) for seed in range(count)]
    for name, several in zip(("level", "switch"), zip(*all_, strict=True), strict=True):
        yield (
            name,
            Found(
                *(
                    np.concatenate([getattr(each, part) for each in several])
                    for part in ("ours", "means", "held", "means_held")
                )
            ),
        )


def figures(name: str, found: Found) -> tuple[Figure, ...]:
    """The bars of levels or switches."""
    ratio, covered = _ratio(found), round(float(found.held.mean()), 3)
    unit = "of 90 % intervals hold"
    return (
        Figure(what=f"{name}: error", value=ratio, unit="× per-task means", bar=BAR),
        Figure(what=f"{name}: coverage", value=covered, unit=unit, bar=COVERS[0], at=">="),
        Figure(what=f"{name}: coverage, at most", value=covered, unit=unit, bar=COVERS[1]),
    )


def _ratio(found: Found) -> float:
    return round(float(found.ours.mean() / found.means.mean()), 3)


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(prog="python -m bench.predict", description=__doc__)
    parser.add_argument("--rounds", type=int, help="with seeds from 0 on; else enough of them")
    parser.add_argument("--data", type=Path, default=DATA, help="answers, as RouterBench has them")
    given = parser.parse_args()
    unit = "× the error of per-task means"
    if not given.data.exists():
        report(BENCH, math.nan, unit, bar=BAR, why=f"there is no {given.data.name}")
    tasks = read(given.data)
    if not tasks:
        why = f"{given.data.name} has no task with {LEAST} prompts that all models answered"
        report(BENCH, math.nan, unit, bar=BAR, why=why)
        return
    cells = sum(task.quality.shape[1] for task in tasks)
    count = given.rounds or max(FEWEST, ENOUGH // cells)
    began = time.process_time()
    apart = dict(rounds(tasks, count, together=False))
    took = (time.process_time() - began) / count
    same = dict(rounds(tasks, count, together=True))
    level = apart["level"]
    report(
        BENCH,
        _ratio(level),
        unit,
        bar=BAR,
        also=(*figures("level", level)[1:], *figures("switch", apart["switch"])),
        vs={"per-task means": _ratio(level)},
        mae=round(float(level.ours.mean()), 4),
        mae_of_means=round(float(level.means.mean()), 4),
        coverage_of_means=round(float(level.means_held.mean()), 3),
        same_prompts={
            name: {"error": _ratio(found), "coverage": round(float(found.held.mean()), 3)}
            for name, found in same.items()
        },
        tasks=len(tasks),
        rounds=count,
        cpu_ms_per_round=round(1e3 * took, 1),
    )


if __name__ == "__main__":
    main()
