"""llmopt replay: run recorded commits again and compare what they write."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click
import yaml
from rich.progress import Progress

from schemas.catalog import Entry
from schemas.topics import STAGES
from streams.cli import home, show
from streams.cli.failure import Failure
from streams.cli.help import example


@click.command()
@click.option("--from", "since", help="Compare commits from this time on (ISO 8601 or ms).")
@click.option("--to", "until", help="Compare commits before this time (ISO 8601 or ms).")
@click.option("--stages", default=",".join(STAGES), show_default=True, help="Which stages.")
@click.option(
    "--catalog",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A catalog file whose entries replace the recorded ones.",
)
@show.as_json
@example("llmopt replay", "llmopt replay --from 2026-11-23T12:00 --to 2026-11-23T13:00")
def replay(
    *, since: str | None, until: str | None, stages: str, catalog: Path | None, machine: bool
) -> None:
    """Run recorded commits again and compare what they write, byte by byte.

    Every commit is on the journal with what it read and when. The same input must give the same
    output; the first record that differs is an error that names it and what differs.
    """
    asked = [each.strip() for each in stages.split(",") if each.strip()]
    for each in asked:
        if each not in STAGES:
            raise click.UsageError(f"{each!r} is not a stage: choose from {', '.join(STAGES)}.")
    first, last = _time(since), _time(until)
    settings = home.reached()
    from streams.exactly_once import replay as engine  # noqa: PLC0415  # numpy and all stages
    from streams.exactly_once.recording import Diverged, Recording  # noqa: PLC0415  # the same
    from streams.stages import make  # noqa: PLC0415
    from streams.worker import at_width  # noqa: PLC0415

    settings = at_width(settings)
    found = []
    with home.codec(settings) as codec, Progress(disable=machine, transient=True) as bar:
        recording = Recording(
            brokers=settings.bootstrap_servers,
            codec=codec,
            partitions=engine.widths(settings.bootstrap_servers),
            override=_entries(catalog),
        )
        for name in asked:
            stage, _ = make(name, settings)
            task = bar.add_task(f"replaying {name}", total=None)
            try:
                done = engine.replay(
                    stage,
                    recording,
                    since=first,
                    until=last,
                    progress=partial(bar.advance, task),
                )
            except Diverged as difference:
                raise Failure(f"The replay differs. {difference}") from difference
            found.append(done)
    if machine:
        show.document([dataclasses.asdict(each) for each in found])
        return
    show.table(
        ("stage", "partitions", "commits", "events read", "records compared", "result"),
        [
            (f.stage, f.partitions, f.commits, f.events, f.outputs, "identical")
            if f.commits
            else (f.stage, f.partitions, 0, f.events, 0, "nothing to compare")
            for f in found
        ],
        empty="",
    )


def _time(text: str | None) -> int | None:
    """A time in ms since the epoch; without a zone it is UTC."""
    if text is None:
        return None
    if text.isdigit():
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(
            f"{text!r} is not a time: write 2026-11-23T12:00:00Z or ms since the epoch."
        ) from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000)


def _entries(path: Path | None) -> dict[str, Entry]:
    from schemas.declare import declare  # noqa: PLC0415  # only when asked for

    return {} if path is None else declare(yaml.safe_load(path.read_text()) or {})
