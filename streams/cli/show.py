"""How commands answer: a table for people, one JSON document for programs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

F = TypeVar("F", bound=Callable[..., object])
NUMBER = re.compile(r"–|-?[\d.]+( %)?")  # or that there is none
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
    """Print *value*, of dataclasses and plain values, as JSON; NaN and infinities become null."""
    plain = msgspec.json.encode(value, order="deterministic")
    click.echo(msgspec.json.format(plain, indent=2).decode())


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str, title: str = ""
) -> None:
    """Print *rows* under *columns*, or *empty* when there are none; None is shown as a dash."""
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
