"""Write the tables that documents take from the program: `python docs/generate.py [--check]`.

A table stands between `<!-- NAME: made by docs/generate.py -->` and `<!-- end -->`.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from bench.line import measured as measured_of
from schemas.topics import NAMED, STAGES, Topic, changelog, dead_letters, journal, snapshots
from streams import metrics
from streams.cli import COMMANDS
from streams.settings import VARIABLES, Settings

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results.json"
DAY = 86_400_000
UNITS = (("d", DAY), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def topics() -> str:
    """Every topic; those that each stage or topic has of its own, once."""
    boxed = next(topic for topic in NAMED if topic.record is not None)
    every = [
        *NAMED,
        _of_any(changelog(STAGES[1]), STAGES[1], "STAGE"),
        _of_any(journal(STAGES[1]), STAGES[1], "STAGE"),
        _of_any(snapshots(STAGES[1]), STAGES[1], "STAGE"),
        _of_any(dead_letters(boxed), boxed.name, "TOPIC"),
    ]
    return table(
        ("topic", "holds", "key", "wire", "partitions", "kept"),
        [
            (
                f"`{topic.name}`",
                topic.holds,
                topic.key,
                "as it came" if topic.record is None else topic.wire,
                {"one": "1"}.get(topic.partitions, topic.partitions),
                _kept(topic.retention_ms),
            )
            for topic in every
        ],
    )


def _kept(milliseconds: int | None) -> str:
    return "newest per key" if milliseconds is None else f"{milliseconds // DAY} d"


def _of_any(topic: Topic, name: str, placeholder: str) -> Topic:
    words = {each.name: getattr(topic, each.name) for each in fields(topic)}
    words |= {each: words[each].replace(name, placeholder) for each in ("name", "holds")}
    if placeholder == "TOPIC":
        words["partitions"] = "as TOPIC"
    elif topic.partitions != changelog(STAGES[0]).partitions:
        words["partitions"] = "as what it reads"
    return Topic(**words)


def settings() -> str:
    """Every variable, what it is when it is not set, and what it means."""
    said = dict(
        re.findall(r"^    (\w+): \w+ = .*?  # (.+)$", inspect.getsource(Settings), re.MULTILINE)
    )
    defaults = Settings()
    rows = []
    for variable, (name, _) in VARIABLES.items():
        value = getattr(defaults, name)
        shown = _length(value) if name.endswith("_ms") else str(value)
        rows.append((f"`{variable}`", f"`{shown}`" if shown else "", said[name]))
    return table(("variable", "default", "meaning"), rows)


def _length(milliseconds: int) -> str:
    unit, size = next(each for each in UNITS if milliseconds % each[1] == 0)
    return f"{milliseconds // size}{unit}"


def measured() -> str:
    """Every metric of a worker."""
    found = [metrics.EVENTS, *metrics.DURATIONS.values(), *metrics.COUNTS.values()]
    kinds: dict[type, str] = {Counter: "counter", Histogram: "histogram", Gauge: "gauge"}
    rows = []
    for metric in (*found, metrics.PROGRESS):
        family = next(iter(metric.describe()))
        name = f"{family.name}_total" if isinstance(metric, Counter) else family.name
        labels = ", ".join(metric._labelnames)  # noqa: SLF001  # has no public name
        rows.append((f"`{name}`", kinds[type(metric)], labels, family.documentation))
    return table(("metric", "kind", "labels", "meaning"), rows)


def commands() -> str:
    """Every command of `llmopt`."""
    return table(
        ("command", "what for"),
        [(f"`llmopt {name}`", what) for name, (_, what) in sorted(COMMANDS.items())],
    )


def benches(results: Path = RESULTS) -> str:
    """What `make bench` has measured last; a sentence when it has not."""
    if not results.exists():
        return "Nothing has been measured on this tree yet: run `make bench`."
    kept = json.loads(results.read_text())
    lines: Mapping[str, Mapping[str, Any]] = kept["benches"]
    machine = kept["machine"]
    shown = table(
        ("bench", "measured", "bar", "CPU per event", "against"),
        [
            (
                f"`make bench-{name}`" if each is line else f"– {each['what']}",
                measured_of(each, _number),
                f"{each['at']} {_number(each['bar'])}" if each.get("bar") is not None else "",
                f"{_number(cost)} µs" if (cost := each.get("cpu_us_per_event")) else "",
                ", ".join(f"{_number(n)} × {peer}" for peer, n in each.get("vs", {}).items()),
            )
            for name, line in sorted(lines.items())
            for each in (line, *line.get("also", ()))
        ],
    )
    return f"{shown}\n\nOn {machine['cores']} cores, Python {machine['python']}."


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


TABLES: Mapping[str, Callable[[], str]] = {
    "topics": topics,
    "settings": settings,
    "metrics": measured,
    "commands": commands,
    "benches": benches,
}
DOCUMENTS = ("README.md", "docs/architecture.md", "docs/runbook.md")
PLACE = re.compile(r"(<!-- (\w+): made by docs/generate\.py -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """*text* with every table in it as it must be."""
    return PLACE.sub(lambda place: f"{place[1]}\n{TABLES[place[2]]()}\n\n{place[3]}", text)


def main() -> int:
    """Fill in the documents, or say which are not current.

    Returns:
        The exit status: 1 when a document was not current and was only to be checked.
    """
    stale = []
    for name in DOCUMENTS:
        file = ROOT / name
        before = file.read_text()
        after = filled(before)
        if before != after:
            stale.append(name)
            if "--check" not in sys.argv[1:]:
                file.write_text(after)
    if stale and "--check" in sys.argv[1:]:
        sys.stderr.write(f"Not current: {', '.join(stale)}; run `make docs`.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
