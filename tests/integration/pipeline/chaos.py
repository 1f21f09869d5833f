"""What runs in a chaos test: killed, paused, moved, and started again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.postgres.server import Postgres

SHORT, LONG = 60.0, 2_400.0  # seconds, in which there are as many of each kind as KINDS says
# What the producer takes if nobody kills it.
SECONDS = float(os.environ.get("CHAOS_SECONDS") or SHORT)
KINDS = {
    "worker": (10, 110),
    "broker": (3, 22),
    "postgres": (1, 11),
    "registry": (1, 11),
    "pause": (2, 12),
    "rebalance": (3, 55),
}
PAUSED = (7.0, 12.0)  # seconds, longer than a session lasts without its worker


@dataclass
class Chaos:
    """What runs and is killed, paused or moved, and started again."""

    pipeline: Any
    postgres: Postgres
    chance: random.Random
    plan: dict[str, Any]
    exits: list[int] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    born: int = 2
    producer: subprocess.Popen[bytes] | None = None
    paused: dict[str, tuple[int, float]] = field(default_factory=dict)  # pid, until when
    leaving: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def produce(self) -> None:
        """Start the producer where the last one was."""
        script = Path(__file__).with_name("producing.py")
        self.producer = subprocess.Popen(
            [sys.executable, str(script), json.dumps(self.plan)], env=self.pipeline.env
        )

    def progress(self) -> int:
        """How many chunks have arrived."""
        note = Path(self.plan["progress"])
        return int(note.read_text()) if note.exists() else 0

    def do(self, what: str) -> None:
        """Do something of the kind *what*, and say so."""
        told = getattr(self, f"_{what}")()
        self.done[what] += 1
        say(f"{time.time() - self.plan['began']:6.0f} s  {what}: {told}")

    def _broker(self) -> str:
        return self._anew(self.pipeline.cluster.broker)

    def _postgres(self) -> str:
        return self._anew(self.postgres)

    def _registry(self) -> str:
        return self._anew(self.pipeline.cluster.registry)

    def _anew(self, service: Any) -> str:
        began = time.monotonic()
        service.kill()
        service.start()
        return f"killed, and back after {time.monotonic() - began:.1f} s"

    def _producer(self) -> str:
        self.end()
        self.produce()
        return "killed; another sends its last part again"

    def _worker(self) -> str:
        workers = self.pipeline.workers
        killed = self.chance.choice(sorted(workers.running))
        self.paused.pop(killed, None)
        workers.kill(killed)
        # Half come back under their name, half as a stranger who must wait for the old one.
        name = killed if self.chance.random() < 0.5 else self._stranger()
        workers.start(name)
        return f"{killed} killed, {name} started"

    def _pause(self) -> str:
        """A worker that stands still until others have its partitions, and then goes on."""
        workers = self.pipeline.workers
        name = self.chance.choice(sorted(workers.running.keys() - self.paused.keys()))
        pid, seconds = workers.running[name].pid, self.chance.uniform(*PAUSED)
        os.kill(pid, signal.SIGSTOP)
        self.paused[name] = (pid, time.monotonic() + seconds)
        return f"{name} stands still for {seconds:.0f} s"

    def _rebalance(self) -> str:
        """A worker more, or, if there are three, one that leaves in order."""
        workers = self.pipeline.workers
        if len(workers.running) < 3:
            name = self._stranger()
            workers.start(name)
            return f"{name} came"
        name = self.chance.choice(sorted(workers.running.keys() - self.paused.keys()))
        left = workers.running.pop(name)
        left.terminate()
        self.leaving.append(left)
        return f"{name} leaves"

    def _stranger(self) -> str:
        self.born += 1
        return f"worker-{self.born}"

    def supervise(self) -> None:
        """Wake who has stood still for long enough; start a worker again that found no broker."""
        for name, (pid, until) in list(self.paused.items()):
            if time.monotonic() >= until:
                os.kill(pid, signal.SIGCONT)
                del self.paused[name]
        for name, worker in list(self.pipeline.workers.running.items()):
            if (status := worker.poll()) is not None:
                self.exits.append(status)
                self.pipeline.workers.start(name)

    def wake(self) -> None:
        """Let everybody go on."""
        for pid, _ in self.paused.values():
            os.kill(pid, signal.SIGCONT)
        self.paused.clear()

    def end(self) -> None:
        """Kill the producer if it still runs."""
        assert self.producer is not None
        self.producer.kill()
        self.producer.wait(10)


def say(line: str) -> None:
    """For people, and for who looks for what went wrong."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def acts(chance: random.Random) -> list[tuple[float, str]]:
    """What is done when, in shares of the run."""
    counts = {
        kind: few + round((many - few) * min(1.0, max(0.0, (SECONDS - SHORT) / (LONG - SHORT))))
        for kind, (few, many) in KINDS.items()
    }
    return sorted(
        (chance.uniform(0.05, 0.95), kind) for kind, count in counts.items() for _ in range(count)
    )
