"""How workers may end in a chaos test: each status with what makes it legitimate."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from streams.app import STUCK

AWAY = "llmopt: No Kafka broker answers at "  # at the end of a log
UNCLOSED = "Unclosed AIOKafkaProducer"  # what the collector of garbage may still say after that
HUNG = "a commit has not ended within"
PATIENCE = 60.0  # seconds after an outage for which a worker that starts may still be without one
TAIL = 4_096  # bytes of a log


@dataclass(frozen=True, slots=True)
class Exit:
    """A worker that has ended."""

    name: str
    status: int
    at: float  # seconds since the epoch
    log: str  # its end
    told: bool  # whether it was asked to leave
    listened: bool  # whether it took the signal itself when it was asked


def log_of(path: Path) -> str:
    """The end of a worker's log."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        return file.read().decode(errors="replace")


def listens(pid: int) -> bool:
    """Whether a process has said what it does at SIGTERM, as the kernel knows."""
    told = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in told.splitlines() if line.startswith("SigCgt:")).split()[1]
    return bool(int(caught, 16) >> signal.SIGTERM - 1 & 1)


def explained(one: Exit, outages: Sequence[tuple[float, float]]) -> str:
    """Why a worker may have ended as it did; nothing when it must not.

    Args:
        one: How it ended.
        outages: From when to when there was no broker, seconds since the epoch.
    """
    lines = [line for line in one.log.splitlines() if UNCLOSED not in line] or [""]
    match one.status:
        case 0 if one.told:
            return "left in order"
        case 1 if lines[-1].startswith(AWAY) and any(
            since <= one.at <= until + PATIENCE for since, until in outages
        ):
            return "found no broker when it started"
        case status if status == STUCK and HUNG in one.log:
            return "gave up a library that hung"
        case status if status == -signal.SIGTERM and one.told and not one.listened:
            return "asked to leave before it could hear it"
    return ""


def unexplained(exits: Iterable[Exit], outages: Sequence[tuple[float, float]]) -> list[str]:
    """Who ended in a way that has no reason, and the last it said."""
    return [
        f"{one.name} ended with {one.status}:\n{one.log}"
        for one in exits
        if not explained(one, outages)
    ]
