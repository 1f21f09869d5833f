"""Dead letters: what cannot be used, unchanged, with the reason and its coordinates in headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import Message

from schemas.topics import TOPICS, dead_letters
from streams.clock import now_ms

Headers = tuple[tuple[str, bytes], ...]

ERRORS = "__dlq.errors."
REDRIVEN = "__dlq.redriven"  # ms since the epoch, when it was sent to its topic again
REASON, DETAIL, STAGE = f"{ERRORS}reason", f"{ERRORS}detail", f"{ERRORS}stage"
TOPIC, PARTITION, OFFSET = f"{ERRORS}topic", f"{ERRORS}partition", f"{ERRORS}offset"
TIMESTAMP = f"{ERRORS}timestamp"  # ms since the epoch, when it was written off
LONGEST_DETAIL = 1_000


@dataclass(frozen=True, slots=True)
class Letter:
    """What the headers of a dead letter say.

    Attributes:
        reason: A short word, as counters label it.
        detail: A sentence.
        topic: Where the message was.
        partition: The same; None when the headers do not say.
        offset: The same.
        at: ms since the epoch when it was written off; None when the headers do not say.
    """

    reason: str
    detail: str
    topic: str
    partition: int | None
    offset: int | None
    at: int | None


def letter(
    message: Message, reason: str, detail: str, stage: str | None = None, at: int | None = None
) -> tuple[str, Headers]:
    """The dead-letter topic of *message* and the headers that explain it there.

    Args:
        message: What cannot be used.
        reason: A short word.
        detail: A sentence.
        stage: Who says so; None for those of the engine, where the topic tells.
        at: ms since the epoch; None: now.
    """
    topic = TOPICS[message.topic()]
    kept = tuple(message.headers() or ())
    return dead_letters(topic).name, (
        *((name, value) for name, value in kept if not name.startswith(ERRORS)),
        (REASON, reason.encode()),
        (DETAIL, detail[:LONGEST_DETAIL].encode()),
        *(((STAGE, stage.encode()),) if stage else ()),
        (TOPIC, topic.name.encode()),
        (PARTITION, str(message.partition()).encode()),
        (OFFSET, str(message.offset()).encode()),
        (TIMESTAMP, str(now_ms() if at is None else at).encode()),
    )


def opened(message: Message) -> Letter:
    """What is said of the dead letter *message*; unknown where a header is missing or foreign."""
    headers = dict(message.headers() or ())
    return Letter(
        reason=_text(headers, REASON) or "unknown",
        detail=_text(headers, DETAIL),
        topic=_text(headers, TOPIC) or message.topic().removesuffix(".dlq"),
        partition=_number(headers, PARTITION),
        offset=_number(headers, OFFSET),
        at=_number(headers, TIMESTAMP),
    )


def bare(headers: Sequence[tuple[str, bytes | None]]) -> list[tuple[str, bytes | None]]:
    """The headers that the message had before it was a dead letter."""
    return [(name, value) for name, value in headers if not name.startswith("__dlq.")]


def _text(headers: Mapping[str, bytes | None], name: str) -> str:
    return (headers.get(name) or b"").decode(errors="replace")


def _number(headers: Mapping[str, bytes | None], name: str) -> int | None:
    text = _text(headers, name)
    return int(text) if text.isascii() and text.isdigit() else None
