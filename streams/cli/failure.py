"""Failures: a sentence on standard error for people, an exit code, a document for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

import click

REFUSED, USAGE, NOT_FOUND = 1, 2, 3
DIFFERENT, INCOMPARABLE = 4, 5  # of a comparison
OURS = ("streams.", "schemas.", "sinks.", "infra.", "processors.")
MACHINE, ANSWERED = "llmopt.machine", "llmopt.answered"  # of what all contexts of a call share


class Failure(click.ClickException):
    """What was asked for is not done, or not all of it.

    `told` is what a program wants to know besides, such as the command that was sent.
    """

    def __init__(
        self, sentence: str, code: int = REFUSED, told: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(sentence)
        self.exit_code = code
        self.told = told or {}

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the sentence to standard error."""
        click.echo(f"llmopt: {self.message}", file=file, err=True)


def not_found(sentence: str) -> Failure:
    """The failure of a look-up."""
    return Failure(sentence, NOT_FOUND)


def explained(error: Exception) -> Failure | None:
    """*error* as a sentence; None when it is a defect, which deserves its traceback."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "InvalidSettings" in kinds:
        return Failure(str(error), USAGE)
    if "KafkaException" in kinds:
        return Failure(_kafka(error))
    if "KafkaConnectionError" in kinds:  # aiokafka's, which Faust starts with
        return Failure(_nobody())
    if "RegistryUnavailable" in kinds:
        hint = "Start one with `make up` or set LLMOPT_SCHEMA_REGISTRY_URL."
        return Failure(f"{_sentence(str(error))} {hint}")
    if type(error).__module__.startswith(OURS):
        return Failure(_sentence(str(error)))
    return None


def asked(context: click.Context, words: Sequence[str]) -> None:
    """Note whether a program called, which wants an answer whatever becomes of it."""
    context.meta[MACHINE] = "--json" in words


def answer(context: click.Context, error: click.ClickException) -> None:
    """Give a program that called, and has no document yet, one that tells of the failure."""
    if not context.meta[MACHINE] or ANSWERED in context.meta:
        return
    from streams.cli import show  # noqa: PLC0415  # only where it fails

    told = error.told if isinstance(error, Failure) else {}
    show.document({"error": error.format_message(), "exit": error.exit_code, **told})


def _kafka(error: Exception) -> str:
    from confluent_kafka import KafkaError  # noqa: PLC0415  # loaded already, or there is no error

    cause = error.args[0] if error.args else None
    if not isinstance(cause, KafkaError):
        return f"Kafka: {error}"
    away = ("_TRANSPORT", "_ALL_BROKERS_DOWN", "_TIMED_OUT", "_RESOLVE", "_TIMED_OUT_QUEUE")
    if cause.name() in away:
        return _nobody()
    if cause.name() in ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION"):
        return "A topic is missing: run `llmopt topics apply` first."
    return f"Kafka refuses: {_sentence(cause.str())}"


def _nobody() -> str:
    from streams.settings import current  # noqa: PLC0415  # loaded already, or there is no error

    return (
        f"No Kafka broker answers at {current().bootstrap_servers}: "
        "start one with `make up` or set LLMOPT_BOOTSTRAP_SERVERS."
    )


def _sentence(text: str) -> str:
    text = text.strip()
    if text.partition(" ")[0].isalpha():  # not a name, like model/openai/gpt-4o
        text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", "`", ")")) else f"{text}."


def warn(lines: Iterable[str]) -> None:
    """Say something beside the result."""
    for line in lines:
        print(line, file=sys.stderr)
