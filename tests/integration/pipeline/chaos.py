"""What is done in a chaos test: killed, paused, moved, deprived, and started again."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.postgres.server import Postgres
from infra.service import Service
from tests.integration.pipeline.clocks import Clocks
from tests.integration.pipeline.exits import Exit, listens, log_of
from tests.integration.pipeline.slow_registry import Door

SHORT, LONG = 45.0, 1_200.0  # seconds, in which there are as many of each kind as KINDS says
# What the producer takes if nobody kills it.
SECONDS = float(os.environ.get("CHAOS_SECONDS") or SHORT)
KINDS = {
    "worker": (8, 110),
    "broker": (2, 22),
    "postgres": (1, 12),
    "registry": (1, 12),
    "door": (2, 14),
    "pause": (2, 16),
    "rebalance": (4, 60),
    "clock": (3, 24),
    "disk": (1, 4),
}
# Of a run that is LONG, whatever KINDS says.
LEAST = {"worker": 100, "broker": 20, "postgres": 10, "rebalance": 50}
RESTARTED = 1.0  # seconds after which a supervisor starts again who has ended by himself
PAUSED = (7.0, 12.0)  # seconds, longer than a session lasts without its worker
JUMPED = (5.0, 20.0)  # seconds until a clock is right again
TROUBLED = (4.0, 10.0)  # seconds for which the registry is slow, wrong or silent
SLOW = (0.5, 4.0)  # seconds until a slow registry answers
HOUR = 3_600.0
HALTS_WITHIN = 60.0  # seconds in which a broker that cannot write must have ended


@dataclass(frozen=True, slots=True)
class Leaver:
    """A worker that was asked to leave."""

    process: subprocess.Popen[bytes]
    listened: bool


@dataclass
class Chaos:
    """What runs and is killed, paused, moved or deprived, and started again."""

    pipeline: Any
    postgres: Postgres
    chance: random.Random
    plan: dict[str, Any]
    clocks: Clocks
    door: Door
    exits: list[Exit] = field(default_factory=list)  # of all but those that were killed
    done: Counter[str] = field(default_factory=Counter)
    born: int = 2
    producer: subprocess.Popen[bytes] | None = None
    paused: dict[str, tuple[int, float]] = field(default_factory=dict)  # pid, until when
    jumped: dict[str, tuple[int, float]] = field(default_factory=dict)  # the same
    troubled: float = 0.0  # until when the registry is
    outages: list[tuple[float, float]] = field(default_factory=list)  # of the broker
    ended: dict[str, float] = field(default_factory=dict)  # until when they are not started again
    standing: int | None = None  # process of the registry while it stands still
    coming: dict[str, Future[str]] = field(default_factory=dict)  # services that are being started
    gone: set[str] = field(default_factory=set)  # names that are free again
    leaving: dict[str, Leaver] = field(default_factory=dict)
    beside: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4, "chaos"))

    def produce(self) -> None:
        """Start the producer where the last one was."""
        script = Path(__file__).with_name("loading.py")
        root = str(Path(__file__).parents[3])
        self.producer = subprocess.Popen(
            [sys.executable, str(script), json.dumps(self.plan)],
            env=self.pipeline.env | {"PYTHONPATH": root},
        )

    def progress(self) -> int:
        """How many chunks have arrived."""
        note = Path(self.plan["progress"])
        return int(note.read_text()) if note.exists() else 0

    def do(self, what: str) -> bool:
        """Do something of the kind *what*, and say so; False when it cannot be done just now."""
        told = getattr(self, f"_{what}")()
        if told:
            self.done[what] += 1
            self.tell(f"{what}: {told}")
        return bool(told)

    def tell(self, line: str) -> None:
        """Say *line*, and when."""
        say(f"{time.time() - self.plan['began']:6.0f} s  {line}")

    def _broker(self) -> str:
        return self._anew(self.pipeline.cluster.broker, Service.kill)

    def _disk(self) -> str:
        return self._anew(self.pipeline.cluster.broker, fill)

    def _postgres(self) -> str:
        return self._anew(self.postgres, Service.kill)

    def _registry(self) -> str:
        return "" if self.standing else self._anew(self.pipeline.cluster.registry, Service.kill)

    def _anew(self, service: Any, end: Callable[[Any], None]) -> str:
        """End a service, and start it again beside all else that is done."""
        if service.name in self.coming:
            return ""

        def again() -> str:
            began = time.time()
            end(service)
            ended = time.time()
            service.start(120.0)
            now = time.time()
            if service is self.pipeline.cluster.broker:
                self.outages.append((began, now))
            return f"ended after {ended - began:.1f} s, back {now - ended:.1f} s later"

        self.coming[service.name] = self.beside.submit(again)
        return "killed" if end is Service.kill else "its disk takes no byte more"

    def _door(self) -> str:
        """A registry that is slow, wrong or silent, to which a worker comes that knows nothing."""
        registry = self.pipeline.cluster.registry
        if self.troubled or registry.name in self.coming:
            return ""
        seconds = self.chance.uniform(*TROUBLED)
        self.troubled = time.monotonic() + seconds
        match self.chance.choice(("slow", "wrong", "silent")):
            case "slow":
                self.door.delay = self.chance.uniform(*SLOW)
                told = f"the registry takes {self.door.delay:.1f} s for an answer"
            case "wrong":
                self.door.broken = True
                told = "the registry answers 500"
            case _:
                self.standing = registry.pid
                os.kill(registry.pid, signal.SIGSTOP)
                told = "the registry stands still"
        self.do("worker")
        return f"{told}, for {seconds:.0f} s"

    def _producer(self) -> str:
        self.end()
        self.produce()
        return "killed; another sends its last part again"

    def _worker(self) -> str:
        workers = self.pipeline.workers
        if not (alive := [n for n, each in workers.running.items() if each.poll() is None]):
            return ""
        killed = self.chance.choice(sorted(alive))
        process = workers.running[killed]
        self._forget(killed)
        workers.kill(killed)
        if process.returncode != -signal.SIGKILL:  # it ended just before
            self._note(killed, process.returncode)
            self.ended[killed] = time.monotonic() + RESTARTED
            return ""
        # Half come back under their name, half as a stranger who must wait for the old one.
        name = killed if self.chance.random() < 0.5 else self._other()
        if name != killed:
            self.gone.add(killed)
        workers.start(name)
        return f"{killed} killed, {name} started"

    def _pause(self) -> str:
        """A worker that stands still until others have its partitions, and then goes on."""
        if not (awake := self._awake()):
            return ""
        name = self.chance.choice(awake)
        pid, seconds = self.pipeline.workers.running[name].pid, self.chance.uniform(*PAUSED)
        os.kill(pid, signal.SIGSTOP)
        self.paused[name] = (pid, time.monotonic() + seconds)
        return f"{name} stands still for {seconds:.0f} s"

    def _clock(self) -> str:
        """A worker that lives an hour earlier or later, until its clock jumps back."""
        if not (right := [name for name in self._awake() if name not in self.jumped]):
            return ""
        name, by = self.chance.choice(right), self.chance.choice((-HOUR, HOUR))
        pid, seconds = self.pipeline.workers.running[name].pid, self.chance.uniform(*JUMPED)
        if not self.clocks.set(pid, by):
            return ""
        self.jumped[name] = (pid, time.monotonic() + seconds)
        return f"{name} lives {by:+.0f} s off for {seconds:.0f} s"

    def _rebalance(self) -> str:
        """A worker more, or, if there are three, one that leaves in order."""
        workers = self.pipeline.workers
        if len(workers.running) < 3:
            name = self._other()
            workers.start(name)
            return f"{name} came"
        if not (awake := self._awake()):
            return ""
        name = self.chance.choice(awake)
        self._forget(name)
        process = workers.running.pop(name)
        self.leaving[name] = Leaver(process, process.poll() is None and listens(process.pid))
        process.terminate()
        return f"{name} leaves"

    def _awake(self) -> list[str]:
        return sorted(self.pipeline.workers.running.keys() - self.paused.keys())

    def _forget(self, name: str) -> None:
        self.paused.pop(name, None)
        self.jumped.pop(name, None)

    def _other(self) -> str:
        """A name of somebody who has gone, or one that nobody had."""
        if self.gone and self.chance.random() < 0.5:
            name = self.chance.choice(sorted(self.gone))
            self.gone.remove(name)
            return name
        self.born += 1
        return f"worker-{self.born}"

    def supervise(self) -> None:
        """Let time pass: what was paused goes on, who has ended by himself is started again."""
        self._let_go(time.monotonic())
        workers = self.pipeline.workers
        for name, coming in list(self.coming.items()):
            if coming.done():
                self.tell(f"{name} {self.coming.pop(name).result()}")
        for name, leaver in list(self.leaving.items()):
            if leaver.process.poll() is not None:
                self.gone.add(name)
                self._left(name)
        for name, worker in list(workers.running.items()):
            if (status := worker.poll()) is not None:
                del workers.running[name]
                self._forget(name)
                self._note(name, status)
                self.ended[name] = time.monotonic() + RESTARTED
                self.tell(f"{name} has ended with {status}; it is started again")
        for name, until in list(self.ended.items()):
            if time.monotonic() >= until:
                del self.ended[name]
                workers.start(name)

    def all_left(self) -> None:
        """Wait for those who were asked to leave."""
        for name, leaver in list(self.leaving.items()):
            leaver.process.wait(60)
            self._left(name)

    def _left(self, name: str) -> None:
        leaver = self.leaving.pop(name)
        self._note(name, leaver.process.returncode, told=True, listened=leaver.listened)

    def _note(self, name: str, status: int, *, told: bool = False, listened: bool = True) -> None:
        log = log_of(self.pipeline.folder / f"{name}.log")
        self.exits.append(Exit(name, status, time.time(), log, told, listened))

    def _let_go(self, now: float) -> None:
        """Who was paused or moved for long enough is no more."""
        for name, (pid, until) in list(self.paused.items()):
            if now >= until:
                os.kill(pid, signal.SIGCONT)
                del self.paused[name]
        for name, (pid, until) in list(self.jumped.items()):
            if now >= until:
                self.clocks.set(pid, 0.0)
                del self.jumped[name]
        if self.troubled and now >= self.troubled:
            self._settle()

    def _settle(self) -> None:
        """The registry is well."""
        self.door.right()
        if self.standing:
            os.kill(self.standing, signal.SIGCONT)
        self.troubled, self.standing = 0.0, None

    def wake(self) -> None:
        """Let everybody go on, at the right time, and wait for what is being started."""
        for pid, _ in self.paused.values():
            os.kill(pid, signal.SIGCONT)
        for pid, _ in self.jumped.values():
            self.clocks.set(pid, 0.0)
        self.paused.clear()
        self.jumped.clear()
        self._settle()
        while self.coming:
            name, coming = self.coming.popitem()
            self.tell(f"{name} {coming.result(200)}")

    def end(self) -> None:
        """Kill the producer if it still runs."""
        assert self.producer is not None
        self.producer.kill()
        self.producer.wait(10)

    def was_done(self, takeovers: int) -> None:
        """All that was planned, and in a run of LONG seconds at least what is promised."""
        assert planned() <= self.done
        share = min(1.0, SECONDS / LONG)
        seen = {**self.done, "takeovers": takeovers}
        least = {**LEAST, "takeovers": LEAST["rebalance"]}
        assert {} == {kind: seen[kind] for kind, n in least.items() if seen[kind] < n * share}


def fill(service: Service) -> None:
    """No file of a server takes a byte more, as on a full disk, until it has ended; it must."""
    resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    deadline = time.monotonic() + HALTS_WITHIN
    while service.alive:
        assert time.monotonic() < deadline, f"the {service.name} runs on without a disk"
        time.sleep(0.05)


def say(line: str) -> None:
    """For people, and for who looks for what went wrong."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def planned() -> Counter[str]:
    """How often each kind of thing is done, from outside of this run's chance."""
    part = max(0.0, (SECONDS - SHORT) / (LONG - SHORT))
    return Counter({kind: few + round((many - few) * part) for kind, (few, many) in KINDS.items()})


def acts(chance: random.Random) -> list[tuple[float, str]]:
    """What is done when, in shares of the run."""
    return sorted((chance.uniform(0.05, 0.95), kind) for kind in planned().elements())
