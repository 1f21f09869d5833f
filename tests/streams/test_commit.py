from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from streams.exactly_once.commit import _first

STATE = KafkaException(KafkaError(KafkaError._STATE))  # as produce raises, whatever was before
SESSION: Any = SimpleNamespace()  # it is not looked at


def ended(how: Exception | None) -> Future[None]:
    """Offsets that went ahead."""
    sent: Future[None] = Future()
    if how is None:
        sent.set_result(None)
    else:
        sent.set_exception(how)
    return sent


def test_what_the_offsets_met_is_told_not_that_nothing_can_be_produced_after_it() -> None:
    refused = KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION))

    assert refused is _first(SESSION, STATE, ended(refused))


def test_where_no_offsets_were_refused_an_error_stays_what_it_is() -> None:
    away = KafkaException(KafkaError(KafkaError._TRANSPORT))
    refused = KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION))

    assert [STATE, STATE, away] == [
        _first(SESSION, STATE, None),
        _first(SESSION, STATE, ended(None)),
        _first(SESSION, away, ended(refused)),
    ]
