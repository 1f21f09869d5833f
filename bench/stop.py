"""How long `llmopt stop` takes until every rollout is back at its stable config.

A worker runs all stages; in each turn, as many rollouts begin, a person runs the command at some
moment, and a reader of committed records notes when it gets each stable config. Afterwards more is
decided and another minute goes by: nothing may be written. Then all is resumed.

- Halted: from the start of the command's process to the last stable config.
- Told: the same, from when the command was given to the broker.

python -m bench stop
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from contextlib import ExitStack
from itertools import count

import click
import numpy as np

from bench.line import Figure, report
from bench.rollouts import Configs, decided, declare, minute, spread, tell, wait
from bench.servers import Servers, keeping, servers
from bench.watch import Follow
from schemas.topics import CONFIG
from schemas.window import MINUTE

BENCH = "stop"
BAR = 1.0  # seconds
EACH = 4  # rollouts of each task: at most five may be under way
REQUESTS = 1_000
QUIET = 0.5  # seconds in which nothing may be written


class Rounds:
    """Rollouts that begin and are stopped, one round after the other."""

    def __init__(self, at: Servers, configs: Configs, chance: random.Random) -> None:
        self.at, self.configs, self.chance = at, configs, chance
        self.scopes = spread(at.settings.partitions_derived, EACH)
        self.began = (int(time.time() * 1_000) // (15 * MINUTE) - 48) * 15 * MINUTE
        self.at_ms = self.began  # of the newest minute
        self.minutes, self.numbers = count(1), count()
        tell(
            at,
            [minute(scope, self.began - 15 * MINUTE, 5_000, 15 * MINUTE) for scope in self.scopes],
        )
        self.pass_minute()

    def pass_minute(self) -> None:
        """Another minute of every scope."""
        start = self.at_ms = self.began + next(self.minutes) * MINUTE
        tell(self.at, [minute(scope, start, REQUESTS) for scope in self.scopes])

    def decide(self) -> None:
        """A rollout for every scope, of now: an old decision would be refused."""
        number = next(self.numbers)
        tell(self.at, [decided(s, number, "one_percent", self.at_ms) for s in self.scopes])

    def run(self) -> tuple[float, float, float]:
        """One round: seconds from the process's start, from the command, and until it returned."""
        self.decide()
        for _ in range(60):  # nothing orders the records of two topics
            self.pass_minute()
            if wait(self.configs, self.scopes, 1.0):
                break
        else:
            raise SystemExit(f"The rollouts did not begin: {self.at.last_words('worker')}")
        time.sleep(self.chance.uniform(0.0, 1.0))
        before, started = len(self.configs.seen), time.time()
        command = self.llmopt("stop", "--reason", "bench")["command"]
        returned = time.time()
        self.decide()
        self.pass_minute()
        time.sleep(QUIET)
        stopped = self.configs.seen[before:]
        if {c.scope for _, c in stopped} != set(self.scopes) or len(stopped) != len(self.scopes):
            raise SystemExit(
                f"{len(stopped)} configs were written for {len(self.scopes)} rollouts."
            )
        if self.configs.split():
            raise SystemExit(f"A candidate is served in {sorted(self.configs.split())}.")
        self.llmopt("resume")
        last = max(seen for seen, _ in stopped)
        return last - started, last - command["at"] / 1_000, returned - started

    def llmopt(self, *words: str) -> dict[str, dict[str, float]]:
        """Run a command as a person would; its document."""
        done = subprocess.run(
            [sys.executable, "-m", "streams", *words, "--json"],
            env={k: v for k, v in self.at.settings.environment().items() if v},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"llmopt {words[0]} failed: {done.stderr}")
        document: dict[str, dict[str, float]] = json.loads(done.stdout)
        return document


def p(percent: float, seconds: list[float]) -> float:
    """A percentile in seconds."""
    return round(float(np.percentile(seconds, percent)), 3)


@click.command()
@click.option("--rounds", "turns", default=40, show_default=True, help="How many stops.")
@click.option("--seed", default=1, show_default=True, help="Of the moments of the stops.")
@keeping
def main(*, turns: int, seed: int, keep: bool) -> None:
    """Measure how long an emergency stop takes."""
    with servers(keep=keep) as at, ExitStack() as stack:
        declare(at)
        stack.enter_context(at.child("worker", "streams", "worker", "--name", "bench"))
        configs = Configs(at.codec)
        width = at.settings.partitions_derived
        following = Follow(at.settings.bootstrap_servers, CONFIG, width, configs.take)
        following.start()
        stack.callback(following.stop)
        rounds = Rounds(at, configs, random.Random(seed))
        found = [rounds.run() for _ in range(turns)]
        rollouts = len(rounds.scopes)
    halted, told, returned = map(list, zip(*found, strict=True))
    report(
        BENCH,
        p(99, halted),
        f"s p99, start of `llmopt stop` → {rollouts} rollouts at stable",
        bar=BAR,
        also=[
            Figure(
                what="told",
                value=p(99, told),
                unit="s p99, command given → all at stable",
                bar=BAR,
            )
        ],
        halted_p50=p(50, halted),
        halted_max=p(100, halted),
        told_p50=p(50, told),
        returned_p50=p(50, returned),
        rounds=turns,
    )


if __name__ == "__main__":
    main()
