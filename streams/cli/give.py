"""What all commands to the actuator share: their options, and what is said of the answer."""

from __future__ import annotations

import secrets

import click

from schemas.codec import Codec
from schemas.command import Command, CommandKind
from schemas.config import LlmConfig
from schemas.scope import ALL, misnamed
from streams.cli import home
from streams.cli.failure import Failure, explained
from streams.clock import now_ms
from streams.commanding import Answer, Unseen, ask
from streams.settings import Settings

WAIT = 15.0  # seconds for the actuator to say what became of a command
because = click.option("--reason", default="", help="Why, for whoever reads it later.")
someone = click.option("--by", default=None, help="Who commands it; your user name otherwise.")


def scope(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """*value*, when some request may be in it or in what it stands for.

    Raises:
        click.BadParameter: otherwise.
    """
    del context, parameter
    why = misnamed(value)
    if why is not None:
        raise click.BadParameter(f"{value!r}: {why}. Write service/endpoint.")
    return value


def holdable(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """*value*, when it can be held: one scope, or `*` for all.

    Raises:
        click.BadParameter: otherwise.
    """
    value = scope(context, parameter, value)
    if value != ALL and "/" not in value:
        raise click.BadParameter(
            f"{value!r} is a service, which has many scopes. Name one as service/endpoint, or "
            "none to reach all."
        )
    return value


def command(
    kind: CommandKind,
    scope: str,
    reason: str,
    by: str | None,
    *,
    config: LlmConfig | None = None,
    version: str | None = None,
    rollout_id: str | None = None,
    dry_run: bool = False,
) -> Command:
    """What is to be sent, now, in the name of who sits here unless somebody else is named."""
    return Command(
        id=secrets.token_hex(8),
        kind=kind,
        scope=scope,
        at=now_ms(),
        by=by or home.person(),
        reason=reason,
        config=config,
        version=version,
        rollout_id=rollout_id,
        dry_run=dry_run,
    )


def named(command: Command) -> str:
    """The command in words.

    >>> named(Command(id="1", kind=CommandKind.STOP, scope="*", at=0, by="ada"))
    'The stop of all scopes'
    """
    where = "all scopes" if command.scope == ALL else command.scope
    return f"The {command.kind.value} of {where}"


def asked(settings: Settings, codec: Codec, command: Command) -> Answer:
    """Send the command, and the answer to it; it stays sent whatever is raised later.

    Raises:
        Failure: it is refused, or sent but nobody obeyed or could be seen to.
    """
    try:
        answer = ask(settings, codec, command, WAIT)
    except Unseen as error:
        raise Failure(unseen(command, error.__cause__)) from error
    if answer.refused and answer.event is not None:
        raise Failure(answer.event.reason)
    return answer


def unseen(command: Command, cause: BaseException | None) -> str:
    """That a command is sent, and why nobody knows what became of it."""
    failure = explained(cause) if isinstance(cause, Exception) else None
    why = "" if failure is None else f" {failure.message}"
    return f"{named(command)} is sent, but what became of it cannot be seen.{why}"


def unanswered(answer: Answer) -> str | None:
    """That nobody obeyed, and what to do; None if somebody did."""
    if answer.obeyed:
        return None
    why = f"nothing obeyed it within {WAIT:g} s" if answer.running else "no actuator is running"
    return (
        f"{named(answer.command)} is sent, but {why}: start a worker with the actuate stage, it "
        "will obey then. See `llmopt status`."
    )
