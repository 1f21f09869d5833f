"""The worker without transactions takes records as the engine hands them over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.untransacted import Untransacted
from streams.exactly_once.commit import produce
from streams.exactly_once.journal import Record


class Producer:
    """Notes what it is given, by the names that confluent_kafka has for the places."""

    def __init__(self) -> None:
        self.given: list[dict[str, Any]] = []

    def produce(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int = -1,
        callback: Any = None,
        on_delivery: Any = None,
        timestamp: int = 0,
        headers: Any = None,
    ) -> None:
        assert callback is None
        self.given.append(
            {"topic": topic, "value": value, "key": key, "partition": partition}
            | {"told": on_delivery, "timestamp": timestamp, "headers": headers}
        )

    def flush(self, _: float) -> int:
        return 0


def test_a_record_of_a_commit_reaches_the_producer_whole_and_its_failure_is_known() -> None:
    plain, failed = Producer(), list[Any]()
    worker = Untransacted(plain, failed)  # type: ignore[arg-type]
    session: Any = SimpleNamespace(producer=worker, home=SimpleNamespace(partitions={"t": 4}))
    produce(session, [Record("t", 3, b"k", b"v", (("h", b"1"),))], 0)
    (given,) = plain.given
    told = given.pop("told")
    assert given == {
        "topic": "t",
        "value": b"v",
        "key": b"k",
        "partition": 3,
        "timestamp": 0,
        "headers": [("h", b"1")],
    }
    told("not written", None)
    assert failed == ["not written"]
    with pytest.raises(Exception, match="not written"):
        worker.commit_transaction(1.0)
