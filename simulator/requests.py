"""One simulated minute of the whole fleet, without any Kafka: a pure function of the configs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from schemas.columns import ABSENT, EventColumns
from schemas.config import LlmConfig, ScopeConfig, Split
from schemas.metric import MetricEvent
from schemas.quality import QualityScore
from schemas.scope import ALL, bucket_of
from simulator.demand import Demand, demand
from simulator.fleet import Fleet, buckets, scramble_all, unit_names
from simulator.serve import ERROR_TYPES, OK, STATUS, TIMEOUT, Answers, serve
from simulator.served import Served
from simulator.trace import Ints

COPY = 1 << 19  # added to a request's number within its minute; there are fewer than that
INSTANCES = 8  # of an application; a request comes to any of them


def requests(
    fleet: Fleet, minute: int, configs: Mapping[str, ScopeConfig] | None = None
) -> tuple[Answers, ...]:
    """What each endpoint's requests of *minute* did, given the configs in force.

    Args:
        fleet: Who asks.
        minute: From 0.
        configs: The newest state of each scope; an endpoint falls back to its service and `*`, and
            runs its default when none of them has one.

    Returns:
        One for each endpoint, in the fleet's order, and after them one for each that a rollout
        has copied: what the candidate made of the copies.
    """
    asked = [
        (demand(fleet, index, minute), _config(configs or {}, endpoint.service, endpoint.scope))
        for index, endpoint in enumerate(fleet.endpoints)
    ]
    again = [copied(demanded, config) for demanded, config in asked]
    return (
        *(answer(demanded, config) for demanded, config in asked),
        *(each for each in again if each is not None),
    )


def answer(asked: Demand, config: ScopeConfig | None) -> Answers:
    """Serve *asked* by one scope's config, candidate to whom its split says.

    A copied unit is answered by the stable config, and is in no cohort.
    """
    endpoint = asked.endpoint
    everyone = np.zeros(len(asked), np.int64)
    provider, model = endpoint.default.split("/", 1)
    own = Served(provider, model)
    if config is None:
        return serve(asked, (own,), everyone)
    if config.candidate is None or config.split is None:
        return serve(asked, (_served(config.stable, None) if config.stable else own,), everyone)
    stable = (
        _served(config.stable, "stable")
        if config.stable
        else Served(provider, model, None, "stable")
    )
    place = _buckets(asked, config.split)
    inside = (place < config.split.share).astype(np.int64)
    by = np.where(place < config.split.shadow, 2, inside)
    served = (stable, _served(config.candidate, "candidate"), replace(stable, cohort=None))
    return serve(asked, served if config.split.shadow else served[:2], by)


def copied(asked: Demand, config: ScopeConfig | None) -> Answers | None:
    """What the candidate makes of the copies that a split asks for; None where it asks for none."""
    if config is None or config.candidate is None or config.split is None:
        return None
    inside = np.flatnonzero(_buckets(asked, config.split) < config.split.shadow)
    if not len(inside):
        return None
    return copies(asked.part(inside), _served(config.candidate, "shadow"))


def copies(asked: Demand, served: Served) -> Answers:
    """What comes of sending *asked* once more, to a config that answers nobody.

    They are reported as requests of their own, and the endpoint's default would have cost nothing
    for them.
    """
    asked = replace(asked, number=asked.number + COPY)
    answers = serve(asked, (served,), np.zeros(len(asked), np.int64))
    return replace(answers, default_nanousd=np.zeros(len(asked), np.int64))


def _buckets(asked: Demand, split: Split) -> Ints:
    """The bucket [n] of what *split* divides: each request's unit, or the instance it comes to."""
    service = asked.endpoint.service
    if split.by == "unit":
        return buckets(service, asked.endpoint.units, split.salt)[asked.unit]
    number = asked.number + (asked.minute << 20) + (asked.index << 44)
    at = scramble_all(number + asked.fleet.seed) % np.uint64(INSTANCES)
    places = np.array([bucket_of(f"{service}-{i}", split.salt) for i in range(INSTANCES)], np.int64)
    return places[at.astype(np.int64)]


def _served(config: LlmConfig, cohort: str | None) -> Served:
    return Served(config.provider, config.model, config.version, cohort)


def _config(configs: Mapping[str, ScopeConfig], service: str, scope: str) -> ScopeConfig | None:
    for name in (scope, service, ALL):
        found = configs.get(name)
        if found is not None and (found.stable or found.candidate):
            return found
    return None


def events(answers: Answers) -> Iterator[MetricEvent]:
    """The metric event of each request, in the order of their coming."""
    asked, endpoint = answers.demand, answers.demand.endpoint
    names = unit_names(endpoint.service, endpoint.units)
    for i, by in enumerate(answers.by.tolist()):
        config, outcome = answers.served[by], int(answers.outcome[i])
        yield MetricEvent(
            timestamp=int(asked.time[i]),
            service=endpoint.service,
            endpoint=endpoint.endpoint,
            model=config.model,
            provider=config.provider,
            latency_ms=int(answers.latency_us[i]) / 1_000,
            tokens_input=int(asked.tokens_input[i]),
            tokens_output=int(answers.tokens_output[i]),
            cost_usd=int(answers.cost_nanousd[i]) / 1e9 if endpoint.reports_cost else None,
            status_code=int(STATUS[outcome]),
            error_type=ERROR_TYPES[outcome],
            retry_count=int(answers.retries[i]),
            config_version=config.version,
            cohort=config.cohort,
            request_id=asked.request_id(i),
            unit_id=names[asked.unit[i]],
            time_to_first_token_ms=int(answers.ttft_us[i]) / 1_000 if outcome == OK else None,
            cached_tokens=int(asked.cached[i]) if outcome == OK else None,
        )


def scores(answers: Answers) -> Iterator[QualityScore]:
    """The quality scores of the answers that were scored, with their requests' time."""
    asked, endpoint = answers.demand, answers.demand.endpoint
    names = unit_names(endpoint.service, endpoint.units)
    for i in np.flatnonzero(~np.isnan(answers.quality)).tolist():
        config = answers.served[int(answers.by[i])]
        yield QualityScore(
            timestamp=int(asked.time[i]),
            service=endpoint.service,
            endpoint=endpoint.endpoint,
            model=config.model,
            provider=config.provider,
            overall=float(answers.quality[i]),
            method="simulated",
            config_version=config.version,
            cohort=config.cohort,
            request_id=asked.request_id(i),
            unit_id=names[asked.unit[i]],
        )


def columns(minute: Sequence[Answers]) -> EventColumns:
    """All requests, then all scores, as the arrays that `collect` works on."""
    keys: dict[tuple[str, str, str, str, str, str], int] = {}
    parts = [_columns(answers, keys, scored=False) for answers in minute]
    parts += [_columns(answers, keys, scored=True) for answers in minute]
    time, key, values, outcome, request, retries, unit, identity = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    return EventColumns(
        message=np.arange(len(time)),
        timestamp=time,
        key=key,
        keys=tuple(keys),
        values=values,
        request=request.astype(np.bool_),
        failed=request.astype(np.bool_) & (outcome != OK),
        timeout=request.astype(np.bool_) & (outcome == TIMEOUT),
        retries=retries,
        error_type=np.where(outcome == OK, ABSENT, outcome - 1),
        error_types=tuple(name for name in ERROR_TYPES if name),
        unit=unit,
        identity=identity.astype(np.uint64),
    )


def _columns(
    answers: Answers, keys: dict[tuple[str, str, str, str, str, str], int], *, scored: bool
) -> tuple[Ints, ...]:
    asked, endpoint = answers.demand, answers.demand.endpoint
    rows = np.flatnonzero(~np.isnan(answers.quality)) if scored else np.arange(len(asked))
    ids = np.array(
        [
            keys.setdefault(
                (
                    *(endpoint.service, endpoint.endpoint, c.model, c.provider),
                    *(c.version or "", c.cohort or ""),
                ),
                len(keys),
            )
            for c in answers.served
        ]
    )
    values = np.full((len(rows), 8), ABSENT, np.int64)
    outcome = answers.outcome[rows] if not scored else np.zeros(len(rows), np.int64)
    if scored:
        values[:, 7] = np.rint(answers.quality[rows] * 1_000)
    else:
        ok = outcome == OK
        values[:, 0] = answers.latency_us
        values[:, 1] = np.where(ok, answers.ttft_us, ABSENT)
        values[:, 2] = asked.tokens_input
        values[:, 3] = answers.tokens_output
        values[:, 4] = asked.tokens_input + answers.tokens_output
        values[:, 5] = np.where(ok, asked.cached, ABSENT)
        if endpoint.reports_cost:
            values[:, 6] = answers.cost_nanousd
    place = buckets(endpoint.service, endpoint.units, "unit")
    number = asked.number[rows] + (asked.minute << 20) + (asked.index << 44) + (int(scored) << 60)
    return (
        asked.time[rows],
        ids[answers.by[rows]],
        values,
        outcome,
        np.full(len(rows), int(not scored)),
        answers.retries[rows] if not scored else np.zeros(len(rows), np.int64),
        place[asked.unit[rows]],
        scramble_all(number + asked.fleet.seed).astype(np.int64),
    )
