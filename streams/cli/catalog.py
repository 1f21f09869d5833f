"""llmopt catalog: what people declare, checked before anybody acts on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TextIO

import click
import msgspec
import yaml

from schemas.catalog import Entry
from schemas.declare import check, declare, gather
from schemas.errors import InvalidCatalog
from schemas.topics import CATALOG
from streams import kafka
from streams.cli import home, show
from streams.cli.failure import Failure
from streams.cli.help import Group, example
from streams.declared import declared
from streams.settings import Settings


@click.group(cls=Group)
@example("llmopt catalog apply infra/catalog/default.yaml --dry-run")
def catalog() -> None:
    """Declare models, prices, objectives, rules, constraints, strategies, triggers and more."""


@catalog.command("apply")
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@click.option("--prune", is_flag=True, help="Also delete the entries that FILE does not have.")
@show.as_json
@example("llmopt catalog apply my-catalog.yaml", "llmopt catalog apply - --dry-run < new.yaml")
def apply_(file: TextIO, *, dry_run: bool, prune: bool, machine: bool) -> None:
    """Declare what FILE (YAML) says; refused as a whole when any of it cannot be used."""
    settings = home.reached()
    known = declared(settings).entries
    wanted = declare(_document(file), {} if prune else known)
    changes = _changes(known, wanted, prune=prune)
    if not dry_run:
        _write(settings, {key: wanted.get(key) for key in changes})
    if machine:
        show.document({"applied": not dry_run, "changes": changes, "entries": len(wanted)})
        return
    kept = len(wanted) - sum(what != "deleted" for what in changes.values())
    show.table(
        ("entry", "would be" if dry_run else "is"), changes.items(), empty="Nothing changes."
    )
    if kept and changes:
        click.echo(f"{kept} entries are the same as before.")


@catalog.command("show")
@click.argument("prefix", required=False, default="")
@show.as_json
@example("llmopt catalog show model/openai", "llmopt catalog show rule --json")
def show_(prefix: str, *, machine: bool) -> None:
    """Show the entries in force, or those whose key (kind/id) begins with PREFIX."""
    found = declared(home.reached())
    entries = {key: entry for key, entry in found.entries.items() if key.startswith(prefix)}
    if machine:
        show.document(entries)
        return
    show.table(
        ("entry", "says"),
        [(key, _says(entry)) for key, entry in entries.items()],
        empty="The catalog has no such entry." if prefix else "The catalog is empty.",
    )
    for problem in (*found.refused, *check(gather(found.entries, 0))):
        click.echo(f"Ignored by the workers: {problem}", err=True)


def _document(file: TextIO) -> Mapping[str, object]:
    try:
        document = yaml.safe_load(file)
    except yaml.YAMLError as error:
        raise Failure(f"{file.name} is not YAML: {' '.join(str(error).split())}") from error
    if document is not None and not isinstance(document, Mapping):
        raise InvalidCatalog(f"{file.name} must hold sections like models and rules, not a list.")
    return document or {}


def _changes(
    known: Mapping[str, Entry], wanted: Mapping[str, Entry], *, prune: bool
) -> dict[str, str]:
    """Key → added, changed or deleted."""
    changes = {
        key: "changed" if key in known else "added"
        for key, entry in wanted.items()
        if known.get(key) != entry
    }
    if prune:
        changes |= {key: "deleted" for key in known if key not in wanted}
    return dict(sorted(changes.items()))


def _write(settings: Settings, entries: Mapping[str, Entry | None]) -> None:
    """Write *entries* in one transaction, so that no worker sees half of a catalog."""
    if not entries:
        return
    producer = kafka.transactional_producer(settings.bootstrap_servers, "llmopt.catalog.apply")
    producer.init_transactions(30)
    producer.begin_transaction()
    with home.codec(settings) as codec:
        for key, entry in entries.items():
            value = None if entry is None else codec.encode(CATALOG, entry)
            producer.produce(CATALOG.name, key=key, value=value, partition=0)
    producer.commit_transaction(30)


def _says(entry: Entry) -> str:
    """The fields of *entry* that are not what they would be anyway."""
    return ", ".join(
        f"{each.name} {msgspec.json.encode(value).decode()}"
        for each in dataclasses.fields(entry)
        if (value := getattr(entry, each.name)) != each.default and value not in ((), "")
    )
