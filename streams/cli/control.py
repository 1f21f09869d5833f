"""llmopt pause, resume, stop: a person comes before the optimizer."""

from __future__ import annotations

from contextlib import suppress

import click
from confluent_kafka import KafkaException

from schemas.command import Command, CommandKind
from schemas.scope import ALL
from schemas.topic import COMMANDS
from streams.cli import give, home, show
from streams.cli.failure import Failure, explained
from streams.cli.give import because, someone
from streams.cli.help import example
from streams.clock import now_ms
from streams.sending import send
from streams.settings import Settings
from streams.spool import Spool

HURRY = 0.8  # seconds for a broker to take a command before the workers of this machine are told
PATIENCE = 10.0  # seconds for a broker to take a command for which there is no other way
KEPT = (CommandKind.STOP, CommandKind.RESUME)  # what workers of this machine are told then
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

    In SCOPE, or everywhere. It holds until `llmopt resume`. Where no broker answers, the workers of
    this machine write nothing before they have told it; all others learn of it then.
    """
    _command(CommandKind.STOP, scope, reason, by, machine=machine)


def _command(kind: CommandKind, scope: str, reason: str, by: str | None, *, machine: bool) -> None:
    command = give.command(kind, scope, reason, by)
    settings = home.settings()
    try:
        offset = send(settings.bootstrap_servers, command, HURRY if kind in KEPT else PATIENCE)
    except KafkaException as error:
        if kind not in KEPT:
            raise
        _keep(settings, command, error, machine=machine)
    else:
        if kind is CommandKind.RESUME:  # not before: until then a stop that waits must hold
            with suppress(OSError):  # whoever tells the stop finds it overtaken
                Spool(settings.state_folder, settings.bootstrap_servers).withdraw(command)
        _tell(settings, command, offset, machine=machine)


def _tell(settings: Settings, command: Command, offset: int, *, machine: bool) -> None:
    """Say what became of *command*, which is on its topic."""
    from streams.commanding import TROUBLE, held  # noqa: PLC0415  # a stop was sent before
    from streams.reading import records  # noqa: PLC0415  # the same

    kind, scope = command.kind, command.scope
    with home.codec(settings) as codec:
        answer = give.heard(settings, codec, command, offset)
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
        show.document({"command": command, "obeyed": answer.obeyed, "hold": hold, "local": None})
        return
    where = "all scopes" if scope == ALL else scope
    if kind is CommandKind.PAUSE and hold is not None and hold.kind is CommandKind.STOP:
        click.echo(f"Still stopped: {where}, by {hold.by}. A pause does not weaken a stop.")
    else:
        click.echo(f"{WHAT[kind]}: {where}, by {command.by}. See `llmopt status`.")


def _keep(settings: Settings, command: Command, away: KafkaException, *, machine: bool) -> None:
    """Let the workers of this machine know of *command*, for no broker took it, and say so."""
    from streams.alone import keep  # noqa: PLC0415  # seldom needed

    nobody = explained(away) or Failure(str(away))
    try:
        kept = keep(settings, command)
    except OSError as error:
        raise Failure(
            f"{nobody.message} {give.named(command)} cannot be kept in {settings.state_dir} either "
            f"({error.strerror}): nobody knows of it. Make that folder writable, or name another "
            "in LLMOPT_STATE_DIR, here and for the workers."
        ) from error
    if not kept.holds:
        raise Failure(f"{nobody.message} {give.kept(kept)}")
    if machine:
        show.document({"command": command, "obeyed": False, "hold": None, "local": kept})
        return
    click.echo(f"{nobody.message} {give.kept(kept)}")


def _strange(settings: Settings, scope: str) -> str | None:
    """That nothing is known of *scope*, and which may have been meant; None if something is."""
    from schemas.shape import hint  # noqa: PLC0415  # a stop was sent before
    from streams.commanding import known  # noqa: PLC0415  # the same

    there, others = known(settings, scope, now_ms())
    if there:
        return None
    said = f"Nothing has been served or rolled out in {scope!r}"
    if not others:
        return f"{said}."
    meant = hint(scope, others)
    return f"{said}; {meant}" if meant.endswith("?") else f"{said}; {meant}."
