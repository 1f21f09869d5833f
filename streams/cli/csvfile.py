"""A CSV file of somebody else's as series over time, with every repair stated."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from streams.cli.cells import Floats, Unusable, date, missing, numbers, since_epoch, two_ways
from streams.cli.show import moment

TIMES: tuple[str, ...] = ("timestamp", "time", "datetime", "date", "unix_timestamp", "ts", "at")
TIMES += ("start", "t", "hour", "day", "month", "year", "index", "")
LONGEST_HEADER = 4  # lines
MOST_LISTED = 8  # names in a sentence
WIDER = 1.5  # times the usual step: a gap


class Series(NamedTuple):
    """The points of one column that have a value."""

    name: str
    times: Floats  # s since the epoch; where the file has no dates, as it counts
    values: Floats  # finite


@dataclass(frozen=True)
class Table:
    """The columns of a file that are numbers, their rows in the order of time, one for each time.

    Raises:
        Unusable: A column that is asked for is not there, or has too few values.
    """

    file: str
    time: str | None  # the column of times; None where rows are counted
    dated: bool  # times are seconds since the epoch
    times: Floats  # [n], rising
    columns: Mapping[str, Floats]  # [n] each, NaN where there is no value
    repairs: tuple[str, ...]  # what was not as it should be, and what was done about it

    def series(self, name: str, least: int = 2) -> Series:
        """The points of column *name*; one of fewer than *least* is refused."""
        if name not in self.columns:
            raise Unusable(
                f"{self.file} has no column {name!r} of numbers; it has {listed(self.columns)}"
            )
        values = self.columns[name]
        there = np.isfinite(values)
        n = int(there.sum())
        if n < least:
            points = "1 point" if n == 1 else f"{n} points"
            raise Unusable(f"{self.file}: {name!r} has {points}; this needs at least {least}")
        return Series(name, self.times[there], values[there])

    def when(self, time: float) -> str:
        """A time of the table, as people read it."""
        if self.dated:
            return moment(math.floor(time * 1_000)) or f"{time:.15g}"
        return f"{time:.15g}" if self.time is not None else f"row {time:.15g}"


def read(file: Path, wanted: Sequence[str] = ()) -> Table:
    """Read *file*: its columns of numbers by name, and its times.

    The header is the first line, or the first few as long as they are all text. Times stand in a
    column that is called so, or else in the first one of dates. Cells that say that there is no
    value (empty, NaN, n/a …) are none. Text in a column of numbers, lines that are too short or
    too long, and dates that can be read two ways are refused; rows that are out of order are
    sorted, and those of the same time become their mean.

    Args:
        file: Comma, semicolon, tab or bar between the cells; UTF-8.
        wanted: The columns to take; all that are numbers if none are named.

    Raises:
        Unusable: The file cannot be read, is no table, or lacks a column that is wanted.
    """
    lines = _lines(file)
    repairs: list[str] = []
    names, rows = _header(file.name, lines, repairs)
    cells = list(zip(*rows, strict=True)) if rows else []
    time = _time(names, cells)
    dated, times = _times(file.name, names, cells, time, repairs)
    left = [i for i in range(len(names)) if i != time and (not wanted or names[i] in wanted)]
    columns = {}
    for i in left:
        found = _values(file.name, names[i], cells[i], rows)
        if found is not None:
            columns[names[i]] = found
    for name in wanted:
        if name not in columns:
            there = [names[i] for i in range(len(names)) if i != time and _numeric(cells[i])]
            said = "is text" if name in names and names.index(name) != time else "is not there"
            said = "holds the times" if time is not None and name == names[time] else said
            raise Unusable(f"{file.name}: column {name!r} {said}; numbers are in {listed(there)}")
    if not columns:
        raise Unusable(f"{file.name} has no column of numbers beside its times")
    times, columns = _ordered(times, columns, repairs)
    _missing(columns, repairs)
    _gaps(times, repairs, dated=dated)
    named = None if time is None else names[time]
    return Table(file.name, named, dated, times, columns, tuple(repairs))


def read_events(file: Path) -> list[tuple[float, str]]:
    """What happened when, by a CSV with a column of times; the other cells say what.

    Raises:
        Unusable: The file cannot be read, is no table, or has no times or nothing else.
    """
    names, rows = _header(file.name, _lines(file), [])
    cells = list(zip(*rows, strict=True))
    time = _time(names, cells)
    if time is None or len(names) < 2:
        raise Unusable(f"{file.name} needs a column of times and one that says what happened")
    _, times = _times(file.name, names, cells, time, [])
    told = [" ".join(filter(None, (*row[:time], *row[time + 1 :]))) for row in rows]
    return sorted(zip(times.tolist(), told, strict=True))


def _lines(file: Path) -> list[tuple[int, list[str]]]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise Unusable(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unusable(f"{file.name} is not text in UTF-8; save it as CSV in UTF-8") from None
    if text.lstrip()[:1] in ("{", "["):
        raise Unusable(f"{file.name} looks like JSON; give a CSV file with a header")
    first = text.lstrip().partition("\n")[0]
    between = max(",;\t|", key=first.count)
    reader = csv.reader(text.splitlines(), delimiter=between, skipinitialspace=True)
    try:
        lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise Unusable(f"{file.name} is no CSV: line {reader.line_num}: {error}") from None
    if not lines:
        raise Unusable(f"{file.name} is empty")
    return lines


def _header(
    file: str, lines: list[tuple[int, list[str]]], repairs: list[str]
) -> tuple[list[str], list[list[str]]]:
    """The names of the columns, and the rows below them; all rows as long as the first line."""
    width = len(lines[0][1])
    for at, row in lines:
        if len(row) != width:
            raise Unusable(f"{file}: line {at} has {len(row)} cells and the first has {width}")
    length = 0
    while length < min(LONGEST_HEADER, len(lines)) and not any(map(_data, lines[length][1])):
        length += 1
    if length == 0:
        repairs.append("the first line is no header: columns are called column 1, column 2 …")
        names = [f"column {i + 1}" for i in range(width)]
    else:
        heads = [row for _, row in lines[:length]]
        names = [" ".join(filter(None, map(str.strip, head))) for head in zip(*heads, strict=True)]
        if length > 1:
            repairs.append(f"the first {length} lines are text: they are read as one header")
            # In the column of times each line says what it is itself; the last is of the times.
            names[0] = heads[-1][0].strip() or heads[0][0].strip()
    rows = [row for _, row in lines[length:]]
    if not rows:
        raise Unusable(f"{file} has a header and no row of numbers")
    seen: Counter[str] = Counter()
    for i, name in enumerate(names):
        seen[name] += 1
        if seen[name] > 1:
            names[i] = f"{name} ({seen[name]})"
    if twice := [name for name, count in seen.items() if count > 1]:
        repairs.append(f"{listed(twice)} stands more than once in the header: numbered")
    return names, rows


def _data(cell: str) -> bool:
    """Whether no header has such a cell."""
    if missing(cell):
        return False
    return numbers([cell])[0] is not None or date(cell) is not None or two_ways(cell)


def _time(names: list[str], cells: list[tuple[str, ...]]) -> int | None:
    """Which column has the times, by its name or else by its kind."""
    plain = [name.strip().lower() for name in names]
    for known in TIMES:
        for i, name in enumerate(plain):
            if name == known and (_numeric(cells[i]) or _dates(cells[i])):
                return i
    for i, column in enumerate(cells):
        if _dates(column):
            return i
    first = numbers(cells[0])
    if plain[0] == "column 1" and len(cells) > 1 and None not in first:
        steps = np.diff(np.array(first, dtype=np.float64))
        if steps.size and float(steps.min()) > 0.0 and np.ptp(steps) == 0.0:
            return 0  # without a name, but what rises evenly counts something
    return None


def _dates(column: Sequence[str]) -> bool:
    filled = [cell for cell in column if not missing(cell)]
    dates = sum(date(cell) is not None or two_ways(cell) for cell in filled)
    return 2 * dates > len(filled)


def _numeric(column: Sequence[str]) -> bool:
    filled = [cell for cell in column if not missing(cell)]
    return 2 * sum(each is not None for each in numbers(filled)) > len(filled)


def _times(
    file: str,
    names: list[str],
    cells: list[tuple[str, ...]],
    time: int | None,
    repairs: list[str],
) -> tuple[bool, Floats]:
    if time is None:
        repairs.append("no column has times: rows are counted")
        return False, np.arange(1.0, len(cells[0]) + 1.0)
    column, name = cells[time], names[time]
    dated = _dates(column)
    found: list[float | None] = [date(each) for each in column] if dated else numbers(column)
    for cell, each in zip(column, found, strict=True):
        if each is not None and not math.isnan(each):
            continue
        if two_ways(cell):
            raise Unusable(
                f"{file}: {cell!r} in column {name!r} can be read two ways; write it as 2021-05-04"
            )
        raise Unusable(f"{file}: {cell!r} in column {name!r} is no time")
    times = np.array(found, dtype=np.float64)
    epoch = None if dated else since_epoch(times)
    return dated or epoch is not None, times if epoch is None else epoch


def _values(file: str, name: str, column: tuple[str, ...], rows: list[list[str]]) -> Floats | None:
    """The numbers of a column; None when it has text or nothing."""
    found = numbers(column)
    if not _numeric(column):
        return None
    if None in found:
        at = found.index(None)
        where = ", ".join(rows[at])
        raise Unusable(
            f"{file}: {column[at]!r} in column {name!r} is no number (the row {where}); "
            "correct it, or leave the cell empty"
        )
    return np.array(found, dtype=np.float64)


def _ordered(
    times: Floats, columns: Mapping[str, Floats], repairs: list[str]
) -> tuple[Floats, dict[str, Floats]]:
    """Rows in the order of time, one for each time."""
    back = int((np.diff(times) < 0.0).sum())
    if back:
        places = "1 place" if back == 1 else f"{back} places"
        repairs.append(f"times go back in {places}: rows are sorted")
        order = np.argsort(times, kind="stable")
        times, columns = times[order], {name: x[order] for name, x in columns.items()}
    known, inverse = np.unique(times, return_inverse=True)
    if known.size == times.size:
        return times, dict(columns)
    again = times.size - known.size
    repairs.append(
        f"{again} {'row has' if again == 1 else 'rows have'} the time of another: "
        "rows of one time are replaced by their mean"
    )
    merged = {}
    for name, values in columns.items():
        there = np.isfinite(values)
        n = np.bincount(inverse[there], minlength=known.size)
        total = np.bincount(inverse[there], weights=values[there], minlength=known.size)
        merged[name] = np.divide(total, n, out=np.full(known.size, math.nan), where=n > 0)
    return known, merged


def _missing(columns: Mapping[str, Floats], repairs: list[str]) -> None:
    gone = {name: int(np.isnan(values).sum()) for name, values in columns.items()}
    gone = {name: count for name, count in gone.items() if count}
    if len(gone) > MOST_LISTED:
        most = max(gone.values())
        repairs.append(f"values of {len(gone)} columns are missing, up to {most} each: left out")
        return
    for name, count in gone.items():
        repairs.append(f"{count} of {columns[name].size} values of {name!r} are missing: left out")


def _gaps(times: Floats, repairs: list[str], *, dated: bool) -> None:
    steps = np.diff(times)
    if steps.size < 3:
        return
    usual = float(np.median(steps))
    wide = steps[steps > WIDER * usual]
    if not dated or usual <= 0.0 or wide.size == 0 or wide.size * 10 > steps.size:
        return  # not evenly spaced at all: there are no gaps in that
    gaps = "1 gap" if wide.size == 1 else f"{wide.size} gaps"
    repairs.append(
        f"{gaps} in the times, the longest {float(wide.max()) / usual:.3g} steps: left as they are"
    )


def listed(names: Sequence[str] | Mapping[str, object]) -> str:
    """Names for people, the first few of many.

    >>> listed(["p95", "quality"]), listed([]), listed("abcdefghij")
    ("'p95', 'quality'", 'none', "'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h' and 2 more")
    """
    shown = ", ".join(repr(name) for name in list(names)[:MOST_LISTED])
    more = len(names) - MOST_LISTED
    return shown + (f" and {more} more" if more > 0 else "") if names else "none"
