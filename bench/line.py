"""The one line that a bench ends with: what it measured, against what, at which commit."""

from __future__ import annotations

import json
import math
import operator
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).parents[1]
WRITTEN = ("bench/results.json", "README.md")  # by the benches themselves
MEETS = {"<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A further figure of a bench that has a bar of its own; see `report` for the fields."""

    what: str
    value: float
    unit: str
    bar: float
    at: Literal["<=", ">="] = "<="
    why: str = ""  # there is no value

    def line(self) -> dict[str, Any]:
        """What the line of the bench says of it."""
        return {"what": self.what, **_told(self.value, self.unit, self.bar, self.at, self.why)}


def report(
    name: str,
    value: float,
    unit: str,
    *,
    bar: float | None = None,
    at: Literal["<=", ">="] = "<=",
    why: str = "",
    also: Sequence[Figure] = (),
    vs: Mapping[str, float] | None = None,
    cpu_us_per_event: float | None = None,
    **more: Any,
) -> None:
    """Print the line of a bench, and end the process with 1 if a bar is missed.

    Call it last.

    Args:
        name: The bench, as its file is called.
        value: The figure of the claim; NaN, which is nothing measured, meets no bar.
        unit: Of the value.
        bar: What the value must reach, in its unit; None if nothing was promised.
        at: Whether the value must stay at or below the bar, or come to it from below.
        why: There is no value, where there is none.
        also: What else was promised, each with its own bar and its own `ok`.
        vs: Ratios against peers measured in the same run, by the peer's name.
        cpu_us_per_event: CPU time per event, in µs, where the bench is about events.
        more: Further figures worth keeping.

    Raises:
        SystemExit: A bar is missed; the line is printed before.
    """
    line = {
        "bench": name,
        **_told(value, unit, bar, at, why),
        **({"also": [each.line() for each in also]} if also else {}),
        "vs": dict(vs or {}),
        **({} if cpu_us_per_event is None else {"cpu_us_per_event": cpu_us_per_event}),
        **more,
        "commit": commit(),
    }
    print(json.dumps(line, ensure_ascii=False), flush=True)
    if not met(line):
        raise SystemExit(1)


def met(line: Mapping[str, Any]) -> bool:
    """Whether a bench has reached every bar that it has."""
    return all(each.get("ok") is not False for each in (line, *line.get("also", ())))


def measured(line: Mapping[str, Any], number: Callable[[float], str]) -> str:
    """The figure of a line, with its unit; where there is none, why.

    >>> measured({"value": 1.5, "unit": "s"}, str)
    '1.5 s'
    >>> measured({"value": None, "unit": "s", "why": "it did not start"}, str)
    'not measured: it did not start'
    """
    if line["value"] is None:
        return f"not measured: {line['why']}" if line.get("why") else "not measured"
    return f"{number(line['value'])} {line['unit']}"


def _told(
    value: float, unit: str, bar: float | None, at: Literal["<=", ">="], why: str
) -> dict[str, Any]:
    ok = bar is None or bool(MEETS[at](value, bar))
    return {
        "value": None if math.isnan(value) else value,
        "unit": unit,
        **({"why": why} if math.isnan(value) and why else {}),
        **({} if bar is None else {"bar": bar, "at": at, "ok": ok}),
    }


def per_event(events: int, **cpu: float) -> dict[str, Any]:
    """CPU time per event, in µs, of each process; the worker's is what a bench has its bar for.

    Args:
        events: How many there were.
        cpu: Seconds of a core by process.
    """
    return {
        "cpu_us_per_event" if name == "worker" else f"{name}_us_per_event": round(
            seconds * 1e6 / events, 2
        )
        for name, seconds in cpu.items()
    }


def commit() -> str | None:
    """The commit that runs, with a + when files differ from it; None outside a repository.

    The kept figures, and the README that shows them, may differ: a bench writes them itself.
    """
    try:
        told, changed = (
            subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
            for words in (
                ("rev-parse", "--short=12", "HEAD"),
                ("status", "--porcelain", "-uno", "--", ".", *(f":!{name}" for name in WRITTEN)),
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return told.stdout.strip() + ("+" if changed.stdout.strip() else "")
