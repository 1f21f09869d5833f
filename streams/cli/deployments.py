"""llmopt deployments: rollouts, step by step, with the evidence of each; and a person's word."""

from __future__ import annotations

import click

from schemas.command import CommandKind
from schemas.rollout import Deployment, Phase
from schemas.topics import DEPLOYMENTS
from streams.cli import give, home, show
from streams.cli.failure import Failure, not_found
from streams.cli.give import because, someone
from streams.cli.help import example
from streams.cli.report import report
from streams.reading import records
from streams.settings import Settings


@click.group()
@example("llmopt deployments list --active")
def deployments() -> None:
    """See rollouts, step by step; approve, promote or abort them."""


deployments.add_command(report)
GOING = (Phase.PENDING, Phase.RAMPING, Phase.PAUSED)
one = click.argument("which", metavar="SCOPE_OR_ID")


@deployments.command("list")
@click.option("--scope", help="Only of this scope.")
@click.option("--active", is_flag=True, help="Only those that are not over.")
@show.newest
@show.as_json
@example("llmopt deployments list --scope search/answer")
def list_(scope: str | None, *, active: bool, limit: int, machine: bool) -> None:
    """List rollouts and manual changes, each as it stands, newest first."""
    newest: dict[str, Deployment] = {}
    for each in _all(home.reached()):
        newest.pop(each.id, None)  # so that the order is that of the last event
        newest[each.id] = each
    found = [
        each
        for each in reversed(newest.values())
        if scope in (None, each.scope) and (not active or each.phase in GOING)
    ][:limit]
    if machine:
        show.document(found)
        return
    show.table(
        ("id", "at", "scope", "phase", "share", "step", "stable", "candidate", "why"),
        [
            (
                each.id,
                show.moment(each.at),
                each.scope,
                each.phase.value,
                show.share(each.share),
                f"{each.step + 1} of {each.steps}" if each.steps else None,
                each.stable_model,
                each.candidate_model,
                each.reason,
            )
            for each in found
        ],
        empty="Nothing is being rolled out." if active else "Nothing has been rolled out yet.",
    )


@deployments.command("show")
@click.argument("id_", metavar="ID")
@show.as_json
@example("llmopt deployments show r-1f0c…")
def show_(id_: str, *, machine: bool) -> None:
    """Tell one rollout from its beginning, with the guardrails of its newest look."""
    found = [each for each in _all(home.reached()) if each.id == id_]
    if not found:
        raise not_found(f"There is no deployment {id_}: see `llmopt deployments list`.")
    if machine:
        show.document(found)
        return
    last = found[-1]
    show.facts(
        [
            ("scope", last.scope),
            ("decision", last.decision_id),
            ("stable", f"{last.stable_model} ({last.stable_version})"),
            ("candidate", f"{last.candidate_model} ({last.candidate_version})"),
        ]
    )
    click.echo()
    show.table(
        ("at", "phase", "share", "verdict", "by", "what happened"),
        [
            (
                show.moment(each.at),
                each.phase.value,
                show.share(each.share),
                each.verdict.name.lower(),
                each.by,
                each.reason,
            )
            for each in found
        ],
        empty="",
    )
    judged = next((each for each in reversed(found) if each.guardrails), None)
    if judged is not None:
        click.echo()
        show.table(
            ("guardrail", "verdict", "stable", "candidate", "requests", "in words"),
            [
                (
                    rail.metric,
                    rail.verdict.name.lower(),
                    rail.stable_value,
                    rail.candidate_value,
                    f"{rail.stable_n} / {rail.candidate_n}",
                    rail.sentence,
                )
                for rail in judged.guardrails
            ],
            empty="",
        )


@deployments.command()
@one
@because
@someone
@show.as_json
@example('llmopt deployments promote search/answer --reason "good enough"')
def promote(which: str, *, reason: str, by: str | None, machine: bool) -> None:
    """Make the candidate of a rollout stable now, whatever its guardrails say.

    Of the rollout with this ID, or of the one that is active in this SCOPE.
    """
    _end(CommandKind.PROMOTE, which, reason, by, machine=machine)


@deployments.command()
@one
@because
@someone
@show.as_json
@example('llmopt deployments abort search/answer --reason "wrong model"')
def abort(which: str, *, reason: str, by: str | None, machine: bool) -> None:
    """End a rollout; the stable config serves everything again.

    The rollout with this ID, or the one that is active in this SCOPE.
    """
    _end(CommandKind.ABORT, which, reason, by, machine=machine)


@deployments.command()
@one
@because
@someone
@show.as_json
@example('llmopt deployments approve search/answer --reason "budget agreed"')
def approve(which: str, *, reason: str, by: str | None, machine: bool) -> None:
    """Let a rollout go on that waits for a person's word.

    The rollout with this ID, or the one that waits in this SCOPE.
    """
    _end(CommandKind.APPROVE, which, reason, by, machine=machine)


@deployments.command()
@one
@because
@someone
@show.as_json
@example('llmopt deployments reject search/answer --reason "not this week"')
def reject(which: str, *, reason: str, by: str | None, machine: bool) -> None:
    """End a rollout that waits for a person's word; the stable config stays.

    The rollout with this ID, or the one that waits in this SCOPE. The same version is not tried
    again until something that it depends on has changed.
    """
    _end(CommandKind.REJECT, which, reason, by, machine=machine)


def _end(kind: CommandKind, which: str, reason: str, by: str | None, *, machine: bool) -> None:
    """Send the word of a person about a rollout that is not over, and say what became of it."""
    settings = home.reached()
    newest = {each.id: each for each in _all(settings)}
    going = {each.scope: each for each in newest.values() if each.phase in GOING}
    meant = newest[which].scope if which in newest else which
    rollout = going.get(meant)
    if rollout is None or (which in newest and rollout.id != which):
        over = f"{which} is over" if which in newest else f"No rollout is active in {which}"
        raise not_found(f"{over}: see `llmopt deployments list --active`.")
    command = give.command(kind, rollout.scope, reason, by, rollout_id=rollout.id)
    with home.codec(settings) as codec:
        answer = give.asked(settings, codec, command)
    event = answer.event
    if event is None:
        raise Failure(give.unanswered(answer) or "")
    if machine:
        show.document({"command": command, "event": event})
        return
    if event.phase in GOING:
        click.echo(f"{event.scope}: {event.reason} See `llmopt deployments show {event.id}`.")
        return
    promoted = event.phase is Phase.PROMOTED
    serves = event.candidate_model if promoted else event.stable_model
    version = event.candidate_version if promoted else event.stable_version
    click.echo(
        f"{event.scope} is served {serves} {version} (revision {event.revision}). {event.reason}"
    )


def _all(settings: Settings) -> list[Deployment]:
    """Every event, in the order of writing; of two with one name the last counts."""
    events: dict[tuple[str, int], Deployment] = {}
    with home.codec(settings) as codec:
        for seen in records(settings, codec, DEPLOYMENTS):
            if isinstance(seen.value, Deployment):
                events[seen.value.id, seen.value.sequence] = seen.value
    return list(events.values())
