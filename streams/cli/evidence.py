"""The evidence of a rollout over time, as a terminal can show it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from schemas.rollout import Guardrail, Look
from schemas.scope import BUCKETS
from streams.cli.story import Story, rail

CELLS = 36  # characters that time is drawn in, at most
LEVELS = "▁▂▃▄▅▆▇█"
MOST_ODDS = math.log(1e6)  # beyond, a number says no more


COLUMNS = ("", "over time", "evidence", "limit", "harm at most", "margin", "verdict")


def over_time(story: Story) -> list[tuple[object, ...]]:
    """Rows of a table of COLUMNS: the share, then each guardrail, with a line over the looks.

    The line of a guardrail is the e-value's logarithm as a part of its limit's; it is full where
    the limit was reached.
    """
    runs = _runs(story.looks)
    rows: list[tuple[object, ...]] = []
    if runs:
        shares = [[each.share / BUCKETS for each in run] for run in runs]
        rows.append(("share", _line(shares), *[None] * 5))
    for now in story.guardrails:
        heights = [[_height(rail(each, now.metric)) for each in run] for run in runs]
        rows.append(
            (
                now.metric,
                _line(heights),
                odds(now.log_e),
                odds(now.limit),
                amount(now.metric, now.upper_harm),
                amount(now.metric, now.margin),
                now.verdict.name.lower(),
            )
        )
    return rows


def odds(log_e: float) -> str:
    """An e-value as a bet: what 1 that was staked on "the candidate is worse" has become.

    >>> odds(math.log(80.0)), odds(0.0), odds(-math.log(12.0)), odds(40.0)
    ('80 : 1', '1 : 1', '1 : 12', '> 1,000,000 : 1')
    """
    if log_e < 0.0:
        beyond, value = "< ", -log_e
    else:
        beyond, value = "> ", log_e
    ratio = math.exp(min(value, MOST_ODDS))
    digits = f"{ratio:,.0f}" if ratio >= 9.95 else f"{ratio:.2g}"
    sides = f"{digits} : 1" if log_e >= 0.0 else f"1 : {digits}"
    return f"{beyond}{sides}" if value > MOST_ODDS + 1e-9 else sides


def amount(metric: str, harm: float | None) -> str:
    """A harm for people: of errors in percentage points, else relative.

    >>> amount("errors", 0.05), amount("latency", -0.1), amount("quality", None)
    ('5.0 pp', '-10.0 %', '–')
    """
    if harm is None:
        return "–"
    return f"{harm * 100:.1f} {'pp' if metric == 'errors' else '%'}"


def measured(metric: str, value: float | None) -> str:
    """A guardrail's value for people, in the unit of its metric.

    >>> measured("errors", 0.0041), measured("latency", 1234.5), measured("cost", 0.0016)
    ('0.41 %', '1,234 ms', '$0.0016')
    """
    if value is None:
        return "–"
    if metric == "errors":
        return f"{value * 100:.2f} %"
    if metric == "latency":
        return f"{value:,.0f} ms"
    return f"${value:.3g}" if metric == "cost" else f"{value:.1f}"


def _runs(looks: Sequence[Look]) -> list[Sequence[Look]]:
    """The looks in at most CELLS runs of the same length, but the last."""
    length = math.ceil(len(looks) / CELLS) or 1
    return [looks[i : i + length] for i in range(0, len(looks), length)]


def _line(cells: Iterable[Iterable[float | None]]) -> str:
    """The highest point of each cell; the full block is for 1 and above alone."""
    drawn = ""
    for cell in cells:
        top = max((each for each in cell if each is not None), default=None)
        drawn += " " if top is None else LEVELS[min(int(top * 7), 6) if top < 1.0 else 7]
    return drawn


def _height(guardrail: Guardrail | None) -> float | None:
    """How near an e-value has come to its limit, 0 to 1 and beyond; None when it was not judged."""
    if guardrail is None or guardrail.limit <= 0.0:
        return None
    return max(0.0, guardrail.log_e) / guardrail.limit
