"""What all commands to the actuator share: their options, and what is said of the answer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from schemas.command import Command, CommandKind
from schemas.config import LlmConfig
from schemas.scope import ALL, misnamed
from streams.cli import home, show
from streams.cli.failure import Failure, explained
from streams.clock import now_ms
from streams.settings import Settings

if TYPE_CHECKING:
    from schemas.codec import Codec
    from schemas.report import RollbackReport
    from schemas.rollout import Deployment
    from streams.alone import Kept
    from streams.commanding import Answer
    from streams.presence import Present

WHAT = {
    CommandKind.PAUSE: "Paused",
    CommandKind.RESUME: "Resumed",
    CommandKind.STOP: "Stopped",
}
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
        id=os.urandom(8).hex(),  # as `secrets` would, whose import a stop need not wait for
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
    return f"The {command.kind.value} of {where(command.scope)}"


def hold(command: Command) -> str:
    """A hold in words: what, where, by whom, since when, why."""
    why = f": {command.reason.rstrip('.')}" if command.reason else ""
    return (
        f"{command.kind.value} of {where(command.scope)} by {command.by} since "
        f"{show.moment(command.at)} UTC{why}"
    )


def where(scope: str) -> str:
    """A scope, or all of them, in words."""
    return "all scopes" if scope == ALL else scope


def asked(settings: Settings, codec: Codec, command: Command) -> Answer:
    """Send the command, and the answer to it; it stays sent whatever is raised later.

    Raises:
        Failure: it is refused, or sent but nobody obeyed or could be seen to.
    """
    from streams.commanding import Unseen, ask  # noqa: PLC0415  # a stop is sent before that is had

    try:
        answer = ask(settings, codec, command, WAIT)
    except Unseen as error:
        raise Failure(unseen(command, error.__cause__), told={"command": command}) from error
    if answer.refusal is not None:
        raise Failure(answer.refusal, told={"command": command})
    return answer


def asked_all(
    settings: Settings, codec: Codec, command: Command
) -> list[Deployment | RollbackReport]:
    """Send a rollback of all scopes, and what came of it in those that had anything to take back.

    Raises:
        Failure: as `asked`.
    """
    from streams.commanding import Unseen, ask_all  # noqa: PLC0415  # the same

    try:
        answer, told = ask_all(settings, codec, command, WAIT)
    except Unseen as error:
        raise Failure(unseen(command, error.__cause__), told={"command": command}) from error
    why = unanswered(answer)
    if why is not None:
        raise Failure(why, told={"command": command, "told": told})
    return told


def heard(settings: Settings, codec: Codec, command: Command, offset: int) -> Answer:
    """What became of a hold that was sent; it stays sent whatever is raised.

    Raises:
        Failure: that could not be seen.
    """
    from streams.commanding import Unseen, hear  # noqa: PLC0415  # the same

    try:
        return hear(settings, codec, command, offset, WAIT)
    except Unseen as error:
        raise Failure(unseen(command, error.__cause__), told={"command": command}) from error


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


def nobody(answer: Answer) -> Failure:
    """The failure of a command that nobody obeyed."""
    return Failure(unanswered(answer) or "", told={"command": answer.command})


def kept(found: Kept, nobody: str) -> str:
    """What a command that no broker took has reached, then who does not know of it.

    *nobody* says that no broker answers.
    """
    command, names = found.command, _names(found.reached)
    others = (
        f"{lifted(found.lifted)}All others, workers of other machines and applications, learn of "
        f"it when a broker is back. {nobody}"
    )
    if found.holds:
        return (
            f"{WHAT[command.kind]} on this machine: {where(command.scope)}, by {command.by}. "
            f"{names} will write nothing before it is told. {others} "
            "See `llmopt status`."
        )
    said = f"{named(command)} is kept in {found.folder}"
    if found.missed:
        return (
            f"{said}, but {_names(found.missed)} has not taken note of it: see whether it is "
            f"alive. {f'{names} has. ' if names else ''}{others}"
        )
    return (
        f"{said}: a worker that is started here will obey it before it writes. But no worker with "
        "the actuator runs on this machine, so nothing obeys it yet: give it again where workers "
        f"run, or when a broker is back. {lifted(found.lifted)}{nobody}"
    )


def lifted(holds: Sequence[Command]) -> str:
    """What a resume has lifted, as a sentence that others follow; nothing where it was none."""
    said = "; ".join(f"the {hold(each)}" for each in holds)
    return f"Lifted: {said}. " if said else ""


def _names(workers: Sequence[Present]) -> str:
    return ", ".join(f"{each.worker} (process {each.pid})" for each in workers)
