"""What must hold after a chaos test, from all that is on the topics and in Postgres."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import numpy as np

from demo.evidence import settled
from demo.recompute import COMPARED, differing, taken, together
from demo.stored import COPIED, expected
from processors.actuate.decision import name as named
from processors.merge.recompute import content, windows_of
from schemas.columns import EventColumns
from schemas.rollout import Deployment, Phase
from schemas.topics import AGGREGATES, COMMANDS, CONFIG, DEPLOYMENTS, ENRICHED, TOPICS, Topic
from streams.exactly_once.reading import read
from streams.reading import consumer, ends
from tests.integration.pipeline.tallying import tally

PIECE = 20_000  # records that are looked at together
STATES = ("aggregated", "late", "dead_lettered", "duplicates")
NOTHING = np.zeros(0, np.int64)
NONE = NOTHING.astype(np.bool_)


class Events:
    """The ingest topics, read once more: how many events there are, and which of them count."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline
        self.there: Counter[int] = Counter()  # events, and messages that are none, by partition
        self.slim: list[EventColumns] = []  # with what `differing` needs

    def counted(self) -> Iterator[EventColumns]:
        """Those that count, some at a time."""
        for each in taken(self.pipeline.settings, self.pipeline.codec.registry):
            self.there[each.partition] += len(each.events) + each.rejected
            found = each.counted
            self.slim.append(
                replace(
                    found,
                    message=NOTHING,
                    key=found.key.astype(np.int16),
                    values=found.values.astype(np.int32),
                    timeout=NONE,
                    retries=NOTHING,
                    error_type=NOTHING,
                    unit=NOTHING,
                    identity=NOTHING.astype(np.uint64),
                )
            )
            assert np.array_equal(found.values, self.slim[-1].values)
            yield found


def newest_of(pipeline: Any, topic: Topic) -> Mapping[str, Any]:
    """The last revision of each window on *topic*, by record id."""
    found: dict[str, tuple[int, bytes, bytes]] = {}
    with closing(consumer(pipeline.settings)) as reader:
        for at, stretch in ends(reader, [topic]).items():
            log = read(reader, {at: stretch})
            while some := [(m.value(), m.key()) for m in islice(log, PIECE)]:
                values, keys = zip(*some, strict=True)
                decoded = pipeline.codec.decode_all(topic, values, keys)
                for each, value, key in zip(decoded, values, keys, strict=True):
                    window = each if topic is AGGREGATES else each.window
                    if window.revision > found.get(window.record_id, (0,))[0]:
                        found[window.record_id] = (window.revision, value, key)
    return {
        id_: pipeline.codec.decode(topic, value, key=key.decode())
        for id_, (_, value, key) in found.items()
    }


def windows_are_exact(pipeline: Any, events: Events, midnight: int) -> int:
    """Every window that ends by *midnight* says what a batch recomputation says, to the bit."""
    closed = {id_: each for id_, each in newest_of(pipeline, AGGREGATES).items() if each.closed}
    recomputed = windows_of(tally(events.counted()))
    wanted = {id_: content(each) for id_, each in recomputed.items() if each.end <= midnight}
    found = {id_: content(each) for id_, each in closed.items() if each.end <= midnight}

    assert {"1m", "5m", "15m", "1h", "24h"} == {each.window for each in wanted.values()}
    assert [] == sorted(wanted.keys() ^ found.keys())[:20]
    assert [] == [id_ for id_ in wanted if wanted[id_] != found[id_]][:20]
    # Once more by other code, which shares no line with the pipeline; a service at a time, for
    # there may be many events.
    compared = {id_: each for id_, each in closed.items() if each.window in COMPARED}
    services = sorted({each.service for each in compared.values()})
    wrong = []
    for service in services:
        part = [of_service(each, service) for each in events.slim]
        mine = {id_: each for id_, each in compared.items() if each.service == service}
        wrong += differing(together(part), mine)

    assert (True, []) == (len(compared) > 1_000, wrong[:20])
    return len(wanted)


def of_service(columns: EventColumns, service: str) -> EventColumns:
    """The events of one service."""
    which = np.array([key[0] == service for key in columns.keys], np.bool_)[columns.key]
    names = ("timestamp", "key", "values", "request", "failed")
    return replace(columns, **{name: getattr(columns, name)[which] for name in names})


def everything_is_accounted_for(
    there: Counter[int], counts: dict[int, dict[str, int]]
) -> Counter[str]:
    """What is on the topics was read once, and became one thing."""
    assert there == Counter({partition: each["read"] for partition, each in counts.items()})
    assert there == Counter(
        {p: sum(each.get(state, 0) for state in STATES) for p, each in counts.items()}
    )
    return sum(map(Counter, counts.values()), Counter())


def every_command_is_answered(pipeline: Any, least: int) -> None:
    """By a change of its own, or by the end of a rollout away from what it asks for."""
    said = [seen.value for seen in pipeline.records(DEPLOYMENTS)]
    events = [each for each in said if isinstance(each, Deployment)]
    done = {each.id for each in events}
    ended = Counter(
        each.scope for each in events if (each.phase, each.by) == (Phase.ROLLED_BACK, "ada")
    )
    told = [seen.value for seen in pipeline.records(COMMANDS)]
    open_ = Counter(each.scope for each in told if named("m", each.scope, each.id) not in done)

    assert least <= len(told)
    assert open_ <= ended


def configs_only_go_forward(pipeline: Any, least: Mapping[str, int]) -> int:
    """Each scope's revisions rise by the record, and epochs never go back."""
    written: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for seen in pipeline.records(CONFIG):
        written[seen.value.scope].append((seen.value.revision, seen.value.epoch))

    for scope, found in written.items():
        assert all(a < b and e <= f for (a, e), (b, f) in pairwise(found)), (scope, found)
    for scope, count in least.items():
        assert len(written[scope]) >= count
    return sum(map(len, written.values()))


def postgres_equals_the_topics(pipeline: Any, dsn: str) -> int:
    """Every row says what the newest record of its key says, and there is no other."""
    pipeline.workers.start("store", "--stages", "store")
    topics = {
        name: list(newest_of(pipeline, TOPICS[name]).values())
        if TOPICS[name] in (AGGREGATES, ENRICHED)
        else [seen.value for seen in pipeline.records(TOPICS[name]) if seen.value is not None]
        for name in COPIED
    }
    held = settled(dsn, expected(topics), within=180.0)

    assert [0] == pipeline.stop()
    assert {} == {table: each.wrong[:3] for table, each in held.items() if each.wrong}
    return sum(each.records for each in held.values())
