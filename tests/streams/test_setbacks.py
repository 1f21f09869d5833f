from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.exactly_once.errors import Fenced, NamedTwice, Retake, StepFailed
from streams.exactly_once.lost import lost
from streams.exactly_once.setbacks import ALIKE, Setbacks

ODD = KafkaError.INVALID_TXN_STATE


def setbacks() -> Setbacks:
    return Setbacks("worker-1", "detect")


def raised(code: int) -> KafkaException:
    return KafkaException(KafkaError(code))


def fenced(*, newer: bool) -> Fenced:
    found = Fenced("committing detect: fenced")
    found.newer = newer
    return found


def test_the_older_of_two_workers_says_who_is_in_its_way_when_fenced_three_times() -> None:
    older = setbacks()
    older.note(fenced(newer=False), 0.0, {})  # the other was not in the group yet
    older.note(fenced(newer=True), 30.0, {})

    with pytest.raises(NamedTwice, match=r"another worker called worker-1 .* its own --name"):
        older.note(fenced(newer=True), 60.0, {})


def test_the_newer_one_goes_on_however_often_it_is_fenced() -> None:
    newer = setbacks()
    for turn in range(100):
        newer.note(fenced(newer=False), turn * 1.0, {})

    assert 61 == len(newer.fenced)


def test_a_worker_fenced_now_and_then_goes_on() -> None:
    older = setbacks()
    for turn in range(20):
        older.note(fenced(newer=True), turn * 31.0, {})

    assert 2 == len(older.fenced)


def test_an_error_met_ten_times_at_the_same_place_is_for_ever() -> None:
    before = setbacks()
    for turn in range(ALIKE - 1):
        before.note(Retake("odd", ODD), float(turn), {0: 7, 1: 9} if turn % 2 else {0: 7})

    with pytest.raises(StepFailed, match="odd; it was so 10 times in a row"):
        before.note(Retake("odd", ODD), 0.0, {1: 9})


@pytest.mark.parametrize(
    "between",
    [
        (Retake("odd", ODD), {0: 8}),  # a commit came through
        (Retake("other", ODD + 1), {0: 7}),
    ],
)
def test_counting_begins_anew_with_progress_and_with_another_error(
    between: tuple[Retake, dict[int, int]],
) -> None:
    before = setbacks()
    for _ in range(ALIKE - 1):
        before.note(Retake("odd", ODD), 0.0, {0: 7})
    before.note(between[0], 0.0, between[1])

    assert 1 == before.times


def test_counting_begins_anew_after_a_membership_that_lasted() -> None:
    before = setbacks()
    before.note(Retake("odd", ODD), 0.0, {0: 7})
    before.lasted()
    before.note(Retake("odd", ODD), 0.0, {0: 7})

    assert 1 == before.times


@pytest.mark.parametrize(
    "code",
    [KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN, KafkaError.REBALANCE_IN_PROGRESS],
)
def test_a_broker_that_is_away_is_waited_for_however_long(code: int) -> None:
    before = setbacks()
    for turn in range(1_000):
        before.note(lost("committing", raised(code)), float(turn), {0: 7})

    assert 0 == before.times


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (KafkaError.MSG_SIZE_TOO_LARGE, "raise max.message.bytes"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "grant the worker's user the right"),
        (KafkaError.INVALID_RECORD, "llmopt topics show"),
        (KafkaError.INVALID_TRANSACTION_TIMEOUT, "change that setting"),
    ],
)
def test_what_kafka_will_never_take_ends_the_worker_with_what_to_change(
    code: int, words: str
) -> None:
    found = lost("committing detect", raised(code))

    assert isinstance(found, StepFailed)
    assert str(found).startswith("committing detect: ")
    assert words in str(found)


@pytest.mark.parametrize(
    "code", [KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH]
)
def test_a_lost_producer_is_told_from_other_losses(code: int) -> None:
    assert Fenced is type(lost("committing", raised(code)))
    assert Retake is type(lost("committing", raised(ODD)))


def test_the_reason_of_an_undelivered_record_counts_more_than_that_there_is_one() -> None:
    general = raised(KafkaError._INCONSISTENT)
    found = lost("committing", general, [KafkaError(KafkaError.INVALID_RECORD)])

    assert StepFailed is type(found)
    assert "INVALID_RECORD" in str(found)


@pytest.mark.parametrize("code", [KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC])
def test_a_topic_that_a_client_has_not_heard_of_yet_ends_the_worker_only_if_it_stays_so(
    code: int,
) -> None:
    before = setbacks()
    for _ in range(ALIKE - 1):
        before.note(lost("joining detect", raised(code)), 0.0, {0: 7})
    with pytest.raises(StepFailed, match=r"llmopt topics apply.*10 times in a row"):
        before.note(lost("joining detect", raised(code)), 0.0, {0: 7})


def test_a_record_for_a_partition_that_is_not_there_is_told_by_its_own_name() -> None:
    general = raised(KafkaError._INCONSISTENT)
    found = lost("committing", general, [KafkaError(KafkaError._UNKNOWN_PARTITION)])

    assert isinstance(found, Retake)
    assert KafkaError._UNKNOWN_PARTITION == found.code
    assert "_UNKNOWN_PARTITION" in str(found)


def test_an_error_that_does_not_pass_by_itself_keeps_its_number() -> None:
    passing, odd = lost("x", raised(KafkaError._TRANSPORT)), lost("x", raised(ODD))
    assert isinstance(passing, Retake)
    assert isinstance(odd, Retake)

    assert (None, ODD) == (passing.code, odd.code)
