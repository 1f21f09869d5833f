"""Run every bench, or those that are named, and show what they measured.

    python -m bench [NAME ...]

What was measured is kept in bench/results.json, by name. Exits with 1 when a bench misses its bar
or ends without a line, with 2 when there is no bench of that name.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.line import ROOT, measured, met

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
NAME = re.compile(r'^BENCH = "([a-z-]+)"$', re.MULTILINE)
NUMBERS = ("measured", "µs CPU/event")  # columns
Line = Mapping[str, Any]


def benches() -> dict[str, str]:
    """The module of each bench: a script beside this one that says what it is called."""
    found = {}
    for file in HERE.glob("*.py"):
        if said := NAME.search(file.read_text("utf-8")):
            found[said[1]] = f"bench.{file.stem}"
    return dict(sorted(found.items()))


def run(name: str, command: Sequence[str]) -> Line | None:
    """Run one bench, showing what it says; its line, or None when it ended without one."""
    last = ""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for text in process.stdout or ():
            if last.strip():
                print(last, end="", flush=True)
            last = text
    line = parsed(last)
    if line is None or line["bench"] != name:
        print(last, end="")
        print(f"{name}: it ended with {process.returncode} and without its line.", file=sys.stderr)
        return None
    return line if process.returncode == 0 or not met(line) else {**line, "ok": False}


def parsed(text: str) -> Line | None:
    """The line of a bench; None if *text* is something else."""
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and {"bench", "value", "unit"} <= line.keys() else None


def keep(file: Path, found: Mapping[str, Line]) -> None:
    """Write *found* beside what the file has of other benches."""
    before = json.loads(file.read_text("utf-8"))["benches"] if file.exists() else {}
    content = {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "benches": dict(sorted({**before, **found}.items())),
    }
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")


def table(names: Sequence[str], found: Mapping[str, Line]) -> Table:
    """A row for each bench that was run, and for each further figure of it."""
    shown = Table(box=None, pad_edge=False)
    for title in ("bench", "measured", "bar", "µs CPU/event", "against", ""):
        shown.add_column(title, justify="right" if title in NUMBERS else "left")
    for name in names:
        line = found.get(name)
        shown.add_row(name, *(_cells(line) if line else ("no line", "", "", "", "FAILED")))
        for each in line.get("also", ()) if line else ():
            shown.add_row(f"  {each['what']}", *_cells(each))
    return shown


def _cells(line: Line) -> tuple[str, ...]:
    bar, ok = line.get("bar"), line.get("ok")
    return (
        measured(line, _number),
        "" if bar is None else f"{line.get('at', '')} {_number(bar)}",
        _number(line.get("cpu_us_per_event")),
        ", ".join(f"{_number(ratio)} × {peer}" for peer, ratio in line.get("vs", {}).items()),
        "" if ok is None else "ok" if ok else "MISSED",
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}" if abs(value) < 1_000 else f"{value:,.0f}"


def main(arguments: Sequence[str]) -> int:
    """Run, show and keep; the exit status."""
    known = benches()
    unknown = [name for name in arguments if name not in known]
    if unknown:
        print(f"There is no bench {unknown[0]!r}; there are {', '.join(known)}.", file=sys.stderr)
        return 2
    names = tuple(arguments or known)
    found: dict[str, Line] = {}
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        line = run(name, (sys.executable, "-m", known[name]))
        if line is not None:
            found[name] = line
            keep(RESULTS, {name: line})
    Console(soft_wrap=True).print(table(names, found))
    return int(any(name not in found or not met(found[name]) for name in names))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
