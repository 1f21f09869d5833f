"""llmopt dev: what the pipeline runs on, on this machine."""

from __future__ import annotations

import shlex

import click

from infra import environment, state
from sinks.migrate import migrate
from streams import provision
from streams.cli import home, show
from streams.cli.failure import NOT_FOUND, Failure
from streams.cli.help import Group, example
from streams.settings import Settings, at, named


@click.group(cls=Group)
@example("llmopt dev up")
def dev() -> None:
    """Run Kafka, a schema registry and Postgres on this machine."""


@dev.command()
@show.as_json
@example("llmopt dev up", "llmopt worker")
def up(*, machine: bool) -> None:
    """Start what is not running; create topics, schemas and tables.

    What LLMOPT_BOOTSTRAP_SERVERS, LLMOPT_SCHEMA_REGISTRY_URL or LLMOPT_DATABASE_URL names is used
    as it is. Everything stays until `llmopt dev down`, the data longer.
    """
    home.settings()  # a broken setting is refused before anything is started
    running = environment.up(say=_say, given=named())
    settings = at(running.env())
    applied = provision.apply(settings)
    provision.register(settings)
    migrate(settings.database_url)
    if machine:
        show.document({"servers": _shown(settings), "created": applied.created})
        return
    show.facts(_shown(settings).items())
    click.echo("Other `llmopt` commands find it by themselves. Stop it with `llmopt dev down`.")


@dev.command()
@show.as_json
@example("llmopt dev down")
def down(*, machine: bool) -> None:
    """Stop what `llmopt dev up` has started; the data stays."""
    stopped = environment.down(say=_say)
    if machine:
        show.document({"stopped": stopped})


@dev.command()
@show.as_json
@example("llmopt dev status")
def status(*, machine: bool) -> None:
    """Say where it runs; exit code 3 when it does not."""
    running = state.running()
    servers = None if running is None else _shown(at(running.env()))
    if machine:
        show.document({"running": running is not None, "servers": servers})
    elif servers is None:
        click.echo("Nothing is running: start it with `llmopt dev up`.")
    else:
        show.facts(servers.items())
    if running is None:
        raise click.exceptions.Exit(NOT_FOUND)


@dev.command("env")
@show.as_json
@example('eval "$(llmopt dev env)"')
def env(*, machine: bool) -> None:
    """Print the variables that name the servers, for other programs; the database's password too.

    Exit code 3 when nothing is running.
    """
    running = state.running()
    if running is None:
        raise Failure("Nothing is running: start it with `llmopt dev up`.", NOT_FOUND)
    if machine:
        show.document(running.env())
        return
    for name, value in running.env().items():
        click.echo(f"export {name}={shlex.quote(value)}")


def _say(sentence: str) -> None:
    """What takes time is told beside the result."""
    click.echo(sentence, err=True)


def _shown(settings: Settings) -> dict[str, str]:
    """The servers, the database without its password."""
    return {
        "kafka": settings.bootstrap_servers,
        "registry": settings.schema_registry_url,
        "postgres": f"postgresql://…@{settings.database_url.rpartition('@')[2]}",
    }
