"""llmopt replay: run recorded commits again and compare what they write."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import yaml
from rich.progress import Progress

from schemas.catalog import Entry
from schemas.topics import STAGES
from streams.cli import home, show
from streams.cli.failure import DIFFERENT, INCOMPARABLE, Failure
from streams.cli.help import example

if TYPE_CHECKING:
    from streams.exactly_once.replay import Replayed


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

    The replay starts at the last copy of a stage's state from before --from, or at the stage's
    first commit. Where commits, their input or such a copy are deleted by now, nothing can be said
    of the range: it says what is missing, and from when on it can be compared.

    Exit codes: 0 identical, 4 different, 5 it cannot be compared.
    """
    asked = [each.strip() for each in stages.split(",") if each.strip()]
    for each in asked:
        if each not in STAGES:
            raise click.UsageError(f"{each!r} is not a stage: choose from {', '.join(STAGES)}.")
    first, last = _time(since), _time(until)
    if first is not None and last is not None and first >= last:
        raise click.UsageError("--to is not after --from: give a later time.")
    settings = home.reached()
    from streams.exactly_once import replay as engine  # noqa: PLC0415  # numpy and all stages
    from streams.exactly_once.recording import Finding, Recording  # noqa: PLC0415  # the same
    from streams.stages import make  # noqa: PLC0415
    from streams.worker import at_width  # noqa: PLC0415

    settings = at_width(settings)
    found: list[engine.Replayed] = []
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
            done = engine.replay(
                stage, recording, since=first, until=last, progress=partial(bar.advance, task)
            )
            found.append(done)
            if done.finding is Finding.DIFFERENT:
                break  # what comes after it in the pipeline is of no more interest
    _show(found, machine=machine)
    worst = max((each.finding for each in found), default=Finding.INCOMPARABLE)
    if worst is Finding.DIFFERENT:
        raise Failure(f"The replay differs. {found[-1].why[0]}", DIFFERENT)
    if worst is Finding.INCOMPARABLE:
        raise Failure(_incomparable(found), INCOMPARABLE)


def _show(found: Sequence[Replayed], *, machine: bool) -> None:
    if machine:
        show.document(
            [dataclasses.asdict(each) | {"finding": each.finding.name.lower()} for each in found]
        )
        return
    show.table(
        (
            "stage",
            "partitions",
            "commits",
            "events read",
            "records compared",
            "from",
            "to",
            "result",
        ),
        [
            (
                *(f.stage, f.partitions, f.commits, f.events, f.outputs),
                *(_shown(f.first), _shown(f.last)),
                f.finding.name.lower(),
            )
            for f in found
        ],
        empty="",
    )


def _incomparable(found: Sequence[Replayed]) -> str:
    """What is missing, by stage, and from when on the rest is there."""
    lacking = [each for each in found if each.why]
    said = []
    for each in lacking:
        more = len(each.why) - 1
        said.append(f"{each.why[0]}" + (f" (and {more} more of {each.stage})" if more else ""))
    times = [each.earliest for each in lacking]
    known = [each for each in times if each is not None]
    hint = ""
    if known and len(known) == len(times):
        hint = f"\n  What is left can be compared with --from {_shown(max(known))}"
    return "The replay cannot be compared. " + ".\n  ".join(said) + "." + hint


def _shown(at: int | None) -> str:
    """A time as `--from` takes it; nothing for none."""
    if at is None:
        return ""
    return datetime.fromtimestamp(at / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


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
