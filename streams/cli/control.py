"""llmopt pause, resume, stop: a person comes before the optimizer."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from streams.alone import Kept

HURRY = 0.8  # seconds for a broker to take a command before the workers of this machine are told
PATIENCE = 10.0  # seconds for a broker to take a command for which there is no other way
KEPT = (CommandKind.STOP, CommandKind.RESUME)  # what workers of this machine are told then
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
    """Let paused or stopped rollouts go on, and say which holds that lifts.

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
        waited: tuple[Command, ...] = ()
        if kind is CommandKind.RESUME:  # not before: until then a stop that waits must hold
            with suppress(OSError):  # whoever tells the stop finds it overtaken
                spool = Spool(settings.state_folder, settings.bootstrap_servers)
                waited = spool.withdraw(command)
        _tell(settings, command, offset, waited, machine=machine)


def _tell(
    settings: Settings, command: Command, offset: int, waited: tuple[Command, ...], *, machine: bool
) -> None:
    """Say what became of *command*, which is on its topic, and lifted what *waited* here."""
    from streams.commanding import TROUBLE, held  # noqa: PLC0415  # a stop was sent before
    from streams.reading import records  # noqa: PLC0415  # the same

    kind, scope = command.kind, command.scope
    with home.codec(settings) as codec:
        answer = give.heard(settings, codec, command, offset)
        try:
            said = records(settings, codec, COMMANDS)
            told = [each for each in said if isinstance(each.value, Command)]
            before = held(
                each.value
                for each in told
                if each.offset < offset and each.value.id != command.id  # of a retry
            )
            meant = scope == ALL or (kind is CommandKind.RESUME and scope in before)
            strange = None if meant else _strange(settings, scope)
        except TROUBLE as error:
            why = give.unanswered(answer) or give.unseen(command, error)
            raise Failure(why, told={"command": command}) from error
    holds = held(each.value for each in told)
    over = holds.get(scope) or holds.get(ALL)
    gone = {each.id: each for each in (*before.values(), *waited) if each not in holds.values()}
    lifted = tuple(gone.values()) if kind is CommandKind.RESUME else ()
    facts = _facts(command, obeyed=answer.obeyed, hold=over, lifted=lifted)
    wrong = [each for each in (give.unanswered(answer), strange) if each is not None]
    if wrong:
        sent = "" if not answer.obeyed else f"{give.named(command)} is sent and obeyed. "
        raise Failure(sent + " ".join(wrong), told=facts)
    if kind is CommandKind.RESUME and over is not None:
        raise Failure(
            f"{give.lifted(lifted)}{scope} is still held by the {give.hold(over)}. Run "
            "`llmopt resume`.",
            told=facts,
        )
    if machine:
        show.document(facts)
    else:
        click.echo(f"{_done(command, over, lifted)} See `llmopt status`.")


def _done(command: Command, over: Command | None, lifted: tuple[Command, ...]) -> str:
    """What *command* has brought about, in a scope that *over* holds now."""
    where = give.where(command.scope)
    if command.kind is CommandKind.PAUSE and over is not None and over.kind is CommandKind.STOP:
        return f"Still stopped: {where}, by {over.by}. A pause does not weaken a stop."
    if command.kind is CommandKind.RESUME and not lifted:
        if command.scope == ALL:
            return "Nothing to resume: no pause, no stop. Changes that failed are counted anew."
        return f"Nothing to resume: no pause and no stop of {where}."
    return f"{give.WHAT[command.kind]}: {where}, by {command.by}. {give.lifted(lifted)}".rstrip()


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
            "in LLMOPT_STATE_DIR, here and for the workers.",
        ) from error
    said = give.kept(kept, nobody.message)
    facts = _facts(command, lifted=kept.lifted, local=kept)
    if not kept.holds:
        raise Failure(said, told=facts)
    if machine:
        show.document(facts)
    else:
        click.echo(said)


def _facts(
    command: Command,
    *,
    obeyed: bool = False,
    hold: Command | None = None,
    lifted: tuple[Command, ...] = (),
    local: Kept | None = None,
) -> dict[str, object]:
    """What a program is told of a hold or a resume, whatever became of it."""
    return {
        "command": command,
        "obeyed": obeyed,
        "hold": hold,
        "lifted": lifted,
        "local": local,
    }


def _strange(settings: Settings, scope: str) -> str | None:
    """That nothing is known of *scope*, and which may have been meant; None if something is."""
    from schemas.shape import hint  # noqa: PLC0415  # a stop was sent before
    from streams.scopes import known  # noqa: PLC0415  # the same

    there, others = known(settings, scope, now_ms())
    if there:
        return None
    said = f"Nothing has been served or rolled out in {scope!r}"
    if not others:
        return f"{said}."
    meant = hint(scope, others)
    return f"{said}; {meant}" if meant.endswith("?") else f"{said}; {meant}."
