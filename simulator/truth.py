"""What truly happened in a live run, and what was sent of it: to recompute everything from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.metric import MetricEvent
from schemas.quality import QualityScore
from simulator.deliver import Delivery
from simulator.demand import Demand
from simulator.fleet import Fleet
from simulator.requests import events, scores
from simulator.serve import Answers
from simulator.served import Served
from simulator.trace import Ints

DEMAND = ("time", "number", "unit", "tokens_input", "cached")
ANSWERS = (
    *("latency_us", "ttft_us", "tokens_output", "cost_nanousd", "default_nanousd"),
    *("outcome", "retries", "quality"),
)
DELIVERY = ("sends", "delay_ms")
NAMES = (*DEMAND, *ANSWERS, *DELIVERY, "endpoint", "minute", "config")


@dataclass(slots=True)
class Record:
    """Collects a run's truth and writes it to one file."""

    fleet: Fleet
    configs: dict[Served, int] = field(default_factory=dict)
    garbage: list[str] = field(default_factory=list)  # keys of the unreadable messages
    parts: list[dict[str, npt.NDArray[Any]]] = field(default_factory=list)

    def add(self, answers: Answers, delivery: Delivery) -> None:
        """Remember what happened to some requests."""
        n = len(answers.demand)
        ids = [self.configs.setdefault(one, len(self.configs)) for one in answers.served]
        self.parts.append(
            {name: getattr(answers.demand, name) for name in DEMAND}
            | {name: getattr(answers, name) for name in ANSWERS}
            | {name: getattr(delivery, name) for name in DELIVERY}
            | {
                "endpoint": np.full(n, answers.demand.index),
                "minute": np.full(n, answers.demand.minute),
                "config": np.array(ids, np.int64)[answers.by],
            }
        )

    def column(self, name: str) -> npt.NDArray[Any]:
        """One column over all requests so far."""
        return np.concatenate([part[name] for part in self.parts] or [np.zeros(0, np.int64)])

    def write(self, file: Path) -> None:
        """Write all of it as a compressed .npz."""
        about = {
            "seed": self.fleet.seed,
            "start": self.fleet.start,
            "garbage": self.garbage,
            "configs": [[c.provider, c.model, c.version, c.cohort] for c in self.configs],
            "scopes": [one.scope for one in self.fleet.endpoints],
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as out:
            np.savez_compressed(
                out,
                allow_pickle=False,
                about=np.array(json.dumps(about)),
                **{name: self.column(name) for name in NAMES},
            )


@dataclass(frozen=True, slots=True)
class Truth:
    """A run's truth, read back. Rows are requests in the order of their serving."""

    fleet: Fleet
    configs: tuple[Served, ...]
    garbage: tuple[str, ...]
    columns: dict[str, npt.NDArray[Any]]

    def events(self) -> Iterator[tuple[MetricEvent, int]]:
        """Every request's metric event, and how many times it was sent (0, 1 or 2)."""
        for rows, answers in self._answers():
            sends = self.columns["sends"][rows].tolist()
            yield from zip(events(answers), sends, strict=True)

    def scores(self) -> Iterator[QualityScore]:
        """Every quality score that was sent."""
        for rows, answers in self._answers():
            sent = np.where(self.columns["sends"][rows] > 0, answers.quality, np.nan)
            yield from scores(replace(answers, quality=sent))

    def _answers(self) -> Iterator[tuple[Ints, Answers]]:
        columns = self.columns
        group = columns["endpoint"] * 2**32 + columns["minute"]
        order = np.argsort(group, kind="stable")
        cuts = np.flatnonzero(np.diff(group[order])) + 1
        for rows in np.split(order, cuts) if len(order) else ():
            n = len(rows)
            asked = Demand(
                self.fleet,
                int(columns["endpoint"][rows[0]]),
                int(columns["minute"][rows[0]]),
                **{name: columns[name][rows] for name in DEMAND},
                tokens_output=columns["tokens_output"][rows],
                luck=np.zeros(n),
                load=1.0,
                uniform=np.zeros((0, n)),
                normal=np.zeros((0, n)),
            )
            rest = {name: columns[name][rows] for name in ANSWERS}
            yield rows, Answers(asked, self.configs, columns["config"][rows], **rest)


def read(file: Path, fleet: Fleet) -> Truth:
    """The truth that a run with *fleet*'s scenario wrote.

    Args:
        file: As written by `Record.write`.
        fleet: The scenario; seed and start are taken from the file.

    Raises:
        ValueError: It was written with other endpoints.
    """
    with np.load(file) as whole:
        about = json.loads(str(whole["about"]))
        columns = {name: whole[name] for name in NAMES}
    if about["scopes"] != [one.scope for one in fleet.endpoints]:
        raise ValueError(f"{file} was written with another scenario: {about['scopes']}.")
    return Truth(
        replace(fleet, seed=about["seed"], start=about["start"]),
        tuple(Served(*config) for config in about["configs"]),
        tuple(about["garbage"]),
        columns,
    )
