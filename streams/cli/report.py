"""llmopt deployments report: what a rollback was, in words."""

from __future__ import annotations

from collections.abc import Iterator

import click

from schemas.report import RollbackReport
from schemas.scope import BUCKETS
from schemas.topics import DEPLOYMENTS
from streams.cli import home, show
from streams.cli.failure import not_found
from streams.cli.help import example
from streams.reading import records


@click.command()
@click.argument("id_", metavar="SCOPE_OR_ID")
@click.option("--simulated", is_flag=True, help="Of a SCOPE, also what was only simulated.")
@show.as_json
@example("llmopt deployments report r-1f0c…", "llmopt deployments report search/answer --json")
def report(id_: str, *, simulated: bool, machine: bool) -> None:
    """Tell a rollback: what was taken back, why, on what evidence, whom it reached, how fast.

    Of the deployment with this ID, or the newest in this SCOPE. What was only simulated, by a
    trigger or by `llmopt config rollback --dry-run`, is told by its ID, or with --simulated.
    """
    settings = home.reached()
    with home.codec(settings) as codec:
        told = [seen.value for seen in records(settings, codec, DEPLOYMENTS)]
    reports = [each for each in told if isinstance(each, RollbackReport)]
    named = [each for each in reports if id_ in (each.id, each.scope)]
    found = [each for each in named if simulated or not each.simulated or each.id == id_]
    if not found:
        hint = " What was only simulated is told with --simulated." if named else ""
        raise not_found(
            f"There is no report of {id_}: only a rollback of something that was served has one. "
            f"See `llmopt deployments list`.{hint}"
        )
    if machine:
        show.document(found[-1])
        return
    for line in lines(found[-1]):
        click.echo(line)
    if found[-1].guardrails:
        click.echo()
        show.table(
            ("guardrail", "verdict", "in words"),
            [(g.metric, g.verdict.name.lower(), g.sentence) for g in found[-1].guardrails],
            empty="",
        )


def lines(told: RollbackReport) -> Iterator[str]:
    """A report in sentences, one a line."""
    what = f"{told.left_model} ({told.left_version})"
    stable = f"{told.restored_model} ({told.restored_version})"
    back = f"{stable} serves again"
    if told.restored_version is None:
        back = "the scope has no config of its own any more"
    whom = "all requests" if told.share == BUCKETS else f"{show.share(told.share)} of the units"
    nothing = "Nothing was done: this is a simulation."
    if told.refused:
        yield f"{told.scope}: nothing would be taken back. {told.reason}"
        yield nothing
        return
    if told.simulated and not told.share:
        yield f"{told.scope}: {what} would be taken back before it serves anybody; {stable} stays."
        yield nothing
        return
    if told.simulated:
        would = f"{stable} would serve again"
        yield f"{told.scope}: {what} would be taken back from {whom}; {would}."
        yield nothing
    else:
        yield f"{told.scope}: {what} was taken back from {whom}; {back}."
        yield f"It is revision {told.revision}, written at {show.moment(told.written_at)}."
    yield f"By {told.by}, for {_cause(told)}. {told.reason}"
    yield _reach(told)
    if told.seconds is None:
        yield "No evidence against it had been found before."
    else:
        first = show.moment(told.first_bad_at)
        passed = "would be restored" if told.simulated else "was restored"
        yield f"The evidence begins at {first}; {told.seconds:g} s later the config {passed}."


def _reach(told: RollbackReport) -> str:
    """How many requests it has served, as far as anybody knows."""
    if told.counted_since is None and not told.requests:
        since = "since it serves everybody" if told.share == BUCKETS else "yet"
        return (
            f"Its requests were not counted {since}: that is done minute by minute in a rollout, "
            "and afterwards while triggers watch what it ended with."
        )
    known = "that were counted"
    if told.counted_since is not None:
        known = f"counted since {show.moment(told.counted_since)}"
    failed = f"It had served {told.requests:,} requests {known}; {told.failed:,} of them failed"
    if told.first_bad_at is None:
        return f"{failed}."
    return f"{failed}, and {told.affected:,} came after the first bad evidence."


def _cause(told: RollbackReport) -> str:
    """What took it back, in words."""
    named = "" if told.trigger is None else f" {told.trigger}"
    return {
        "trigger": f"the trigger{named}",
        "guardrail": "guardrails that failed",
        "rule": f"the rule{named}",
        "command": "a command",
        "wait": "a wait without evidence that was over",
        "catalog": "the catalog, in which it may not be served any more",
    }[told.cause]
