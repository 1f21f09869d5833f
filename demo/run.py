"""Run the demo: start everything, let the fleet live, kill a worker, wait, and look."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import TopicPartition

from infra.environment import Environment
from schemas.topics import METRICS, QUALITY, STAGES
from streams import kafka
from streams.clock import now_ms
from streams.exactly_once.reading import end_of
from streams.provision import apply, register
from streams.settings import Settings

HERE = Path(__file__).parent
SCENARIO = HERE.parent / "simulator" / "scenarios" / "demo.yaml"
CATALOG = HERE / "catalog.yaml"
DRAINED_WITHIN = 90.0  # seconds after the fleet has ended
PIPELINE = {
    # The fleet lives many simulated seconds a second, so the watermark keeps more of a distance.
    "LLMOPT_WINDOW_DELAY": "20s",
    "LLMOPT_SETTLE": "180s",
    "LLMOPT_IDLE_AFTER": "3s",
    "LLMOPT_COMMIT_INTERVAL": "250ms",
}


@dataclass(slots=True)
class Ran:
    """What the run leaves for the checks."""

    settings: Settings
    summary: Mapping[str, Any]
    truth: Path
    killed_pid: int | None
    killed_at: int  # ms
    killed_had: Collection[int]  # partitions of collect
    seconds: dict[str, float] = field(default_factory=dict)


class DemoFailed(Exception):
    """The demo could not come to its end; the sentence says where."""


class Workers:
    """Worker processes by name, and their logs."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.env = env
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *options: str) -> int:
        """Start the worker called *name*."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(  # noqa: S603  # our own command
                [sys.executable, "-m", "streams", "worker", "--name", name, *options],
                env=dict(self.env),
                stdout=log,
                stderr=log,
            )
        return self.running[name].pid

    def kill(self, name: str) -> int:
        """End the worker called *name* without a word, as a crash would."""
        worker = self.running.pop(name)
        worker.kill()
        worker.wait(10)
        return worker.pid

    def check(self) -> None:
        """Every worker still runs.

        Raises:
            DemoFailed: one has ended by itself.
        """
        for name, worker in self.running.items():
            if worker.poll() is not None:
                tail = (self.folder / f"{name}.log").read_text(errors="replace")[-2_000:]
                raise DemoFailed(f"{name} ended with status {worker.returncode}:\n{tail}")

    def stop(self) -> None:
        """End all workers in order."""
        for worker in self.running.values():
            worker.terminate()
        for worker in self.running.values():
            try:
                worker.wait(20)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait(10)
        self.running.clear()


@contextmanager
def workers(folder: Path, env: Mapping[str, str]) -> Iterator[Workers]:
    """Workers that do not outlive the block."""
    all_of_them = Workers(folder, env)
    try:
        yield all_of_them
    finally:
        all_of_them.stop()


def run(
    env: Environment,
    folder: Path,
    given: Mapping[str, str],
    *,
    minutes: int,
    speed: float,
    seed: int,
    say: Callable[[str], None],
) -> Ran:
    """From an empty cluster to the last window.

    Raises:
        DemoFailed: a worker or the fleet ended early, or the pipeline did not catch up.
    """
    environment = {**given, **env.env(), **PIPELINE}
    settings = Settings.read({k: v for k, v in environment.items() if k.startswith("LLMOPT_")})
    apply(settings)
    register(settings)
    command(environment, "catalog", "apply", str(CATALOG))
    say("Topics, schemas and the catalog are in place; starting two workers.")
    with workers(folder, environment) as crew:
        crew.start("worker-1")
        crew.start("worker-2")
        await_groups(settings, crew)
        say(
            f"The fleet starts: {minutes} simulated minutes of real traffic, {speed:.0f} times as "
            "fast as they were."
        )
        truth = folder / "truth.npz"
        fleet, clock = simulate(settings, truth, minutes, speed, seed), time.monotonic()
        killed_pid, killed_at, killed_had = None, 0, frozenset[int]()
        try:
            while fleet.poll() is None:
                crew.check()
                time.sleep(0.2)
                gone = time.monotonic() - clock
                if killed_pid is None and gone > 0.45 * minutes * 60 / speed:
                    killed_had = owned(settings, "worker-2")
                    killed_at = now_ms()
                    killed_pid = crew.kill("worker-2")
                    say(f"Killed worker-2 (process {killed_pid}) with SIGKILL; starting it again.")
                    crew.start("worker-2")
            summary = summary_of(fleet)
        finally:
            if fleet.poll() is None:
                fleet.kill()
                fleet.wait(10)
        say("The fleet has ended; waiting for the last windows.")
        drain(settings, crew, environment)
    return Ran(settings, summary, truth, killed_pid, killed_at, killed_had)


def command(env: Mapping[str, str], *words: str, expect: int = 0) -> str:
    """What `llmopt` *words* prints.

    Raises:
        DemoFailed: it exited with another status than is expected.
    """
    done = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "streams", *words],
        env=dict(env),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != expect:
        raise DemoFailed(f"llmopt {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def simulate(
    settings: Settings, truth: Path, minutes: int, speed: float, seed: int
) -> subprocess.Popen[str]:
    """Start the fleet."""
    return subprocess.Popen(  # noqa: S603  # our own command
        [
            *(sys.executable, "-m", "simulator", "--json", "--seed", str(seed)),
            *("--bootstrap-servers", settings.bootstrap_servers, "--scenario", str(SCENARIO)),
            *("--speed", str(speed), "--minutes", str(minutes), "--truth", str(truth)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )


def summary_of(fleet: subprocess.Popen[str]) -> Mapping[str, Any]:
    """What the fleet says that it did.

    Raises:
        DemoFailed: it failed.
    """
    out, _ = fleet.communicate(timeout=60)
    if fleet.returncode or not out.strip():
        raise DemoFailed(f"the fleet ended with status {fleet.returncode}")
    summary: Mapping[str, Any] = json.loads(out.splitlines()[-1])
    return summary


def await_groups(settings: Settings, crew: Workers, within: float = 60.0) -> None:
    """Wait until every stage has two members.

    Raises:
        DemoFailed: one has not in time.
    """
    admin = kafka.admin(settings.bootstrap_servers)
    names = [f"llmopt.{stage}" for stage in STAGES]
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        crew.check()
        if all(len(kafka.group(admin, name).members) >= 2 for name in names):
            return
        time.sleep(0.2)
    raise DemoFailed(f"not every stage had its workers within {within:.0f} s")


def owned(settings: Settings, worker: str) -> frozenset[int]:
    """The partitions of collect that *worker* has."""
    group = kafka.group(kafka.admin(settings.bootstrap_servers), "llmopt.collect")
    return frozenset(
        at.partition
        for member in group.members
        if member.client_id.startswith(f"collect-{worker}{kafka.BORN}")
        for at in member.assignment.topic_partitions
    )


def lag(settings: Settings, group: str, topics: tuple[str, ...]) -> int:
    """How many records of *topics* lie behind the group's offsets, control records included."""
    reader = kafka.consumer(settings.bootstrap_servers, group)
    try:
        total = 0
        for topic in topics:
            count = len(reader.list_topics(topic, timeout=10).topics[topic].partitions)
            ats = [TopicPartition(topic, partition) for partition in range(count)]
            for each in reader.committed(ats, timeout=10):
                low, high = end_of(reader, (topic, each.partition))
                total += high - (each.offset if each.offset >= 0 else low)
        return total
    finally:
        reader.close()


def drain(settings: Settings, crew: Workers, env: Mapping[str, str]) -> None:
    """Wait until the events are read and the story has come to rest.

    Raises:
        DemoFailed: the pipeline did not catch up in time.
    """
    deadline = time.monotonic() + DRAINED_WITHIN
    quiet, before = 0, ""
    while time.monotonic() < deadline:
        crew.check()
        time.sleep(1.0)
        if lag(settings, "llmopt.collect", (METRICS.name, QUALITY.name)) > 0:
            continue
        now = positions(env)
        quiet = quiet + 1 if now == before else 0
        before = now
        if quiet >= 4:
            return
    raise DemoFailed(f"the pipeline did not come to rest within {DRAINED_WITHIN:.0f} s")


def positions(env: Mapping[str, str]) -> str:
    """The ends of all topics but the journals, which go on with every heartbeat."""
    from schemas.topics import NAMED  # noqa: PLC0415

    reader = kafka.consumer(env["LLMOPT_BOOTSTRAP_SERVERS"], "llmopt.demo")
    try:
        told = []
        for topic in NAMED:
            if topic.name.startswith("llmopt.partials"):
                continue
            count = len(reader.list_topics(topic.name, timeout=10).topics[topic.name].partitions)
            told += [str(end_of(reader, (topic.name, partition))) for partition in range(count)]
        return " ".join(told)
    finally:
        reader.close()
