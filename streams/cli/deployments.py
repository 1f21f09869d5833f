"""llmopt deployments: rollouts, step by step, with the evidence of each; and a person's word."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from schemas.command import CommandKind
from schemas.decision import Decision
from schemas.rollout import Phase
from schemas.shape import alike
from schemas.topics import DECISIONS, DEPLOYMENTS
from streams.cli import give, home, show
from streams.cli.evidence import COLUMNS, over_time
from streams.cli.failure import Failure, not_found
from streams.cli.give import because, someone
from streams.cli.help import Group, example
from streams.cli.report import report
from streams.cli.story import ENDS, Story, newest_in, stories
from streams.reading import records
from streams.settings import Settings


@click.group(cls=Group)
@example("llmopt deployments list --active")
def deployments() -> None:
    """See rollouts, step by step; approve, promote or abort them."""


deployments.add_command(report)
one = click.argument("which", metavar="SCOPE_OR_ID")


@deployments.command("list")
@click.option("--scope", help="Only of this scope.")
@click.option("--active", is_flag=True, help="Only those that are not over.")
@click.option("--refused", is_flag=True, help="Commands and decisions that were refused, too.")
@show.newest
@show.as_json
@example("llmopt deployments list --scope search/answer")
def list_(scope: str | None, *, active: bool, refused: bool, limit: int, machine: bool) -> None:
    """List rollouts and manual changes, each as it stands, newest first."""
    told = [*reversed(stories(_told(home.reached())).values())]
    every = [each for each in told if refused or not each.refused]
    found = [
        each for each in every if scope in (None, each.last.scope) and not (active and each.over)
    ]
    hidden = sum(each.refused and scope in (None, each.last.scope) for each in told)
    found = found[:limit]
    if machine:
        show.document([each.last for each in found])
        return
    show.table(
        ("id", "at", "scope", "phase", "share", "step", "stable", "candidate", "why"),
        [
            (
                last.id,
                show.moment(last.at),
                last.scope,
                each.standing,
                _share(last.share, last.shadow),
                f"{last.step} of {last.steps}" if last.steps else None,
                last.stable_model,
                last.candidate_model,
                last.reason,
            )
            for each in found
            for last in (each.last,)
        ],
        empty=_nothing(every, scope, active=active),
    )
    if hidden and not (refused or active):
        click.echo(f"{hidden} that were refused are left out: --refused lists them, too.")


def _nothing(every: Sequence[Story], scope: str | None, *, active: bool) -> str:
    """That a list is empty, and what there is without its filters."""
    if scope is None and active:
        return "Nothing is being rolled out."
    if scope is None or not every:
        return "Nothing has been rolled out yet."
    filters = show.filters(("--scope ", scope), ("--active", "" if active else None))
    scopes = (each.last.scope for each in every)
    return show.unmatched("rollouts or changes", len(every), filters, scope, scopes)


@deployments.command("show")
@one
@click.option(
    "--plot",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Draw it as a picture, a PNG.",
)
@show.as_json
@example("llmopt deployments show search/answer", "llmopt deployments show r-1f0c… --plot it.png")
def show_(which: str, *, plot: Path | None, machine: bool) -> None:
    """Tell one rollout from its beginning: steps, evidence over time, verdict and reasons.

    The rollout with this ID, or the newest in this SCOPE.

    The evidence is the e-value of "the candidate is worse", which may be looked at every minute. At
    its limit the guardrail fails and the candidate is taken back, however small the harm, unless
    the strategy tolerates a part of the margin. Otherwise it passes once the harm is at most the
    margin, and is inconclusive before.

    A step is left when its time is over, no guardrail fails, and every required one has compared
    enough samples, conclusive or not. To be promoted, every required one must pass.
    """
    if plot is not None:
        _drawable(plot)
    settings = home.reached()
    told = stories(_told(settings))
    found = told.get(which) or newest_in(told.values(), which)
    if found is None:
        like = alike(which, {each.last.scope for each in told.values()})
        raise not_found(
            f"There is no deployment {which}, nor one in a scope of that name; {like}. See "
            "`llmopt deployments list`."
        )
    if plot is not None:
        _draw(found, plot)
    if machine:
        show.document(
            {
                "id": found.last.id,
                "scope": found.last.scope,
                "in_words": found.in_words(),
                "steps": found.rungs(),
                "events": found.events,
                "looks": found.looks,
                "moves": found.moves,
                "plot": None if plot is None else str(plot),
            }
        )
        return
    _tell(found, _decision(settings, found.last.decision_id))
    if plot is not None:
        click.echo(f"\nDrawn in {plot}.")


def _tell(found: Story, decision: Decision | None) -> None:
    """Print a rollout for people."""
    last = found.last
    click.echo(found.in_words())
    if found.last.reason not in found.in_words():
        click.echo(last.reason)
    click.echo()
    show.facts(
        [
            ("scope", last.scope),
            ("stable", _named(last.stable_model, last.stable_version)),
            ("candidate", _named(last.candidate_model, last.candidate_version)),
            ("strategy", last.strategy or None),
            ("asks until", show.moment(last.asks_until)),
            ("decision", last.decision_id),
            ("because", None if decision is None else " ".join(decision.reasons)),
        ]
    )
    if rungs := found.rungs():
        click.echo()
        show.table(
            ("step", "share", "since", "took", "looks", "verdict"),
            [
                (
                    f"{each.step} of {last.steps}" if each.step else "waits",
                    _share(each.share, each.shadow),
                    show.moment(each.entered),
                    show.lasted((each.left or found.until) - each.entered)
                    + (" so far" if each.left is None else ""),
                    each.looks,
                    None if each.verdict is None else each.verdict.name.lower(),
                )
                for each in rungs
            ],
            empty="",
        )
    if found.guardrails:
        click.echo()
        show.table(COLUMNS, over_time(found), empty="")
        click.echo()
        for rail in found.guardrails:
            click.echo(f"{rail.metric}: {rail.sentence}")
    click.echo()
    show.table(
        ("at", "phase", "share", "by", "what happened"),
        [
            (show.moment(e.at), e.phase.value, _share(e.share, e.shadow), e.by, e.reason)
            for e in found.events
        ],
        empty="",
    )


def _named(model: str | None, version: str | None) -> str | None:
    return None if model is None else f"{model} ({version})"


def _share(share: int, shadow: int) -> str:
    return f"copies of {show.share(shadow)}" if shadow else show.share(share)


def _drawable(file: Path) -> None:
    """Refuse a file that no picture can be written to, before anything is read."""
    if file.suffix.lower() != ".png":
        raise click.BadParameter(f"{str(file)!r} does not end in .png.", param_hint="--plot")
    if not file.absolute().parent.is_dir():
        raise click.BadParameter(f"There is no folder {file.parent}.", param_hint="--plot")


def _draw(found: Story, file: Path) -> None:
    from streams.cli import plot  # noqa: PLC0415  # only a picture is worth the import of matplotlib

    try:
        plot.write(found, file)
    except OSError as error:
        raise Failure(f"{file} cannot be written: {error.strerror}.") from error


def _decision(settings: Settings, id_: str | None) -> Decision | None:
    """The decision that began a rollout; None when there was none, or it is kept no more."""
    if id_ is None:
        return None
    with home.codec(settings) as codec:
        found = [seen.value for seen in records(settings, codec, DECISIONS)]
    return next((e for e in reversed(found) if isinstance(e, Decision) and e.id == id_), None)


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
    newest = {id_: each.last for id_, each in stories(_told(settings)).items()}
    going = {each.scope: each for each in newest.values() if each.phase not in ENDS}
    meant = newest[which].scope if which in newest else which
    rollout = going.get(meant)
    if rollout is None or (which in newest and rollout.id != which):
        if which in newest:
            over = f"{which} is over"
        else:
            over = f"No rollout is active in {which}" if "/" in which else f"No rollout is {which}"
        raise not_found(f"{over}: see `llmopt deployments list --active`.")
    command = give.command(kind, rollout.scope, reason, by, rollout_id=rollout.id)
    with home.codec(settings) as codec:
        answer = give.asked(settings, codec, command)
    event = answer.event
    if event is None:
        raise give.nobody(answer)
    if machine:
        show.document({"command": command, "event": event})
        return
    if event.phase not in ENDS:
        click.echo(f"{event.scope}: {event.reason} See `llmopt deployments show {event.id}`.")
        return
    if not event.revision:
        click.echo(f"{event.scope} stays with {event.stable_model}. {event.reason}")
        return
    promoted = event.phase is Phase.PROMOTED
    serves = event.candidate_model if promoted else event.stable_model
    version = event.candidate_version if promoted else event.stable_version
    click.echo(
        f"{event.scope} is served {serves} {version} (revision {event.revision}). {event.reason}"
    )


def _told(settings: Settings) -> list[object]:
    """Every record of the topic, in the order of writing."""
    with home.codec(settings) as codec:
        return [seen.value for seen in records(settings, codec, DEPLOYMENTS)]
