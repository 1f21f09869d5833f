"""llmopt pause, resume, stop: a person comes before the optimizer."""

from __future__ import annotations

import secrets

import click

from schemas.command import Command, CommandKind
from schemas.scope import ALL
from streams.cli import home, show
from streams.cli.help import example
from streams.commanding import send

WHAT = {
    CommandKind.PAUSE: "Paused",
    CommandKind.RESUME: "Resumed",
    CommandKind.STOP: "Stopped",
}
scoped = click.argument("scope", default=ALL, metavar="[SCOPE]")
because = click.option("--reason", default="", help="Why, for whoever reads it later.")
someone = click.option("--by", default=None, help="Who commands it; your user name otherwise.")


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
    command = Command(
        id=secrets.token_hex(8),
        kind=kind,
        scope=scope,
        at=home.now(),
        by=by or home.person(),
        reason=reason,
    )
    settings = home.reached()
    with home.codec(settings) as codec:
        send(settings, codec, command)
    if machine:
        show.document({"command": command})
        return
    where = "all scopes" if scope == ALL else scope
    click.echo(f"{WHAT[kind]}: {where}, by {command.by}. See `llmopt status`.")
