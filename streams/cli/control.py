"""llmopt pause, resume, stop: a person comes before the optimizer."""

from __future__ import annotations

import click

from schemas.command import Command, CommandKind
from schemas.scope import ALL
from schemas.shape import hint
from schemas.topics import COMMANDS
from streams.cli import give, home, show
from streams.cli.failure import Failure
from streams.cli.give import because, someone
from streams.cli.help import example
from streams.clock import now_ms
from streams.commanding import TROUBLE, held, known
from streams.reading import records
from streams.settings import Settings

WHAT = {
    CommandKind.PAUSE: "Paused",
    CommandKind.RESUME: "Resumed",
    CommandKind.STOP: "Stopped",
}
scoped = click.argument("scope", default=ALL, metavar="[SCOPE]", callback=give.holdable)


@click.command()
@scoped
@because
@someone
@show.as_json
@example('llmopt pause search/answer --reason "holiday traffic"')
def pause(scope: str, *, reason: str, by: str | None, machine: bool) -> None:
    """Hold rollouts where they are.

    In SCOPE, or everywhere. Guardrails go on judging and may still take a candidate back.
    """
    _command(CommandKind.PAUSE, scope, reason, by, machine=machine)


@click.command()
@scoped
@because
@someone
@show.as_json
@example("llmopt resume search/answer", "llmopt resume")
def resume(scope: str, *, reason: str, by: str | None, machine: bool) -> None:
    """Let paused or stopped rollouts go on.

    In SCOPE; without one everywhere, single scopes that were paused included.
    """
    _command(CommandKind.RESUME, scope, reason, by, machine=machine)


@click.command()
@scoped
@because
@someone
@show.as_json
@example('llmopt stop --reason "provider incident"')
def stop(scope: str, *, reason: str, by: str | None, machine: bool) -> None:
    """Emergency stop: every rollout back to stable, then only observe.

    In SCOPE, or everywhere. It holds until `llmopt resume`.
    """
    _command(CommandKind.STOP, scope, reason, by, machine=machine)


def _command(kind: CommandKind, scope: str, reason: str, by: str | None, *, machine: bool) -> None:
    command = give.command(kind, scope, reason, by)
    settings = home.reached()
    with home.codec(settings) as codec:
        answer = give.asked(settings, codec, command)
        try:
            said = [seen.value for seen in records(settings, codec, COMMANDS)]
            told = [each for each in said if isinstance(each, Command)]
            before = held(each for each in told if each.id != command.id)
            meant = scope == ALL or (kind is CommandKind.RESUME and scope in before)
            strange = None if meant else _strange(settings, scope)
        except TROUBLE as error:
            raise Failure(give.unanswered(answer) or give.unseen(command, error)) from error
    wrong = [each for each in (give.unanswered(answer), strange) if each is not None]
    if wrong:
        sent = "" if not answer.obeyed else f"{give.named(command)} is sent and obeyed. "
        raise Failure(sent + " ".join(wrong))
    holds = held(told)
    hold = holds.get(scope) or holds.get(ALL)
    if kind is CommandKind.RESUME and hold is not None:
        raise Failure(
            f"{scope} is still held by the {hold.kind.value} of all scopes by {hold.by}: "
            "run `llmopt resume`."
        )
    if machine:
        show.document({"command": command, "obeyed": answer.obeyed, "hold": hold})
        return
    where = "all scopes" if scope == ALL else scope
    if kind is CommandKind.PAUSE and hold is not None and hold.kind is CommandKind.STOP:
        click.echo(f"Still stopped: {where}, by {hold.by}. A pause does not weaken a stop.")
    else:
        click.echo(f"{WHAT[kind]}: {where}, by {command.by}. See `llmopt status`.")


def _strange(settings: Settings, scope: str) -> str | None:
    """That nothing is known of *scope*, and which may have been meant; None if something is."""
    there, others = known(settings, scope, now_ms())
    if there:
        return None
    said = f"Nothing has been served or rolled out in {scope!r}"
    return f"{said}; {hint(scope, others)}." if others else f"{said}."
