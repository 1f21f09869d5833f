from __future__ import annotations

from typing import Any

from schemas.codec import Codec
from schemas.flow import Emit, Outcome
from schemas.registry import LocalRegistry
from streams.exactly_once.journal import records
from streams.letters import LONGEST_DETAIL, REDRIVEN, Letter, bare, letter, opened


class Message:
    """As much of a Kafka message as a letter is made of."""

    def __init__(self, topic: str, headers: list[tuple[str, bytes | None]]) -> None:
        self._topic = topic
        self._headers = headers

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 17

    def headers(self) -> list[tuple[str, bytes | None]]:
        return self._headers


def message(topic: str, *headers: tuple[str, bytes | None]) -> Any:  # a C type
    return Message(topic, list(headers))


def test_a_letter_says_where_its_message_was_and_what_is_wrong() -> None:
    topic, headers = letter(message("llmopt.config.v1"), "broken_json", "x" * 5_000, "store")
    found = opened(message(topic, *headers))

    assert "llmopt.config.v1.dlq" == topic
    assert ("broken_json", "llmopt.config.v1", 3, 17) == (
        found.reason,
        found.topic,
        found.partition,
        found.offset,
    )
    assert LONGEST_DETAIL == len(found.detail)


def test_the_headers_of_the_message_outlive_its_letters() -> None:
    own: tuple[str, bytes | None] = ("traceparent", b"00-1")
    _, first = letter(message("llmopt.config.v1", own), "refused", "why", "store")
    _, second = letter(
        message("llmopt.config.v1", *bare(first), (REDRIVEN, b"1")), "refused", "why", "store"
    )

    assert [own] == bare(first) == bare(second)
    assert 1 == sum(name == "__dlq.errors.reason" for name, _ in second)


def test_a_foreign_letter_is_opened_as_far_as_it_goes() -> None:
    odd = message(
        "llmopt.config.v1.dlq", ("__dlq.errors.partition", b"\xff"), ("__dlq.errors.offset", None)
    )

    assert Letter("unknown", "", "llmopt.config.v1", None, None, None) == opened(odd)


def test_the_key_of_a_letter_is_what_it_was_be_it_empty_or_none() -> None:
    dead = [Emit("llmopt.commands.v1.dlq", key, b"{", 0) for key in (b"", None, b"\xff")]
    written = records("actuate", 0, Outcome(None), dead, Codec(LocalRegistry()))

    assert [b"", None, b"\xff"] == [each.key for each in written]
