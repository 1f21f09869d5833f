"""What the cells of a file of somebody else's mean: numbers, times, or that there is nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

NOTHING = frozenset({"", "-", "–", "?", "n/a", "na", "nan", "none", "null", "inf", "-inf", "+inf"})
MONTH = re.compile(r"\d{4}-\d{2}")
DAY_FIRST = re.compile(r"\d{1,2}[/.]\d{1,2}[/.]\d{4}")
# Seconds since the epoch lie in these years, or a number is no time.
EARLIEST, LATEST = 631_152_000.0, 4_102_444_800.0  # 1990, 2100
UNITS = (1.0, 1e3, 1e6, 1e9)  # s, ms, µs, ns


class Unusable(Exception):
    """A file that cannot be read as it is; the sentence says what to change in it."""


def missing(cell: str) -> bool:
    """Whether a cell says that there is no value.

    >>> [missing(each) for each in ("", " NaN", "n/a", "0")]
    [True, True, True, False]
    """
    return cell.strip().lower() in NOTHING


def number(cell: str) -> float | None:
    """The number in a cell, NaN where it says that there is none; None where it is text.

    >>> number(" 1e3"), number("1,234.5"), number("12ms")
    (1000.0, 1234.5, None)
    """
    if missing(cell):
        return math.nan
    try:
        found = float(cell)
    except ValueError:
        plain = cell.strip()
        if not re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", plain):
            return None
        found = float(plain.replace(",", ""))
    return found if math.isfinite(found) else math.nan


def numbers(cells: Sequence[str]) -> list[float | None]:
    """`number` of each; at once where all are plain."""
    try:
        plain = np.array(cells, dtype=np.float64)
    except ValueError:
        return [number(cell) for cell in cells]
    return list(np.where(np.isfinite(plain), plain, math.nan).tolist())


def date(cell: str) -> float | None:
    """Seconds since the epoch of a date, with or without a time; UTC where it names no zone.

    >>> date("1970-01-02"), date("1970-01-01T01:00:00+01:00"), date("1970-02"), date("7")
    (86400.0, 0.0, 2678400.0, None)
    """
    plain = cell.strip()
    if MONTH.fullmatch(plain):
        plain += "-01"
    if len(plain) < 8 or not ("-" in plain[1:] or "/" in plain):
        return None
    try:
        found = datetime.fromisoformat(plain.replace("/", "-"))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def two_ways(cell: str) -> bool:
    """Whether a date has its day or its month first, nobody knows which.

    >>> two_ways("04/05/2021 10:00"), two_ways("2021/04/05")
    (True, False)
    """
    return DAY_FIRST.match(cell.strip()) is not None


def since_epoch(values: Floats) -> Floats | None:
    """Numbers as seconds since the epoch, whatever unit they count it in; None if they do not.

    >>> since_epoch(np.array([1.7e12, 1.7e12 + 60_000])).tolist()
    [1700000000.0, 1700000060.0]
    """
    if not values.size:
        return None
    for unit in UNITS:
        seconds: Floats = values / unit
        if float(seconds.min()) >= EARLIEST and float(seconds.max()) <= LATEST:
            return seconds
    return None
