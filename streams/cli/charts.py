"""The series of a file as pictures: their changes, their trend, and two beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from processors.analyze.change_points import Change
from processors.analyze.forecast import Forecast
from processors.analyze.samples import Beside, Outcome
from processors.analyze.trend import Direction, Trend
from streams.cli.cells import Floats
from streams.cli.csvfile import Table
from streams.cli.plot import BLUE, DPI, GREEN, GREY, INK, ORANGE, PALE, RED, WIDTH

PANELS = 6  # at most
TOP, BOTTOM, EACH = 0.95, 0.55, 2.4  # inches
MOST_TOLD = 12  # changes with a number beside them
ROOM = 0.05  # of the width of a panel, for a number
COLORS: Mapping[str, str] = {
    Direction.IMPROVING: GREEN,
    Direction.DEGRADING: RED,
    Outcome.BETTER: GREEN,
    Outcome.WORSE: RED,
    Direction.RISING: ORANGE,
    Direction.FALLING: ORANGE,
    Outcome.HIGHER: ORANGE,
    Outcome.LOWER: ORANGE,
}


def changed(
    table: Table,
    times: Floats,
    names: Sequence[str],
    values: Floats,
    lines: Floats,
    found: Sequence[Change],
) -> Figure:
    """Each series with the lines of its segments; a mark where it changed, and by how much."""
    count = "1 change" if len(found) == 1 else f"{len(found) or 'no'} changes"
    figure, panels = _panels(table, f"{count} in {times.size:,} points", names)
    at = _x(table, times)
    for axes, name, row, line, i in zip(panels, names, values, lines, range(PANELS), strict=False):
        _points(axes, at, row)
        ends = [0, *(each.index for each in found), times.size]
        for a, b in pairwise(ends):
            axes.plot(at[a:b], line[a:b], color=BLUE, linewidth=2.2, zorder=3)
        for each in found:
            axes.axvline(at[each.index], color=ORANGE, linewidth=1.2, linestyle=(0, (4, 3)))
        if len(found) <= MOST_TOLD:
            clear = -np.inf
            for each in found:
                side, place = each.sides[i], float(times[each.index] - times[0])
                if place < clear:
                    continue  # no room beside the one before
                told = f"{side.shift:+.3g}"
                if side.before:
                    told = f"{side.shift / abs(side.before):+.0%}"
                if told.strip("+-0%"):
                    _note(axes, (at[each.index], 0.97), told)
                    clear = place + ROOM * float(times[-1] - times[0])
        _frame(axes, table, name, last=axes is panels[-1])
    return figure


def detected(
    table: Table, shown: Sequence[tuple[str, Floats, Floats, Sequence[tuple[int, int, int]]]]
) -> Figure:
    """Each series (name, times, values, anomalies: first, last, highest), anomalies marked."""
    total = sum(len(each[3]) for each in shown)
    told = "1 anomaly" if total == 1 else f"{total or 'no'} anomalies"
    figure, panels = _panels(table, told, [each[0] for each in shown])
    for axes, (name, times, values, runs) in zip(panels, shown, strict=False):
        at = _x(table, times)
        axes.plot(at, values, color=GREY, linewidth=1.0)
        for first, last, _ in runs:
            axes.axvspan(at[first], at[last], color=RED, alpha=0.25, linewidth=1.5)
        tops = [top for _, _, top in runs]
        axes.plot(at[tops], values[tops], color=RED, marker="o", markersize=6, linestyle="none")
        count = "1 anomaly" if len(runs) == 1 else f"{len(runs) or 'no'} anomalies"
        _frame(axes, table, f"{name}: {count}", last=axes is panels[-1])
    return figure


def trended(
    table: Table,
    shown: Sequence[tuple[str, Floats, Floats, Trend, Forecast | None, Floats]],
    unit: tuple[str, float],
) -> Figure:
    """Each series (name, times, values, trend, forecast, its times) with its trend and forecast."""
    figure, panels = _panels(table, "trend and forecast", [each[0] for each in shown])
    for axes, (name, times, values, found, ahead, then) in zip(panels, shown, strict=False):
        at = _x(table, times)
        _points(axes, at, values)
        color = COLORS.get(found.direction, GREY)
        middle = float(np.median(values)) - found.slope * float(np.median(times))
        dashes = "solid" if found.direction in COLORS else (0, (5, 3))
        axes.plot(at, middle + found.slope * times, color=color, linewidth=2.2, linestyle=dashes)
        if ahead is not None:
            later = _x(table, then)
            axes.fill_between(later, ahead.low, ahead.high, color=BLUE, alpha=0.16, linewidth=0)
            axes.plot(later, ahead.mean, color=BLUE, linewidth=2.0)
            told = f"forecast, with {ahead.level:.0%} of the values"
            axes.text(1.0, 1.03, told, ha="right", fontsize=9, color=BLUE, transform=axes.transAxes)
        per, size = unit
        said = f"{name}: {found.direction}, {found.slope * size:+.3g} per {per}"
        said += f", p = {found.p:.2g}"
        _frame(axes, table, said, last=axes is panels[-1], color=color)
    return figure


def compared(
    files: tuple[Table, Table],
    samples: Mapping[str, tuple[Floats, Floats]],
    found: Sequence[Beside],
) -> Figure:
    """How the values of each metric are spread in both files, and how far their means differ."""
    shown = found[:PANELS]
    height = TOP + BOTTOM + EACH * max(len(shown), 1)
    figure = _headed(files[0].file + "  →  " + files[1].file, "two samples", height)
    grid = figure.add_gridspec(
        max(len(shown), 1),
        2,
        width_ratios=[1.6, 1.0],
        left=0.06,
        right=0.975,
        top=1.0 - TOP / height,
        bottom=BOTTOM / height,
        hspace=0.55,
        wspace=0.14,
    )
    for i, each in enumerate(shown):
        left, right = figure.add_subplot(grid[i, 0]), figure.add_subplot(grid[i, 1])
        _spread(left, samples[each.name], each, (files[0].file, files[1].file), first=i == 0)
        _difference(right, each, last=i == len(shown) - 1)
    return figure


def _spread(
    axes: Axes,
    pair: tuple[Floats, Floats],
    each: Beside,
    names: tuple[str, str],
    *,
    first: bool,
) -> None:
    """The part of the values up to each, as steps."""
    for values, color, name in zip(pair, (GREY, BLUE), names, strict=True):
        ordered = np.sort(values)
        part = np.arange(1, values.size + 1) / values.size
        axes.step(ordered, part, where="post", color=color, linewidth=1.8, label=name)
    low, high = np.quantile(np.concatenate(pair), [0.002, 0.998])
    room = 0.04 * (high - low) or 1.0
    axes.set_xlim(low - room, high + room)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.0%}"))
    color = COLORS.get(each.outcome, INK)
    axes.set_title(
        _plain(f"{each.name}: {each.outcome}"), loc="left", fontsize=11, color=color, weight="bold"
    )
    axes.set_title("part of the values up to …", loc="right", fontsize=9, color=GREY)
    if first:
        axes.legend(frameon=False, fontsize=9, loc="lower right")
    _plainly(axes)


def _difference(axes: Axes, each: Beside, *, last: bool) -> None:
    """The difference of the mean and of quantiles, with their intervals, by the value before."""
    rows = [("mean", each.before, each.difference)]
    rows += [(f"p{q.q * 100:g}", q.before, q.difference) for q in each.quantiles]
    color = COLORS.get(each.outcome, GREY)
    for y, (_, before, interval) in enumerate(reversed(rows)):
        by = abs(before) or 1.0
        axes.plot(
            [interval.low / by, interval.high / by], [y, y], color=color, linewidth=4, alpha=0.35
        )
        axes.plot(interval.value / by, y, marker="o", color=color, markersize=7)
    axes.axvline(0.0, color=INK, linewidth=1.0)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in reversed(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x * 100:+.3g} %" if x else "0"))
    axes.set_title(f"adjusted p = {each.adjusted_p:.2g}", loc="right", fontsize=9, color=GREY)
    if last:
        axes.set_xlabel("difference, with its 95 % interval", fontsize=9, color=GREY)
    _plainly(axes)


def _panels(table: Table, told: str, names: Sequence[str]) -> tuple[Figure, list[Axes]]:
    count = min(len(names), PANELS)
    height = TOP + BOTTOM + EACH * count
    if len(names) > PANELS:
        told += f"; the first {PANELS} of {len(names)} columns"
    figure = _headed(table.file, told, height)
    grid = figure.add_gridspec(
        count,
        1,
        left=0.07,
        right=0.985,
        top=1.0 - TOP / height,
        bottom=BOTTOM / height,
        hspace=0.32,
    )
    panels: list[Axes] = []
    for i in range(count):
        panels.append(figure.add_subplot(grid[i, 0], sharex=panels[0] if panels else None))
    return figure, panels


def _headed(title: str, told: str, height: float) -> Figure:
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
    top = 1.0 - 0.16 / height
    figure.text(0.03, top, _plain(title), fontsize=15, weight="bold", va="top")
    figure.text(0.985, top, _plain(told), fontsize=11, color=GREY, va="top", ha="right")
    return figure


def _points(axes: Axes, at: npt.NDArray[Any], values: Floats) -> None:
    """A thin line, with points where there are few; the highest 1 in 1,000 may leave the panel."""
    few = values.size <= 150
    axes.plot(
        at, values, color=GREY, linewidth=0.9, alpha=0.75, marker="." if few else "", markersize=5
    )
    axes.margins(x=0.01, y=0.12)


def _frame(axes: Axes, table: Table, name: str, *, last: bool, color: str = INK) -> None:
    axes.set_title(_plain(name), loc="left", fontsize=11, color=color, weight="bold")
    axes.yaxis.set_major_locator(MaxNLocator(5))
    _plainly(axes)
    axes.tick_params(labelbottom=last)
    if table.dated:
        locator = dates.AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        formatter = dates.ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_formatter(formatter)
    elif last:
        axes.set_xlabel(_plain(table.time or "row"), fontsize=9, color=GREY)


def _plainly(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    axes.tick_params(labelsize=8.5, color=PALE)


def _note(axes: Axes, at: tuple[Any, float], told: str) -> None:
    """A few words at the top of a panel, beside a line."""
    axes.annotate(
        _plain(told),
        at,
        xycoords=("data", "axes fraction"),
        xytext=(3, 0),
        textcoords="offset points",
        va="top",
        fontsize=8.5,
        color=INK,
        bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
        annotation_clip=False,
    )


def _x(table: Table, times: Floats) -> npt.NDArray[Any]:
    """Times as matplotlib takes them."""
    if not table.dated:
        return times
    return np.rint(times * 1_000.0).astype("datetime64[ms]")


def _plain(text: str) -> str:
    """Text in which a dollar is a dollar, not the beginning of a formula."""
    return text.replace("$", r"\$")
