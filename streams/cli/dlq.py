"""llmopt dlq: what could not be used, why, and how to send it again."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence

import click
from confluent_kafka import Message

from schemas.topics import TOPICS, Topic, dead_letters
from streams.cli import home, show
from streams.cli.failure import not_found
from streams.cli.help import Group, example
from streams.letters import Letter, opened
from streams.reading import read_all
from streams.redrive import redrive as send_again
from streams.redrive import waiting

SHOWN = 60  # characters of a value in a table


@click.group(cls=Group)
@example("llmopt dlq list")
def dlq() -> None:
    """See what could not be used, and send it again."""


@dlq.command("list")
@show.as_json
@example("llmopt dlq list")
def list_(*, machine: bool) -> None:
    """Count the dead letters by topic and reason, and how many were not sent again yet."""
    settings = home.reached()
    rows = []
    for topic in boxed():
        letters = read_all(settings, dead_letters(topic))
        if not letters:
            continue
        left = Counter(opened(each).reason for each in waiting(settings, topic))
        for reason, count in sorted(Counter(opened(each).reason for each in letters).items()):
            rows.append(
                {"topic": topic.name, "reason": reason, "letters": count, "waiting": left[reason]}
            )
    if machine:
        show.document(rows)
        return
    show.table(
        ("topic", "reason", "letters", "not sent again"),
        [tuple(row.values()) for row in rows],
        empty="There are no dead letters.",
    )


@dlq.command("show")
@click.argument("topic")
@click.option("--reason", help="Only of this reason.")
@show.newest
@show.as_json
@example("llmopt dlq show llmopt.metrics.v1 --reason broken_json")
def show_(topic: str, *, reason: str | None, limit: int, machine: bool) -> None:
    """Show dead letters of TOPIC: where they were, what is wrong, their bytes."""
    source = named(topic)
    every = [(each, opened(each)) for each in read_all(home.reached(), dead_letters(source))]
    letters = [each for each in every if reason in (None, each[1].reason)][::-1][:limit]
    if machine:
        show.document([_plain(message, letter) for message, letter in letters])
        return
    show.table(
        ("written off", "reason", "was at", "detail", "value"),
        [
            (
                show.moment(letter.at),
                letter.reason,
                _coordinates(letter),
                letter.detail,
                _glimpse(message.value()),
            )
            for message, letter in letters
        ],
        empty=f"There are no dead letters of {source.name}."
        if not every
        else _unmatched(len(every), reason, sorted({letter.reason for _, letter in every})),
    )


def _unmatched(count: int, reason: str | None, reasons: Sequence[str]) -> str:
    """That there are letters, but none of *reason*."""
    nothing = show.unmatched("dead letters", count, [f"--reason {reason}"], None, ())
    return f"{nothing[:-1]}, of {', '.join(reasons)}."


@dlq.command()
@click.argument("topic")
@click.option("--limit", type=click.IntRange(1), help="How many at most, oldest first.")
@show.as_json
@example("llmopt dlq redrive llmopt.metrics.v1")
def redrive(topic: str, *, limit: int | None, machine: bool) -> None:
    """Send the dead letters of TOPIC to it again, unchanged, each exactly once.

    For after a repair: whatever still cannot be used becomes a dead letter again.
    """
    done = send_again(home.reached(), named(topic), limit)
    if machine:
        show.document(done)
        return
    click.echo(f"{done.sent} messages sent to {done.topic} again.")
    if done.skipped:
        click.echo(f"{done.skipped} letters were of messages that another letter was of, too.")


def boxed() -> list[Topic]:
    """The topics that have dead letters."""
    return [topic for topic in TOPICS.values() if dead_letters(topic).name in TOPICS]


def named(name: str) -> Topic:
    """The topic whose dead letters *name* means: it, or its .dlq.

    Raises:
        Failure: It has none.
    """
    topic = TOPICS.get(name.removesuffix(".dlq"))
    if topic is None or dead_letters(topic).name not in TOPICS:
        names = ", ".join(each.name for each in boxed())
        raise not_found(f"No topic {name} has dead letters: name one of {names}.")
    return topic


def _coordinates(letter: Letter) -> str:
    return f"{letter.topic}[{letter.partition}]@{letter.offset}"


def _glimpse(value: bytes | None) -> str | None:
    if value is None:
        return None
    text = repr(value[:SHOWN])[2:-1]
    return text if len(value) <= SHOWN else f"{text}… ({len(value)} bytes)"


def _plain(message: Message, letter: Letter) -> dict[str, object]:
    value = message.value()
    return {
        "reason": letter.reason,
        "detail": letter.detail,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "at": letter.at,
        "key": None if message.key() is None else message.key().decode(errors="replace"),
        "value_base64": None if value is None else base64.b64encode(value).decode(),
    }
