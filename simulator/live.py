"""The fleet as real applications: configs by the real client, reports to a real Kafka."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from confluent_kafka import Producer

from llmopt_client import Client, Config
from schemas.metric import MetricEvent
from schemas.quality import QualityScore
from schemas.topics import METRICS
from simulator.deliver import Delivery, deliver, rubbish
from simulator.demand import Demand, demand
from simulator.fleet import Fleet, unit_names
from simulator.requests import copies, events, scores
from simulator.serve import Answers, serve
from simulator.served import Served
from simulator.trace import MINUTE
from simulator.truth import Record

TICK_S = 0.2
SCORED_AFTER_MS = 5_000  # of simulated time
QUEUE = 100_000


@dataclass(slots=True)
class Application:
    """One service: its client, and where each of its endpoints has got to."""

    client: Client
    demands: dict[int, tuple[Demand, int]] = field(default_factory=dict)  # by endpoint: next row
    later: list[tuple[int, int, str, dict[str, Any]]] = field(default_factory=list)
    count: int = 0


class Live:
    """Runs a fleet at *speed* times real time, never ahead of the wall clock.

    Args:
        fleet: Its `start` is the simulated time at the beginning.
        bootstrap_servers: Kafka.
        speed: Simulated seconds per second.
        minutes: How long, in simulated time.
        say: Told one line of progress now and then.
    """

    def __init__(
        self,
        fleet: Fleet,
        bootstrap_servers: str,
        *,
        speed: float,
        minutes: int,
        say: Callable[[str], None],
    ) -> None:
        self._fleet, self._speed, self._minutes, self._say = fleet, speed, minutes, say
        self.record = Record(fleet)
        self._stopped = threading.Event()
        self._sent = dict.fromkeys(("messages", "duplicates", "late", "garbage", "quality"), 0)
        self._applications = {
            service: Application(
                Client(bootstrap_servers, service, services=(service,), queue_size=QUEUE)
            )
            for service in sorted({one.service for one in fleet.endpoints})
        }
        self._defaults = [
            Config(provider=one.default.split("/", 1)[0], model=one.default.split("/", 1)[1])
            for one in fleet.endpoints
        ]
        self._raw: Any = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "log_level": 0,
            }
        )
        self._garbage_failed = 0

    def stop(self) -> None:
        """End early; what was done so far is still written and summed up."""
        self._stopped.set()

    def run(self) -> None:
        """Run to the end of the simulated time."""
        for application in self._applications.values():
            application.client.ready(10.0)
        end = self._fleet.start + self._minutes * MINUTE
        began, told = time.monotonic(), 0
        while not self._stopped.wait(TICK_S):
            elapsed = (time.monotonic() - began) * 1_000 * self._speed
            now = min(self._fleet.start + int(elapsed), end, time.time_ns() // 1_000_000)
            self._advance(now)
            if now >= end:
                break
            minute = (now - self._fleet.start) // MINUTE
            if minute >= told + max(1, self._minutes // 20):
                told = minute
                self._say(f"minute {minute} of {self._minutes}: {self._sent['messages']} reports")

    def close(self, timeout: float = 30.0) -> None:
        """Send what is still late, and wait until Kafka has all of it."""
        for application in self._applications.values():
            self._send_due(application, None)
        deadline = time.monotonic() + timeout
        for application in self._applications.values():
            application.client.close(max(0.1, deadline - time.monotonic()))
        self._garbage_failed += self._raw.flush(max(0.1, deadline - time.monotonic()))

    def _advance(self, now: int) -> None:
        """Serve and report every request that comes before *now* (ms, simulated)."""
        for index, endpoint in enumerate(self._fleet.endpoints):
            application = self._applications[endpoint.service]
            while True:
                asked, row = application.demands.get(index) or (demand(self._fleet, index, 0), 0)
                last = int(np.searchsorted(asked.time, now))
                if last > row:
                    self._serve(application, asked.part(slice(row, last)))
                over = now >= self._fleet.start + (asked.minute + 1) * MINUTE
                if not over or asked.minute + 1 >= self._minutes:
                    application.demands[index] = (asked, max(row, last))
                    break
                application.demands[index] = (demand(self._fleet, index, asked.minute + 1), 0)
        for application in self._applications.values():
            self._send_due(application, now)
        self._raw.poll(0)

    def _serve(self, application: Application, asked: Demand) -> None:
        endpoint, default = asked.endpoint, self._defaults[asked.index]
        names = unit_names(endpoint.service, endpoint.units)
        read = application.client.get_config
        configs: dict[int, tuple[int, Config]] = {}
        by = [
            configs.setdefault(id(config), (len(configs), config))[0]
            for config in (
                read(endpoint.service, endpoint.endpoint, names[unit], default)
                for unit in asked.unit.tolist()
            )
        ]
        served = [
            Served(config.provider, config.model, config.version, config.cohort)
            for _, config in configs.values()
        ]
        self._deliver(application, serve(asked, served, np.array(by, np.int64)))
        shadows = [config.shadow for _, config in configs.values()]
        tried = next((shadow for shadow in shadows if shadow is not None), None)
        if tried is not None:
            again = asked.part(np.flatnonzero([shadows[i] is not None for i in by]))
            shadow = Served(tried.provider, tried.model, tried.version, tried.cohort)
            self._deliver(application, copies(again, shadow))

    def _deliver(self, application: Application, answers: Answers) -> None:
        delivery = deliver(answers.demand)
        self.record.add(answers, delivery)
        self._report(application, answers, delivery)

    def _report(self, application: Application, answers: Answers, delivery: Delivery) -> None:
        now: list[Mapping[str, Any]] = []
        sends, delays = delivery.sends.tolist(), delivery.delay_ms.tolist()
        silent = set()
        for i, event in enumerate(events(answers)):
            fields = _present(event)
            if not sends[i]:
                silent.add(event.request_id)
                continue
            self._sent["messages"] += sends[i]
            self._sent["duplicates"] += sends[i] - 1
            now += [fields] * (sends[i] - (delays[i] > 0))
            if delays[i]:
                self._sent["late"] += 1
                self._later(application, event.timestamp + delays[i], "metric", fields)
        application.client.report_many(now)
        for score in scores(answers):
            if score.request_id not in silent:
                self._sent["quality"] += 1
                due = score.timestamp + SCORED_AFTER_MS
                self._later(application, due, "quality", _present(score))
        for i in np.flatnonzero(delivery.garbage).tolist():
            for _ in range(int(delivery.garbage[i])):
                self._litter(answers.demand.endpoint.service)

    def _litter(self, service: str) -> None:
        n = self._sent["garbage"]
        key = f"garbage-{self._fleet.seed}-{n}"
        try:
            self._raw.produce(METRICS.name, rubbish(service, n), key, on_delivery=self._littered)
        except BufferError:
            return
        self._sent["garbage"] += 1
        self.record.garbage.append(key)

    def _littered(self, error: object, _: object) -> None:
        self._garbage_failed += bool(error)

    def _later(self, to: Application, due: int, kind: str, fields: dict[str, Any]) -> None:
        to.count += 1
        heapq.heappush(to.later, (due, to.count, kind, fields))

    def _send_due(self, application: Application, now: int | None) -> None:
        """Send what is due by *now*; all that is left when None."""
        metrics = []
        while application.later and (now is None or application.later[0][0] <= now):
            _, _, kind, fields = heapq.heappop(application.later)
            if kind == "metric":
                metrics.append(fields)
            else:
                application.client.report_quality(fields.pop("overall"), **fields)
        application.client.report_many(metrics)

    def summary(self) -> dict[str, Any]:
        """What was done: counts by kind, money by service, and the clients' own counters."""
        record = self.record
        services: dict[str, dict[str, float]] = {}
        owner = np.array([one.service for one in self._fleet.endpoints])[
            record.column("endpoint").astype(int)
        ]
        for service in self._applications:
            mine = owner == service
            spent = int(record.column("cost_nanousd")[mine].sum()) / 1e9
            before = int(record.column("default_nanousd")[mine].sum()) / 1e9
            services[service] = {
                "requests": int(mine.sum()),
                "cost_usd": spent,
                "default_cost_usd": before,
                "saved_usd": before - spent,
            }
        clients = [one.client.counters() for one in self._applications.values()]
        total = {name: sum(one[name] for one in clients) for name in clients[0]}
        sends = record.column("sends")
        return {
            "events": int((sends > 0).sum()),
            "silent": int((sends == 0).sum()),
            **self._sent,
            "garbage_failed": self._garbage_failed,
            "cost_usd": sum(one["cost_usd"] for one in services.values()),
            "default_cost_usd": sum(one["default_cost_usd"] for one in services.values()),
            "services": services,
            "clients": total,
        }


def _present(record: MetricEvent | QualityScore) -> dict[str, Any]:
    """A record's fields that say something."""
    pairs = ((name, getattr(record, name)) for name in record.__slots__)
    return {name: value for name, value in pairs if value is not None and value != {}}
