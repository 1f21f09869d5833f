"""How commands answer: a table for people, one JSON document for programs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import TypeVar

import click
import msgspec

from schemas.rollout import Verdict
from schemas.scope import BUCKETS
from streams.cli.failure import ANSWERED

F = TypeVar("F", bound=Callable[..., object])
NUMBER = re.compile(r"–|-?[\d.]+( %)?")  # or that there is none
SHARES = frozenset({"share", "shadow"})  # of the units, whole numbers: hundredths of a percent
WIDE = 200  # columns where nobody's terminal sets a limit


def as_json(command: F) -> F:
    """Give *command* the option --json, as the argument `machine`."""
    return click.option("--json", "machine", is_flag=True, help="One JSON document, nothing else.")(
        command
    )


def newest(command: F) -> F:
    """Give *command* the option --limit, as the argument `limit`."""
    return click.option(
        "--limit",
        type=click.IntRange(1),
        default=20,
        show_default=True,
        help="How many, newest first.",
    )(command)


def document(value: object) -> None:
    """Print *value*, of dataclasses and plain values, as JSON; NaN and infinities become null.

    Verdicts become words, and shares of the units fractions of 1: their codes are the topics'.
    """
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[ANSWERED] = True
    plain = msgspec.json.encode(readable(value))
    click.echo(msgspec.json.format(plain, indent=2).decode())


def readable(value: object) -> object:
    """*value* with verdicts as words, and shares of the units as fractions of 1.

    >>> from schemas.config import Split
    >>> readable([Split(rollout_id="r", salt="r", share=500), {"verdict": Verdict.FAIL}])[1]
    {'verdict': 'fail'}
    >>> readable(Split(rollout_id="r", salt="r", share=500, shadow=25))["share"]
    0.05
    """
    if isinstance(value, Verdict):
        return value.name.lower()
    if is_dataclass(value):
        plain = {each.name: readable(getattr(value, each.name)) for each in fields(value)}
        for name in SHARES & plain.keys():
            part = plain[name]
            plain[name] = part / BUCKETS if isinstance(part, int) else part
        return plain
    if isinstance(value, Mapping):
        return {name: readable(value[name]) for name in sorted(value)}
    if isinstance(value, set | frozenset):
        return [readable(part) for part in sorted(value)]
    if isinstance(value, list | tuple):
        return [readable(part) for part in value]
    return value


def filters(*given: tuple[str, str | None]) -> list[str]:
    """What was given of options and arguments, as it was typed.

    >>> filters(("", "search/answer"), ("--kind ", None), ("--metric ", "quality"))
    ['search/answer', '--metric quality']
    """
    return [f"{option}{value}" for option, value in given if value is not None]


def unmatched(
    things: str, count: int, filters: Iterable[str], wanted: str | None, scopes: Iterable[str]
) -> str:
    """That nothing is left by the *filters*, and what there is without them.

    Args:
        things: What is listed, in the plural.
        count: How many there are without the filters, at least one.
        filters: As they were given.
        wanted: The scope that was asked for, if one was.
        scopes: Of which these are.

    >>> unmatched("decisions", 14, ["--scope serch/answer"], "serch/answer", ["search/answer"])
    'No decisions match --scope serch/answer. Without it there are 14; nearest: search/answer.'
    """
    from schemas.shape import alike  # noqa: PLC0415  # a stop needs none

    given = [*filters]
    which = "it" if len(given) == 1 else "them"
    are = "is" if count == 1 else "are"
    known = set(scopes)
    like = "" if wanted is None or wanted in known else f"; {alike(wanted, known)}"
    return f"No {things} match {' '.join(given)}. Without {which} there {are} {count:,}{like}."


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str, title: str = ""
) -> None:
    """Print *rows* under *columns*, or *empty* when there are none; None is shown as a dash."""
    from rich.console import Console  # noqa: PLC0415  # only a table needs it, and a stop has none
    from rich.table import Table  # noqa: PLC0415  # the same
    from rich.text import Text  # noqa: PLC0415  # the same

    lines = [[_cell(value) for value in row] for row in rows]
    if not lines:
        click.echo(empty)
        return
    drawn = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        numbers = all(NUMBER.fullmatch(line[index]) for line in lines)
        drawn.add_column(Text(column), justify="right" if numbers else "left", overflow="fold")
    for line in lines:
        drawn.add_row(*(Text(cell) for cell in line))
    stream = click.get_text_stream("stdout")
    width = None if stream.isatty() else WIDE
    Console(file=stream, width=width, highlight=False).print(drawn)


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one a line, without those that are None."""
    kept = [(name, _cell(value)) for name, value in pairs if value is not None]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        click.echo(f"{name:<{width}}  {value}")


def moment(milliseconds: int | None) -> str | None:
    """A time in ms since the epoch, as people read it, UTC.

    >>> moment(0)
    '1970-01-01 00:00:00'
    """
    if milliseconds is None or not 0 <= milliseconds < 253_402_300_800_000:  # the year 10000
        return None
    return datetime.fromtimestamp(milliseconds // 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def share(hundredths: int) -> str:
    """A share of the units in hundredths of a percent.

    >>> share(500), share(25)
    ('5 %', '0.25 %')
    """
    return f"{hundredths / 100:g} %"


def lasted(milliseconds: int) -> str:
    """A time span as people say it, rounded down to two units.

    >>> lasted(45_000), lasted(840_000), lasted(7_500_000), lasted(183_600_000)
    ('45 s', '14 min', '2 h 5 min', '2 d 3 h')
    """
    seconds = max(0, milliseconds) // 1_000
    if seconds < 60:
        return f"{seconds} s"
    spans = [("d", seconds // 86_400), ("h", seconds // 3_600 % 24), ("min", seconds // 60 % 60)]
    first = next(i for i, (_, count) in enumerate(spans) if count)
    return " ".join(f"{count} {unit}" for unit, count in spans[first : first + 2] if count)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
