"""The one line that a bench ends with: what it measured, against what, at which commit."""

from __future__ import annotations

import json
import math
import operator
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).parents[1]
MEETS = {"<=": operator.le, ">=": operator.ge}


def report(
    name: str,
    value: float,
    unit: str,
    *,
    bar: float | None = None,
    at: Literal["<=", ">="] = "<=",
    also: Mapping[str, bool] | None = None,
    vs: Mapping[str, float] | None = None,
    cpu_us_per_event: float | None = None,
    **more: Any,
) -> None:
    """Print the line of a bench, and end the process with 1 if the bar is missed.

    Call it last.

    Args:
        name: The bench, as its file is called.
        value: The figure of the claim; NaN, which is nothing measured, meets no bar.
        unit: Of the value.
        bar: What the value must reach, in its unit; None if nothing was promised.
        at: Whether the value must stay at or below the bar, or come to it from below.
        also: Further bars in words, and whether each is met.
        vs: Ratios against peers measured in the same run, by the peer's name.
        cpu_us_per_event: CPU time per event, in µs, where the bench is about events.
        more: Further figures worth keeping.

    Raises:
        SystemExit: A bar is missed; the line is printed before.
    """
    ok = (bar is None or bool(MEETS[at](value, bar))) and all((also or {}).values())
    line = {
        "bench": name,
        "value": None if math.isnan(value) else value,
        "unit": unit,
        **({} if bar is None else {"bar": bar, "at": at, "ok": ok}),
        **({} if also is None else {"also": dict(also)}),
        "vs": dict(vs or {}),
        **({} if cpu_us_per_event is None else {"cpu_us_per_event": cpu_us_per_event}),
        **more,
        "commit": commit(),
    }
    print(json.dumps(line, ensure_ascii=False), flush=True)
    if not ok:
        raise SystemExit(1)


def commit() -> str | None:
    """The commit that runs, with a + when files differ from it; None outside a repository."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()
