"""How long an application waits for its config: the client's read, and what a report costs it.

python -m bench client
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

from bench.line import report
from llmopt_client import Client, Config
from llmopt_client.scope import parse

READS, ROUNDS, UNITS = 200_000, 5, 5_000
BENCH = "client"
DEFAULT = Config(provider="openai", model="gpt-4", temperature=0.2)


def state(scope: str, *, rollout: bool) -> bytes:
    """A record of the config topic."""
    config = {"version": "a", "provider": "openai", "model": "gpt-4", "temperature": 0.1}
    record: dict[str, object] = {"scope": scope, "revision": 1, "epoch": 1, "stable": config}
    if rollout:
        record["candidate"] = {**config, "version": "b", "model": "gpt-4o-mini"}
        record["split"] = {"rollout_id": "r", "salt": "r", "share": 2_500}
    return json.dumps(record).encode()


def empty(_: str) -> None:
    """What the loop itself costs is taken off."""


def nanoseconds(call: Callable[[str], object], units: list[str]) -> float:
    """Nanoseconds per call, over READS calls."""
    rounds = READS // len(units)
    began = time.perf_counter_ns()
    for _ in range(rounds):
        for unit in units:
            call(unit)
    return (time.perf_counter_ns() - began) / (rounds * len(units))


def main() -> None:
    """Measure in turns, and print one line."""
    client = Client("127.0.0.1:1", "bench")
    for record in (state("plain/answer", rollout=False), state("split/answer", rollout=True)):
        client._scopes.heard(parse(record).scope, record)  # noqa: SLF001  # no Kafka is needed to read
    client._scopes.caught_up(None)  # noqa: SLF001
    units = [f"user-{i}" for i in range(UNITS)]
    shares = [client.get_config("split", "answer", u, DEFAULT).cohort for u in units]
    assert client.get_config("plain", "answer", "u", DEFAULT).version == "a"
    assert 0.2 < shares.count("candidate") / UNITS < 0.3
    read = client.get_config
    calls: dict[str, Callable[[str], object]] = {
        "loop": empty,
        "plain": lambda unit: read("plain", "answer", unit, DEFAULT),
        "rollout": lambda unit: read("split", "answer", unit, DEFAULT),
        "unknown": lambda unit: read("other", "answer", unit, DEFAULT),
    }
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            took[name].append(nanoseconds(call, units))
    median = {name: statistics.median(values) for name, values in took.items()}
    began = time.process_time()
    for unit in units:
        with client.track_request("plain", "answer", unit=unit, default=DEFAULT) as request:
            request.tokens(100, 20)
    reported = (time.process_time() - began) / len(units) * 1e6
    client.close(0.1)
    report(
        BENCH,
        round((median["plain"] - median["loop"]) / 1e3, 3),
        "µs per config read",
        bar=1.0,
        cpu_us_per_event=round(reported, 2),
        rollout_us=round((median["rollout"] - median["loop"]) / 1e3, 3),
        unknown_scope_us=round((median["unknown"] - median["loop"]) / 1e3, 3),
    )


if __name__ == "__main__":
    main()
