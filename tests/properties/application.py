"""Applications that follow the config topic by the real client's rules, and report what they do."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from random import Random

import numpy as np

from bench.windows import summary
from llmopt_client.scopes import Change, Scopes
from schemas.window import MINUTE, EnrichedWindow, MetricSummary, WindowAggregate
from tests.properties.broker import Broker

REQUESTS = 1_200  # of a scope in a minute


@dataclass
class Application:
    """A client with what it was told, in the order of telling."""

    broker: Broker
    read: int = 0
    told: list[Change] = field(default_factory=list)
    scopes: Scopes = field(init=False)

    def __post_init__(self) -> None:
        self.scopes = Scopes(None, "app", None, self.told.append)
        self.scopes.caught_up("cluster")

    def follow(self, chance: Random) -> None:
        """Hear some news, perhaps together with something that was heard before."""
        if self.read and chance.random() < 0.2:
            self.scopes.heard(*self.broker.configs[chance.randrange(self.read)])
        anew = chance.random() < 0.05  # it reads the topic from its beginning to its end
        if anew:
            self.scopes.began()
            self.read = 0
        until = len(self.broker.configs) - (not anew and chance.random() < 0.3)
        for key, value in self.broker.configs[self.read : until]:
            self.scopes.heard(key, value)
        self.read = max(self.read, until)
        self.scopes.caught_up("cluster")

    def copies(self, scope: str) -> int:
        """The share of units whose requests it copies to the candidate, hundredths of a percent."""
        split = self.scopes._states[scope].raw.get("split") or {}
        return int(split.get("shadow", 0))

    def serves(self, scope: str) -> Change | None:
        """What is in force in *scope*."""
        return next((change for change in reversed(self.told) if change.scope == scope), None)


@cache
def latencies(n: int, centre: float) -> MetricSummary:
    """A summary of *n* latencies about *centre*, ms."""
    return summary(np.exp(np.linspace(-1.0, 1.0, n)) * centre, 1_000)


@cache
def scores(n: int, centre: float) -> MetricSummary:
    """A summary of *n* quality scores about *centre*."""
    return summary(np.clip(np.linspace(-4.0, 4.0, n) + centre, 0.0, 100.0), 1_000)


def window(
    scope: str,
    start: int,
    requests: int,
    served: tuple[str, str, str, str],
    behaviour: tuple[float, float, float, float] = (0.0, 400.0, 90.0, 0.01),
    size: str = "1m",
) -> EnrichedWindow:
    """A closed window of one key, or of the pool where *served* is all `*`.

    Args:
        scope: service/endpoint.
        start: ms.
        requests: How many.
        served: Provider, model, config version and cohort.
        behaviour: Error rate, typical latency in ms, quality, USD per request.
        size: A name of schemas.window.SIZES.
    """
    service, endpoint = scope.split("/")
    provider, model, version, cohort = served
    error_rate, latency, quality, cost = behaviour
    errors = round(requests * error_rate)
    end = start + (MINUTE if size == "1m" else 15 * MINUTE)
    found = {"latency_ms": latencies(requests, latency), "quality": scores(requests, quality)}
    aggregate = WindowAggregate(
        service=service,
        endpoint=endpoint,
        model=model,
        provider=provider,
        config_version=version,
        cohort=cohort,
        window=size,
        start=start,
        end=end,
        revision=1,
        closed=True,
        watermark=end,
        requests=requests,
        success=requests - errors,
        errors=errors,
        timeouts=0,
        retries=0,
        error_units=tuple(range(0, 7 * errors, 7)),
        metrics=found if requests else {},
    )
    return EnrichedWindow(
        window=aggregate, cost_usd=cost * requests, cost_per_request_usd=cost if requests else None
    )
