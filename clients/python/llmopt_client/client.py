"""The client: configs out of a dictionary, reports into a queue, Kafka behind both."""

from __future__ import annotations

import atexit
import json
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from llmopt_client import kafka
from llmopt_client.batch import Batches
from llmopt_client.config import EMPTY, Config
from llmopt_client.follow import Follower
from llmopt_client.outbox import Outbox
from llmopt_client.scopes import Change, Scopes
from llmopt_client.tracking import TrackedRequest, new_id


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Client:
    """One application's line to the optimizer. Make one per process, after forking.

    No method waits for Kafka (except `ready` and `close`, which say how long) and none raises
    into the application, whatever values and further fields it is given; what goes wrong is counted
    in `counters()` and logged by the logger `llmopt_client`. Only a call that does not fit its
    signature (`get_config()`, one argument too many) is Python's own TypeError.

    Args:
        bootstrap_servers: Kafka, `host:port[,host:port…]`.
        app: This application's name, in acks and in the name of its file.
        folder: Where the last known good configs are kept; None keeps them nowhere.
        instance: This instance of the application; what is divided where a rollout goes from
            instance to instance. Its host's name otherwise.
        services: Follow only these services' scopes (and `*`); None follows all.
        queue_size: Reports that may wait in memory; beyond it the newest are dropped.
        wire: "json" sends each event as it is; "batch" packs metric events into columns, which
            needs `registry_url` and falls back to JSON while the registry is away.
        registry_url: Of a Confluent-compatible schema registry.
        clock: Gives the timestamp (ms since the epoch) of reports that have none.
        kafka_settings: More librdkafka settings, such as those for security.

    Raises:
        ValueError: An argument can never work.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        app: str,
        *,
        folder: Path | str | None = None,
        instance: str | None = None,
        services: Iterable[str] | None = None,
        queue_size: int = 20_000,
        wire: Literal["json", "batch"] = "json",
        registry_url: str | None = None,
        clock: Callable[[], int] = now_ms,
        kafka_settings: Mapping[str, Any] | None = None,
    ) -> None:
        if not bootstrap_servers or not app:
            raise ValueError("Give bootstrap_servers (host:port) and a name for the application.")
        if wire == "batch" and not registry_url:
            raise ValueError('wire="batch" needs registry_url, the schema registry to ask.')
        more = dict(kafka_settings or {})
        self._app, self._clock = app, clock
        self._outbox = Outbox(
            kafka.producer_settings(bootstrap_servers, app, more),
            queue_size,
            Batches(registry_url) if wire == "batch" and registry_url else None,
        )
        self._scopes = Scopes(
            None if folder is None else Path(folder),
            app,
            services,
            self._acknowledge,
            instance or socket.gethostname(),
        )
        self._follower = Follower(
            kafka.consumer_settings(bootstrap_servers, app, more),
            self._scopes,
            self._scopes.trouble,
        )
        self._closing = threading.Lock()
        self._closed = False
        self._outbox.start()
        self._follower.start()
        atexit.register(_close, weakref.ref(self))

    def get_config(
        self,
        service: str,
        endpoint: str,
        unit: str | None = None,
        default: Config | None = None,
    ) -> Config:
        """What to serve a request of `service/endpoint` with: a look-up, no lock, no network.

        Args:
            service: The narrowest scope that says anything wins: `service/endpoint`, then
                `service`, then `*`.
            endpoint: Within the service.
            unit: Who is served (user, session, request): the same unit keeps its cohort while a
                rollout grows. Without one the request is no part of a rollout and gets the stable
                config.
            default: The application's own settings; they fill what the optimizer leaves open. Equal
                ones are the same to the client; one object that is kept is found fastest.

        Returns:
            The config; with a `shadow`, when a copy of the request should be sent with that one,
            too, and reported with it. It never raises: when anything is wrong it is *default*.
        """
        try:
            table = self._scopes.table
            try:
                plan = table.plans[service, endpoint, default]
            except KeyError:
                plan = table.plan(service, endpoint, default)
            if unit is None or plan.candidate is None:
                return plan.alone
            return plan.serve(unit)
        except Exception as error:  # noqa: BLE001  # never into the application
            self._scopes.trouble(error)
            return default if isinstance(default, Config) else EMPTY

    def ready(self, timeout: float = 5.0) -> bool:
        """Wait until all configs were read once; False when that takes longer than *timeout* s."""
        return self._scopes.whole.wait(timeout)

    def subscribe(self, callback: Callable[[Change], object]) -> Callable[[], None]:
        """Call *callback* after each change, in the client's thread; what it raises is counted.

        Returns:
            A function that ends the subscription.
        """
        return self._scopes.subscribe(callback)

    def report(self, /, **fields: Any) -> bool:
        """Report one LLM request, by the fields of a metric event.

        Returns:
            False when it was dropped.
        """
        return self._put(kafka.METRICS, fields)

    def report_many(self, events: Iterable[Mapping[str, Any]]) -> int:
        """Report several at once; how many were taken. Each must have its timestamp."""
        try:
            return self._outbox.put_many(kafka.METRICS, [(key_of(one), one) for one in events])
        except Exception as error:  # noqa: BLE001  # never into the application
            self._scopes.trouble(error)
            return 0

    def report_quality(
        self,
        overall: float | None = None,
        /,
        *,
        service: str = "",
        endpoint: str = "",
        config: Config | None = None,
        unit: str | None = None,
        **more: Any,
    ) -> bool:
        """Report how good an answer was, 0 to 100, for the config that gave it.

        Args:
            overall: The score.
            service: Of the request.
            endpoint: Of the request.
            config: What the request was served with; else give `model` and `provider`.
            unit: Who was served.
            **more: Further fields of a quality score: dimensions, confidence, method, request_id …
                `overall` may come by name, too; the one given by position wins.

        Returns:
            False when it was dropped.
        """
        fields: dict[str, Any] = {"service": service, "endpoint": endpoint, "unit_id": unit}
        if isinstance(config, Config):
            fields["model"] = config.model or "unknown"
            fields["provider"] = config.provider or "unknown"
            fields["config_version"] = config.version
            fields["cohort"] = config.cohort
        fields |= more
        if overall is not None:
            fields["overall"] = overall
        return self._put(kafka.QUALITY, fields)

    def track_request(
        self,
        service: str = "",
        endpoint: str = "",
        /,
        *,
        unit: str | None = None,
        config: Config | None = None,
        default: Config | None = None,
        **more: Any,
    ) -> TrackedRequest:
        """A context manager that measures one request and reports it.

        Service and endpoint may come by position or by name; those by position win. Without them
        the report is counted as invalid. Without a unit, the request is its own. Without a config,
        it is the one of `get_config`. Further fields of a metric event (trace_id, region, tags …)
        are passed on.
        """
        names = more.pop("service", ""), more.pop("endpoint", "")
        service, endpoint = service or names[0], endpoint or names[1]
        given = more.pop("request_id", None)
        try:
            request_id = str(given or new_id())
            unit_or_request = unit or request_id
        except Exception as error:  # noqa: BLE001  # never into the application
            self._scopes.trouble(error)
            request_id = unit_or_request = new_id()
        if not isinstance(config, Config):
            config = self.get_config(service, endpoint, unit_or_request, default)
        return TrackedRequest(
            service,
            endpoint,
            unit=unit,
            config=config,
            request_id=request_id,
            report=self.report,
            report_quality=self.report_quality,
            more=more,
        )

    def counters(self) -> dict[str, int]:
        """What happened so far, by name."""
        return {**self._outbox.counts(), **self._scopes.counts()}

    def close(self, timeout: float = 5.0) -> None:
        """Send what waits and end; takes at most about *timeout* seconds. Safe to repeat."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        deadline = time.monotonic() + timeout
        self._follower.stop()
        self._outbox.close(timeout)
        self._follower.join(max(0.0, deadline - time.monotonic()))
        self._scopes.save()

    def __enter__(self) -> Self:
        """Use the client in a `with` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def _put(self, topic: str, fields: dict[str, Any]) -> bool:
        try:
            if fields.get("timestamp") is None:
                fields["timestamp"] = self._clock()
            return self._outbox.put(topic, key_of(fields), fields)
        except Exception as error:  # noqa: BLE001  # never into the application
            self._scopes.trouble(error)
            return False

    def _acknowledge(self, change: Change) -> None:
        ack = {
            "app": self._app,
            "scope": change.scope,
            "revision": change.revision,
            "epoch": change.epoch,
            "applied_at": now_ms(),
            "updated_at": change.updated_at,
        }
        self._outbox.acknowledge(self._app, json.dumps(ack).encode())


def key_of(fields: Mapping[str, Any]) -> str:
    """The service of an event, its key on the topic; empty for what is no event."""
    try:
        return str(fields.get("service", ""))
    except Exception:  # noqa: BLE001  # it is counted as invalid when its turn comes
        return ""


def _close(client: weakref.ref[Client]) -> None:
    """At exit: what was reported last should not be lost, and exit should not hang."""
    alive = client()
    if alive is not None:
        alive.close(1.0)
