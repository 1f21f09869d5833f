"""llmopt alarms: what triggers found, and a person's answer to what they ask."""

from __future__ import annotations

from collections.abc import Sequence

import click

from schemas.alarm import Alarm, Answer
from schemas.command import CommandKind
from schemas.topics import DEPLOYMENTS
from streams.cli import give, home, show
from streams.cli.failure import not_found
from streams.cli.give import because, someone
from streams.cli.help import Group, example
from streams.reading import records
from streams.settings import Settings

one = click.argument("id_", metavar="ID")


@click.group(cls=Group)
@example("llmopt alarms list --open")
def alarms() -> None:
    """See what triggers found, and answer what they ask."""


@alarms.command("list")
@click.option("--scope", help="Only of this scope.")
@click.option("--open", "open_", is_flag=True, help="Only what waits for an answer.")
@show.newest
@show.as_json
@example("llmopt alarms list --scope search/answer")
def list_(scope: str | None, *, open_: bool, limit: int, machine: bool) -> None:
    """List alarms, each as it stands, newest first."""
    every = _all(home.reached())
    found = [
        each
        for each in reversed(every)
        if scope in (None, each.scope) and (not open_ or each.answer is Answer.ASKED)
    ][:limit]
    if machine:
        show.document(found)
        return
    show.table(
        ("id", "at", "scope", "trigger", "severity", "answer", "by", "in words"),
        [
            (
                each.id,
                show.moment(each.at),
                each.scope,
                each.trigger,
                each.severity,
                each.answer.value,
                each.by,
                each.sentence,
            )
            for each in found
        ],
        empty=_nothing(every, scope, open_=open_),
    )


def _nothing(every: Sequence[Alarm], scope: str | None, *, open_: bool) -> str:
    """That a list is empty, and what there is without its filters."""
    if not every:
        return "No trigger has held yet."
    scopes = {each.scope for each in every}
    if scope is None or (open_ and scope in scopes):
        return "Nothing waits for an answer."
    filters = show.filters(("--scope ", scope), ("--open", "" if open_ else None))
    return show.unmatched("alarms", len(every), filters, scope, scopes)


@alarms.command()
@one
@because
@someone
@show.as_json
@example('llmopt alarms approve a-1f0c… --reason "I see it, too"')
def approve(id_: str, *, reason: str, by: str | None, machine: bool) -> None:
    """Take back what the alarm with this ID asks about."""
    _say(CommandKind.APPROVE, id_, reason, by, machine=machine)


@alarms.command()
@one
@because
@someone
@show.as_json
@example('llmopt alarms reject a-1f0c… --reason "a known outage"')
def reject(id_: str, *, reason: str, by: str | None, machine: bool) -> None:
    """Leave what the alarm with this ID asks about as it is."""
    _say(CommandKind.REJECT, id_, reason, by, machine=machine)


def _say(kind: CommandKind, id_: str, reason: str, by: str | None, *, machine: bool) -> None:
    """Send the answer, and say what became of it."""
    settings = home.reached()
    found = next((each for each in _all(settings) if each.id == id_), None)
    if found is None or found.answer is not Answer.ASKED:
        ended = "There is no such alarm" if found is None else f"It is {found.answer.value}"
        raise not_found(f"{id_} asks nothing. {ended}: see `llmopt alarms list --open`.")
    command = give.command(kind, found.scope, reason, by, rollout_id=id_)
    with home.codec(settings) as codec:
        answer = give.asked(settings, codec, command)
    if answer.alarm is None:
        raise give.nobody(answer)
    if machine:
        show.document({"command": command, "alarm": answer.alarm})
        return
    click.echo(f"{found.scope}: {answer.alarm.answer.value}. {answer.alarm.sentence}")


def _all(settings: Settings) -> list[Alarm]:
    """Every alarm as it stands, in the order of the last word on each."""
    found: dict[str, Alarm] = {}
    with home.codec(settings) as codec:
        for seen in records(settings, codec, DEPLOYMENTS):
            if isinstance(seen.value, Alarm):
                found.pop(seen.value.id, None)
                found[seen.value.id] = seen.value
    return list(found.values())
