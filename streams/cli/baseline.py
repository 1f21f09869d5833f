"""llmopt baseline: a person says that a scope is as it should be."""

from __future__ import annotations

from contextlib import closing

import click

from schemas.command import Command, CommandKind
from schemas.journal import JournalRecord
from schemas.scope import ALL
from schemas.shape import alike
from schemas.topics import journal
from streams.cli import give, home, show
from streams.cli.failure import Failure
from streams.cli.give import because, someone
from streams.cli.help import example
from streams.clock import now_ms
from streams.commanding import obeyed
from streams.reading import Watch
from streams.scopes import familiar
from streams.sending import send
from streams.settings import Settings

JOURNAL = journal("analyze")


@click.command()
@click.argument("scope", callback=give.holdable)
@because
@someone
@show.as_json
@example('llmopt baseline search/answer --reason "as agreed with support"')
def baseline(scope: str, *, reason: str, by: str | None, machine: bool) -> None:
    """Make the last week of SCOPE what its hours are compared with.

    From now on, in the place of the golden baseline before; see
    `llmopt insights --kind comparison`.
    """
    if scope == ALL:
        raise click.BadParameter("name one scope: each has a week of its own", param_hint="SCOPE")
    settings = home.reached()
    command = give.command(CommandKind.BASELINE, scope, reason, by)
    line = _sent(settings, command)
    if line is None:
        raise Failure(
            f"{give.named(command)} is sent, but nothing obeyed it within {give.WAIT:g} s: start a "
            "worker with the analyze stage, it will obey then. See `llmopt status`.",
            told={"command": command},
        )
    metrics = line.counts.get("golden", 0)
    if not metrics:
        raise Failure(_too_little(settings, scope), told={"command": command})
    if machine:
        show.document({"command": command, "metrics": metrics})
        return
    click.echo(f"The last week of {scope} is its golden baseline, of {metrics} metrics.")


def _sent(settings: Settings, command: Command) -> JournalRecord | None:
    """The line of the journal that tells of the command; None when nobody obeyed it in time."""
    with home.codec(settings) as codec, closing(Watch(settings, codec, [JOURNAL])) as watch:
        offset = send(settings.bootstrap_servers, command)
        seen = watch.until(obeyed(command, offset, watch.width(JOURNAL)), give.WAIT)
    return None if seen is None or not isinstance(seen.value, JournalRecord) else seen.value


def _too_little(settings: Settings, scope: str) -> str:
    """Why there is no baseline of *scope*: it is young, or nobody knows it at all."""
    with home.codec(settings) as codec:
        there, others = familiar(settings, codec, scope, now_ms())
    said = f"Too little is known of {scope}: a baseline needs 20 hours with traffic."
    if there:
        return said
    return (
        f"{said} No application has reported from it within the last hour; {alike(scope, others)}."
    )
