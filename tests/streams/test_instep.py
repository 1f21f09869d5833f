from __future__ import annotations

from itertools import pairwise

import pytest
from confluent_kafka import KafkaError, Message
from hypothesis import given
from hypothesis import strategies as st

from streams.exactly_once import instep
from streams.exactly_once.instep import MOST_HELD, MOST_TAKEN, PATIENCE, InStep

TOPICS = ("fast", "slow")


LARGE = bytes(1 << 20)


def message(topic: str, offset: int, at: int, partition: int = 0, value: bytes = b"x") -> Message:
    return Message(topic=topic, partition=partition, offset=offset, timestamp=(1, at), value=value)


def end(topic: str, partition: int = 0) -> Message:
    error = KafkaError(KafkaError._PARTITION_EOF)
    return Message(topic=topic, partition=partition, offset=0, error=error)


def offsets(messages: list[Message], topic: str) -> list[int]:
    return [each.offset() for each in messages if each.topic() == topic]


def test_a_topic_waits_for_what_was_written_before_on_the_other() -> None:
    order = InStep(TOPICS)
    ahead = [message("fast", i, at=i) for i in range(10)]

    assert [] == order.take(ahead, 0.0)
    got = order.take([message("slow", 0, at=3)], 0.1)
    assert ([0, 1, 2, 3], [0]) == (offsets(got, "fast"), offsets(got, "slow"))
    assert [4, 5, 6, 7, 8, 9] == offsets(order.take([end("slow")], 0.2), "fast")


def test_a_topic_that_is_read_to_its_end_holds_nobody_up() -> None:
    order = InStep(TOPICS)
    order.take([end("slow"), end("fast")], 0.0)

    assert [0] == offsets(order.take([message("fast", 0, at=5)], 0.1), "fast")
    assert [0] == offsets(order.take([message("slow", 0, at=4)], 0.2), "slow")
    # Now `slow` may have more: what is newer than its last message waits.
    assert [] == order.take([message("fast", 1, at=9)], 0.3)


def test_partitions_do_not_wait_for_each_other() -> None:
    order = InStep(TOPICS)
    got = order.take([end("slow", 1), message("fast", 0, 7, 0), message("fast", 0, 7, 1)], 0.0)

    assert [1] == [each.partition() for each in got]


def test_a_topic_that_does_not_answer_is_not_waited_for_for_ever() -> None:
    order = InStep(TOPICS)
    order.take([message("fast", 0, at=0)], 0.0)

    assert [] == order.take([], PATIENCE)
    assert [0] == offsets(order.take([], PATIENCE + 0.1), "fast")


def test_a_partition_of_which_too_much_is_held_is_full_until_half_of_it_is_gone() -> None:
    order = InStep(TOPICS)
    held = MOST_HELD // len(LARGE)
    order.take([message("fast", i, i, value=LARGE) for i in range(held - 1)], 0.0)
    assert set() == order.full

    assert [] == order.take([message("fast", held - 1, held - 1, value=LARGE)], 0.1)
    assert {("fast", 0)} == order.full
    assert held // 2 == len(order.take([message("slow", 0, held // 2 - 2)], 0.2))
    assert {("fast", 0)} == order.full
    order.take([message("slow", 1, held // 2)], 0.3)
    assert set() == order.full


def test_no_more_is_handed_out_at_once_than_memory_allows_the_earliest_first() -> None:
    order = InStep(TOPICS)
    count = MOST_TAKEN // len(LARGE)
    order.take([message("fast", i, at=2 * i, value=LARGE) for i in range(count)], 0.0)
    got = order.take([message("slow", i, 2 * i + 1, value=LARGE) for i in range(count)], 0.1)

    assert (True, count - 1) == (order.more, len(got))
    half = list(range(count // 2))
    assert (half, half[:-1]) == (offsets(got, "fast"), offsets(got, "slow"))
    rest = order.take([end("slow"), end("fast")], 0.2)
    rest += order.take([], 0.3)
    assert (False, list(range(count // 2, count))) == (order.more, offsets(rest, "fast"))
    assert list(range(count // 2 - 1, count)) == offsets(rest, "slow")


def test_a_message_larger_than_what_is_handed_out_at_once_is_handed_out() -> None:
    order = InStep(TOPICS)
    order.take([message("fast", 0, at=0, value=bytes(MOST_TAKEN))], 0.0)

    assert [0] == offsets(order.take([end("slow")], 0.1), "fast")


def test_a_topic_that_is_away_lets_all_that_comes_pass_until_it_is_back() -> None:
    order = InStep(TOPICS)
    order.take([message("fast", 0, at=0)], 0.0)
    order.take([], PATIENCE + 0.1)

    assert [1] == offsets(order.take([message("fast", 1, at=1)], PATIENCE + 0.2), "fast")
    assert [0] == offsets(order.take([message("slow", 0, at=0)], PATIENCE + 0.3), "slow")
    assert [] == order.take([message("fast", 2, at=2)], PATIENCE + 0.4)


def test_after_an_error_there_may_be_more_to_read() -> None:
    failed = Message(topic="slow", partition=0, error=KafkaError(KafkaError._TRANSPORT))
    order = InStep(TOPICS)
    order.take([end("slow")], 0.0)

    assert [] == order.take([failed, message("fast", 0, at=5)], 0.1)
    assert [0] == offsets(order.take([end("slow")], 0.2), "fast")


@given(
    st.lists(
        st.tuples(st.sampled_from(TOPICS), st.integers(0, 2), st.integers(0, 50)), max_size=40
    ),
    st.lists(st.integers(0, 40), max_size=5),
    st.sampled_from([1, 1_000, MOST_TAKEN]),
)
def test_every_message_comes_once_in_the_order_of_its_partition(
    log: list[tuple[str, int, int]], cuts: list[int], most: int
) -> None:
    order = InStep(TOPICS)
    counts: dict[tuple[str, int], int] = {}
    messages = []
    for topic, partition, at in log:
        offset = counts.setdefault((topic, partition), 0)
        counts[topic, partition] += 1
        messages.append(message(topic, offset, at, partition))
    bounds = [0, *sorted(min(cut, len(log)) for cut in cuts), len(log)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instep, "MOST_TAKEN", most)
        got = [each for a, b in pairwise(bounds) for each in order.take(messages[a:b], 0.0)]
        got += order.take([end(topic, p) for topic in TOPICS for p in range(3)], 0.0)
        while order.more:
            got += order.take([], 0.0)

    for (topic, partition), count in counts.items():
        here = [each for each in got if (each.topic(), each.partition()) == (topic, partition)]
        assert list(range(count)) == [each.offset() for each in here]
    assert len(log) == len(got)
