"""The demo's ending, as a person wants to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from demo.promises import Evidence, Promise


def show(
    console: Console,
    promises: Sequence[Promise],
    evidence: Evidence,
    summary: Mapping[str, Any],
    seconds: float,
) -> None:
    """Three short tables, money, rollouts and promises; and where the picture is."""
    console.print()
    console.print(money(summary))
    console.print(rollouts(evidence))
    console.print(kept(promises))
    broken = sum(not each.kept for each in promises)
    console.print(
        f"All {len(promises)} promises kept in {seconds:.0f} s."
        if not broken
        else f"{broken} of {len(promises)} promises BROKEN."
    )
    if evidence.picture is not None:
        id_, file = evidence.picture.id, evidence.picture.file
        console.print(f"The rollback as a picture: {file}", soft_wrap=True)
        console.print(f"  drawn by `llmopt deployments show {id_} --plot {file}`", soft_wrap=True)
    if not broken:
        console.print(
            "Next: `make up`, then `llmopt --help`; the README shows how to send your own."
        )


def money(summary: Mapping[str, Any]) -> Table:
    """What was spent, and what the first models would have cost."""
    table = Table(title="What was saved", title_justify="left")
    for name in ("service", "requests", "at first models", "spent", "saved"):
        table.add_column(name, justify="left" if name == "service" else "right")
    services = dict(sorted(summary["services"].items()))
    total = [0.0, 0.0, 0.0]
    for service, each in services.items():
        before, spent = each["default_cost_usd"], each["cost_usd"]
        total = [total[0] + each["requests"], total[1] + before, total[2] + spent]
        table.add_row(service, f"{each['requests']:,}", *_dollars(before, spent))
    table.add_section()
    table.add_row("all", f"{int(total[0]):,}", *_dollars(total[1], total[2]))
    return table


def _dollars(before: float, spent: float) -> tuple[str, str, str]:
    share = (before - spent) / before if before else 0.0
    return f"${before:,.2f}", f"${spent:,.2f}", f"${before - spent:,.2f} ({share:.0%})"


ENDED = {"promoted": "[green]promoted[/]", "rolled_back": "[yellow]rolled back[/]"}


def rollouts(evidence: Evidence) -> Table:
    """How each rollout ended, or stands, and why."""
    table = Table(title="What was rolled out", title_justify="left")
    for name in ("scope", "from", "to", "ended", "after", "why"):
        table.add_column(name)
    for each in evidence.endings:
        table.add_row(
            each.scope,
            each.stable_model,
            each.candidate_model,
            ENDED.get(each.phase, f"[cyan]{each.phase}[/]"),
            f"{each.minutes:.0f} min",
            each.reason,
        )
    return table


def kept(promises: Sequence[Promise]) -> Table:
    """Each promise and what it was judged by."""
    table = Table(title="What was promised", title_justify="left")
    for name in ("", "promise", "found"):
        table.add_column(name)
    for each in promises:
        table.add_row("[green]kept[/]" if each.kept else "[red]BROKEN[/]", each.name, each.sentence)
    return table
