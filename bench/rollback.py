"""How long a candidate that turns bad goes on being served, and how many requests fail of it.

Sixteen scopes have fifty requests a second each, reported by real clients that obey the configs; in
half of them a candidate serves 1 % of the units, in the others 5 %. The worker runs all stages.
When every rollout has been judged healthy for a while, the candidates begin to fail, each scope's
at another second of the minute. Nobody touches anything.

- Rollback: from the first moment of the fault until the last of the applications has acknowledged
  the stable config; of the scopes with 5 %, the share that canaries begin with by default, the
  worst counts. At 1 % there is a failure in seven seconds, and how many of them prove it is the
  test's to say: these seconds are told beside.
- Bad: failed requests of the candidate from then on, in the scopes with 1 %; the worst counts.

python -m bench rollback
"""

from __future__ import annotations

import math
import random
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count

import click
import numpy as np

from bench.line import Figure, report
from bench.propagation import Acks, until
from bench.rollouts import STABLE, Configs, decided, declare, minute, spread, tell
from bench.servers import Servers, keeping, servers
from bench.subscribers import READY
from bench.watch import Follow
from llmopt_client import Client, Config
from schemas.config import ConfigAck
from schemas.topics import CONFIG, CONFIG_ACK
from schemas.window import MINUTE
from streams.clock import now_ms

BENCH = "rollback"
BAR = 60.0  # seconds, fault → stable config everywhere
BAD = 100  # failed requests of the candidate at 1 %
RATE = 50.0  # requests a second of each scope
USUAL, BROKEN = 0.01, 0.30  # shares of requests that fail
UNITS = 20_000
SUBSCRIBERS = 20
STRATEGIES = ("one_percent", "five_percent")  # of the scopes by turns
DEFAULT = Config(provider=STABLE.provider, model=STABLE.model)
TICK = 0.02  # seconds
BEGUN = 300.0  # seconds within which every rollout must have begun


@dataclass(slots=True)
class Scope:
    """One scope's traffic, and what became of it."""

    name: str
    strategy: str
    broken_at: float = math.inf  # seconds since the epoch
    candidate: int = 0  # requests of the candidate since then
    bad: int = 0  # those of them that failed
    usual: int = 0  # requests of the candidate before


@dataclass(slots=True)
class Traffic:
    """Requests at a steady rate in all scopes, served as the configs say, and reported."""

    client: Client
    scopes: list[Scope]
    chance: random.Random
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Serve until told that it is over."""
        began, served = time.monotonic(), 0
        while not self.over.wait(TICK):
            due = int((time.monotonic() - began) * RATE)
            for _ in range(due - served):
                for scope in self.scopes:
                    self.serve(scope, time.time())
            served = due

    def serve(self, scope: Scope, now: float) -> None:
        """One request."""
        service, endpoint = scope.name.split("/")
        unit = f"unit-{self.chance.randrange(UNITS)}"
        config = self.client.get_config(service, endpoint, unit, DEFAULT)
        candidate = config.cohort == "candidate"
        broken = candidate and now >= scope.broken_at
        fails = self.chance.random() < (BROKEN if broken else USUAL)
        scope.usual += candidate and not broken
        scope.candidate += broken
        scope.bad += broken and fails
        self.client.report(
            service=service,
            endpoint=endpoint,
            model=config.model,
            provider=config.provider,
            config_version=config.version,
            cohort=config.cohort,
            unit_id=unit,
            latency_ms=1_000 * self.chance.lognormvariate(0, 0.4),
            tokens_input=400,
            tokens_output=round(200 * self.chance.lognormvariate(0, 0.4)),
            status_code=500 if fails else 200,
        )


def applied(acks: Acks, configs: Configs, scope: str) -> list[ConfigAck]:
    """The acknowledgements of the config that took the candidate back; none before that."""
    last = [config for _, config in list(configs.seen) if config.scope == scope][-1]
    return [] if last.split is not None else acks.seen[scope, last.revision]


def begin(at: Servers, scopes: list[Scope], configs: Configs) -> None:
    """Give every scope a past, and decide as soon as it is served, until every candidate is.

    The past is a quarter of an hour of the scope's usual traffic, for which nobody needs to wait.
    """
    quarter = now_ms() // (15 * MINUTE) * 15 * MINUTE - 15 * MINUTE
    tell(at, [minute(s.name, quarter, 5_000, 15 * MINUTE) for s in scopes])
    names = {each.name for each in scopes}
    deadline = time.monotonic() + BEGUN
    for number in count():
        tell(at, [decided(s.name, number, s.strategy, now_ms()) for s in scopes])
        for _ in range(20):
            if configs.split() == names:
                return
            time.sleep(1)
        if time.monotonic() > deadline:
            began = len(configs.split())
            raise SystemExit(f"Only {began} rollouts began: {at.last_words('worker')}")


@click.command()
@click.option("--healthy", default=70.0, show_default=True, help="Seconds before the first fault.")
@click.option("--each", default=4, show_default=True, help="Scopes of each task.")
@click.option("--seed", default=1, show_default=True, help="Of all chance.")
@keeping
def main(*, healthy: float, each: int, seed: int, keep: bool) -> None:
    """Measure how long a candidate that turns bad is served."""
    with servers(keep=keep) as at, ExitStack() as stack:
        declare(at)
        stack.enter_context(at.child("worker", "streams", "worker", "--name", "bench"))
        stack.enter_context(at.child("apps", "bench.subscribers", f"--clients={SUBSCRIBERS}"))
        width = at.settings.partitions_derived
        acks, configs = Acks(at.codec), Configs(at.codec)
        for topic, taker in ((CONFIG_ACK, acks.take), (CONFIG, configs.take)):
            following = Follow(at.settings.bootstrap_servers, topic, width, taker)
            following.start()
            stack.callback(following.stop)
        client = stack.enter_context(Client(at.settings.bootstrap_servers, "traffic"))
        until(lambda: READY in (at.folder / "apps.log").read_text(), "nobody was ready", at)
        scopes = [
            Scope(name, STRATEGIES[i % len(STRATEGIES)])
            for i, name in enumerate(spread(width, each))
        ]
        traffic = Traffic(client, scopes, random.Random(seed))
        thread = threading.Thread(target=traffic.run)
        thread.start()
        stack.callback(thread.join)
        stack.callback(traffic.over.set)
        begin(at, scopes, configs)
        time.sleep(at.settings.settle_ms / 1_000 + healthy)
        start = time.time()
        for i, scope in enumerate(scopes):
            # Over a minute, and a share of both kinds of scopes in each part of it.
            scope.broken_at = start + 60 * (i // 2 + 0.5) / len(scopes) * 2
        everybody = SUBSCRIBERS + 1
        deadline = start + 360
        while time.time() < deadline and any(
            len(applied(acks, configs, s.name)) < everybody for s in scopes
        ):
            time.sleep(0.5)
    took = {
        s.name: (
            max(ack.applied_at for ack in told) / 1_000 - s.broken_at
            if len(told := applied(acks, configs, s.name)) == everybody
            else math.inf
        )
        for s in scopes
    }
    early = [s.name for s in scopes if took[s.name] < 0]
    if early:
        raise SystemExit(f"Healthy candidates were taken back in {early}: nothing was measured.")
    seconds = {
        strategy: [took[s.name] for s in scopes if s.strategy == strategy]
        for strategy in STRATEGIES
    }
    bad = [s.bad for s in scopes if s.strategy == "one_percent"]
    finite = {k: [x for x in v if math.isfinite(x)] for k, v in seconds.items()}
    complete = all(map(math.isfinite, took.values()))
    report(
        BENCH,
        round(max(seconds["five_percent"]), 1) if complete else math.nan,
        f"s at most, fault at 5 % → stable config in {everybody} applications",
        bar=BAR,
        why="not every candidate was taken back within six minutes",
        also=[
            Figure(
                what="bad",
                value=max(bad),
                unit="failed requests of the candidate at most, 30 % at a 1 % step",
                bar=BAD,
            )
        ],
        seconds={k: sorted(round(x, 1) for x in v) for k, v in finite.items()},
        median={k: round(float(np.median(v)), 1) if v else None for k, v in finite.items()},
        bad={s: sorted(x.bad for x in scopes if x.strategy == s) for s in STRATEGIES},
        rate=RATE,
    )


if __name__ == "__main__":
    main()
