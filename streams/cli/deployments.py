"""llmopt deployments: rollouts, step by step, with the evidence of each."""

from __future__ import annotations

import click

from schemas.rollout import Deployment, Phase
from schemas.topics import DEPLOYMENTS
from streams.cli import home, show
from streams.cli.failure import not_found
from streams.cli.help import example
from streams.reading import records
from streams.settings import Settings


@click.group()
@example("llmopt deployments list --active")
def deployments() -> None:
    """See rollouts, step by step."""


@deployments.command("list")
@click.option("--scope", help="Only of this scope.")
@click.option("--active", is_flag=True, help="Only those that are not over.")
@click.option("--limit", default=20, show_default=True, help="How many, newest first.")
@show.as_json
@example("llmopt deployments list --scope search/answer")
def list_(scope: str | None, *, active: bool, limit: int, machine: bool) -> None:
    """List rollouts and manual changes, each as it stands, newest first."""
    going = (Phase.PENDING, Phase.RAMPING, Phase.PAUSED)
    newest: dict[str, Deployment] = {}
    for each in _all(home.reached()):
        newest.pop(each.id, None)  # so that the order is that of the last event
        newest[each.id] = each
    found = [
        each
        for each in reversed(newest.values())
        if scope in (None, each.scope) and (not active or each.phase in going)
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


def _all(settings: Settings) -> list[Deployment]:
    """Every event, in the order of writing; of two with one name the last counts."""
    events: dict[tuple[str, int], Deployment] = {}
    with home.codec(settings) as codec:
        for seen in records(settings, codec, DEPLOYMENTS):
            if isinstance(seen.value, Deployment):
                events[seen.value.id, seen.value.sequence] = seen.value
    return list(events.values())
