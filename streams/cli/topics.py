"""llmopt topics: create what is missing, compare the rest."""

from __future__ import annotations

from collections.abc import Sequence

import click

from schemas.topics import TOPICS
from streams.cli import home, show
from streams.cli.failure import NOT_FOUND, not_found
from streams.cli.help import Group, example
from streams.provision import Drift, apply, drift, partitions_of, register


@click.group(cls=Group)
@example("llmopt topics apply")
def topics() -> None:
    """Create, list and compare the topics."""


@topics.command("apply")
@show.as_json
@example("LLMOPT_PARTITIONS_DERIVED=8 llmopt topics apply")
def apply_(*, machine: bool) -> None:
    """Create missing topics and register all schemas.

    Nothing is ever deleted or changed: a topic that is not as declared is shown, and the exit
    code is 3.
    """
    settings = home.reached()
    applied = apply(settings)
    schemas = register(settings)
    if machine:
        show.document(
            {
                "created": applied.created,
                "unchanged": applied.unchanged,
                "drift": applied.drift,
                "schemas": schemas,
            }
        )
    else:
        click.echo(
            f"{len(applied.created)} topics created, {len(applied.unchanged)} there already, "
            f"{len(schemas)} schemas registered."
        )
        _differences(applied.drift)
    if applied.drift:
        raise click.exceptions.Exit(NOT_FOUND)


@topics.command("list")
@show.as_json
@example("llmopt topics list --json | jq -r '.[].name'")
def list_(*, machine: bool) -> None:
    """List every topic: what it holds, its key, how it is kept."""
    settings = home.settings()
    rows = [
        {
            "name": topic.name,
            "holds": topic.holds,
            "key": topic.key,
            "wire": topic.wire if topic.record is not None else None,
            "partitions": partitions_of(topic, settings),
            "retention_ms": topic.retention_ms,
        }
        for topic in TOPICS.values()
    ]
    if machine:
        show.document(rows)
        return
    show.table(
        ("topic", "holds", "key", "wire", "partitions", "kept"),
        [
            (r["name"], r["holds"], r["key"], r["wire"], r["partitions"], _kept(r["retention_ms"]))
            for r in rows
        ],
        empty="",
    )


@topics.command("show")
@click.argument("name", required=False)
@show.as_json
@example("llmopt topics show llmopt.config.v1")
def show_(name: str | None, *, machine: bool) -> None:
    """Compare the cluster's topics with what is declared; exit code 3 when they differ."""
    if name is not None and name not in TOPICS:
        raise not_found(f"No topic is called {name}: see `llmopt topics list`.")
    found = [each for each in drift(home.reached()) if name in (None, each.topic)]
    if machine:
        show.document(found)
    elif found:
        _differences(found)
    else:
        click.echo(f"{name or f'All {len(TOPICS)} topics'}: as declared.")
    if found:
        raise click.exceptions.Exit(NOT_FOUND)


def _differences(drift: Sequence[Drift]) -> None:
    if drift:
        show.table(
            ("topic", "setting", "declared", "on the cluster"),
            [(each.topic, each.setting, each.declared, each.actual) for each in drift],
            empty="",
            title="Not as declared (nothing was changed; use kafka-configs or kafka-topics):",
        )


def _kept(retention: object) -> str:
    return "newest per key" if retention is None else f"{int(str(retention)) // 86_400_000} days"
