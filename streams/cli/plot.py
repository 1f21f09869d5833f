"""A rollout as a picture: its shares, and each guardrail's evidence against its limit."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from schemas.rollout import Guardrail, Phase, Verdict
from streams.cli import show
from streams.cli.evidence import amount, measured, odds
from streams.cli.story import ENDS, Story, metrics, rail, reach, shares

WIDTH, DPI = 12.0, 100  # inches, dots an inch
# Okabe & Ito's colours, which people tell apart however they see them; marks differ in form, too.
BLUE, GREEN, RED, ORANGE = "#0072B2", "#009E73", "#D55E00", "#E69F00"
INK, GREY, PALE = "#222222", "#555555", "#D9D9D9"
MARKS = {
    Verdict.PASS: ("o", GREEN, "passes"),
    Verdict.INCONCLUSIVE: ("D", ORANGE, "inconclusive"),
    Verdict.FAIL: ("X", RED, "worse"),
}
SPANS = ((2, "days", 86_400_000), (3, "hours", 3_600_000), (0, "minutes", 60_000))  # from how many
LEAST, MOST = math.log(0.01), math.log(1e4)  # what lies beyond is drawn there, and said in figures
DECADES = tuple(decade * math.log(10.0) for decade in (-2, 0, 2, 4))
NAMES = {"errors": "error rate", "latency": "p95 latency"}


def write(story: Story, file: Path) -> None:
    """Write the picture, 1,200 pixels wide, as PNG; the same bytes for the same story.

    Raises:
        OSError: The file cannot be written.
    """
    draw(story).savefig(file, format="png", metadata={"Software": None})


def draw(story: Story) -> Figure:
    """The picture: shares over time and the verdict in words, then a row for each guardrail.

    On the left the e-value of "the candidate is worse", on a log scale: at its limit the rollout is
    taken back. On the right the upper bound of the harm: up to the margin the guardrail passes.
    """
    rows = [metric for metric in metrics(story) if _points(story, metric)]
    height = 3.4 + 1.75 * len(rows)
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
    grid = figure.add_gridspec(
        1 + len(rows),
        2,
        height_ratios=[1.35, *[1.0] * len(rows)],
        left=0.08,
        right=0.985,
        top=1.0 - 0.95 / height,
        bottom=0.55 / height,
        hspace=0.42,
        wspace=0.16,
    )
    _headline(figure, story, height)
    first = figure.add_subplot(grid[0, 0])
    _shares(first, story)
    _words(figure.add_subplot(grid[0, 1]), story)
    _frame(first, story, bottom=not rows)
    for i, metric in enumerate(rows, 1):
        left = figure.add_subplot(grid[i, 0], sharex=first)
        right = figure.add_subplot(grid[i, 1], sharex=first)
        _evidence(left, story, metric)
        _harm(right, story, metric)
        for axes in (left, right):
            _frame(axes, story, bottom=i == len(rows))
    return figure


def _headline(figure: Figure, story: Story, height: float) -> None:
    last = story.last
    first, second = 1.0 - 0.14 / height, 1.0 - 0.42 / height
    models = f"{last.stable_model or 'unknown'}  →  {last.candidate_model or 'unknown'}"
    figure.text(0.03, first, _plain(last.scope), fontsize=15, weight="bold", va="top")
    figure.text(0.03, second, _plain(models), fontsize=11, color=GREY, va="top")
    since = f"since {show.moment(story.began)} UTC"
    figure.text(0.985, first, _plain(last.id), fontsize=9, color=GREY, va="top", ha="right")
    figure.text(0.985, second, since, fontsize=9, color=GREY, va="top", ha="right")


def _words(axes: Axes, story: Story) -> None:
    """How it stands, the newest reason, who gave it, and what the marks mean."""
    last = story.last
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    headline = textwrap.wrap(story.in_words(), 52)
    reason = textwrap.wrap(last.reason, 78)
    room = 7 - len(headline)
    if len(reason) > room:
        reason = [*reason[: room - 1], f"{reason[room - 1]} …"]
    color = MARKS[last.verdict][1] if story.over else BLUE
    told = _plain("\n".join(headline))
    axes.text(0.0, 1.13, told, va="top", fontsize=12, color=color, weight="bold")
    below = 1.06 - 0.13 * len(headline)
    axes.text(0.0, below, _plain("\n".join(reason)), va="top", fontsize=9, linespacing=1.35)
    facts = f"by {last.by}" + (f", step {last.step} of {last.steps}" if last.steps else "")
    if story.looks:
        look = story.looks[-1]
        facts += f"; compared {look.stable_requests:,} and {look.candidate_requests:,} requests"
    axes.text(0.0, 0.13, _plain(facts), va="center", fontsize=8.5, color=GREY)
    for at, (marker, mark, word) in zip((0.0, 0.16, 0.38), MARKS.values(), strict=True):
        axes.plot(at + 0.01, 0.0, marker=marker, color=mark, markersize=7, clip_on=False)
        axes.text(at + 0.03, 0.0, word, va="center", fontsize=9, color=GREY)


def _shares(axes: Axes, story: Story) -> None:
    """The candidate's share as steps, with marks where it was paused and how it ended."""
    steps = [(_x(story, at), share / 100) for at, share in shares(story)]
    end = _x(story, story.until)
    xs, ys = [x for x, _ in steps] + [end], [y for _, y in steps] + [steps[-1][1]]
    axes.fill_between(xs, ys, step="post", color=BLUE, alpha=0.14, linewidth=0)
    axes.step(xs, ys, where="post", color=BLUE, linewidth=1.8)
    axes.set_ylim(0, 110)
    axes.set_yticks([0, 25, 50, 100])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g} %"))
    axes.set_title("share that the candidate serves", loc="left", fontsize=10)
    for rung in story.rungs():
        height = rung.share or rung.shadow
        if height:
            told = f"{show.share(height)}{', copies' if rung.shadow else ''}"
            _note(axes, (_x(story, rung.entered), height / 100), told, BLUE, (4, 8))
    for each in story.events:
        if each.phase is Phase.PAUSED:
            at = (_x(story, each.at), reach(each) / 100)
            axes.plot(*at, marker="s", color=ORANGE, markersize=7, clip_on=False)
            _note(axes, at, f"paused by {each.by}", INK, (6, 9))
    if story.over:
        raised = 0 if ys[-1] else 8  # above the axis
        _mark(axes, (end, ys[-1]), story.last.verdict, ENDS[story.last.phase], raised)


def _evidence(axes: Axes, story: Story, metric: str) -> None:
    """The e-value over time, and its limit."""
    seen = _points(story, metric)
    now = seen[-1][1]
    most = max(MOST, now.limit + 2.0)
    values = [min(max(each.log_e, LEAST), most) for _, each in seen]
    top = max(now.limit, *values) + 1.8
    axes.axhspan(now.limit, top, color=RED, alpha=0.08, linewidth=0)
    axes.axhline(now.limit, color=RED, linewidth=1.2, linestyle=(0, (5, 3)))
    axes.plot([x for x, _ in seen], values, color=BLUE, linewidth=1.8)
    axes.set_ylim(LEAST - 0.6, top)
    axes.set_yticks([each for each in DECADES if each < top])
    axes.yaxis.set_major_formatter(FuncFormatter(_odds_tick))
    _titles(axes, f"{_name(metric)}: evidence that it is worse", f"limit {odds(now.limit)}")
    _mark(axes, (seen[-1][0], values[-1]), now.verdict, odds(now.log_e))


def _harm(axes: Axes, story: Story, metric: str) -> None:
    """The upper bound of the harm over time, and the margin."""
    seen = _points(story, metric)
    now = seen[-1][1]
    compared = f"{measured(metric, now.candidate_value)} against "
    compared += measured(metric, now.stable_value)
    _titles(
        axes,
        f"{_name(metric)}: worse by at most",
        f"{compared}; margin {amount(metric, now.margin)}",
    )
    bounds = [math.nan if g.upper_harm is None else g.upper_harm for _, g in seen]
    known = [each for each in bounds if math.isfinite(each)]
    low, high = min(0.0, now.margin, *known), max(0.0, now.margin)
    # The first bounds are wide: they leave the picture, so that the margin can be seen.
    room = max(high - low, 0.02)
    top = max(min(max(known, default=high), high + 1.5 * room), high + 0.3 * room)
    axes.set_ylim(low - 0.15 * room, top)
    axes.axhspan(low - 0.15 * room, now.margin, color=GREEN, alpha=0.08, linewidth=0)
    axes.axhline(now.margin, color=GREEN, linewidth=1.2, linestyle=(0, (5, 3)))
    axes.plot([x for x, _ in seen], bounds, color=BLUE, linewidth=1.8)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _percent(metric, y)))
    if now.upper_harm is not None and math.isfinite(now.upper_harm):
        highest = top - 0.06 * (top - low)  # below the title
        at = (seen[-1][0], min(now.upper_harm, highest))
        _mark(axes, at, now.verdict, amount(metric, now.upper_harm))
        return
    told = f"not known yet from {now.stable_n:,} stable and {now.candidate_n:,} candidate values"
    axes.text(0.02, 0.2, told, fontsize=9, color=GREY, transform=axes.transAxes)


def _frame(axes: Axes, story: Story, *, bottom: bool) -> None:
    """What all panels share: time, and thin lines where the share changed."""
    axes.set_xlim(0.0, max(_x(story, story.until), 1.0) * 1.24)
    for at, _ in shares(story):
        axes.axvline(_x(story, at), color=PALE, linewidth=0.9, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    axes.tick_params(labelsize=8.5, color=PALE, labelbottom=bottom)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    if bottom:
        unit, _ = _unit(story)
        axes.set_xlabel(f"{unit} since the candidate's first share", fontsize=9, color=GREY)


def _mark(
    axes: Axes, at: tuple[float, float], verdict: Verdict, told: str, raised: int = 0
) -> None:
    """Mark a verdict, with a word beside it, so many dots *raised*."""
    marker, color, _ = MARKS[verdict]
    axes.plot(*at, marker=marker, color=color, markersize=8, clip_on=False, zorder=5)
    _note(axes, at, told, INK, (9, raised))


def _note(
    axes: Axes, at: tuple[float, float], told: str, color: str, away: tuple[int, int]
) -> None:
    """A few words beside a point, so many dots *away* from it."""
    axes.annotate(
        _plain(told),
        at,
        xytext=away,
        textcoords="offset points",
        va="center",
        fontsize=8.5,
        color=color,
        annotation_clip=False,
    )


def _titles(axes: Axes, left: str, right: str) -> None:
    axes.set_title(_plain(left), loc="left", fontsize=10)
    axes.set_title(_plain(right), loc="right", fontsize=9, color=GREY)


def _points(story: Story, metric: str) -> list[tuple[float, Guardrail]]:
    """Where each look that judged it lies on the axis of time, and the guardrail there."""
    found = ((_x(story, each.at), rail(each, metric)) for each in story.looks)
    return [(x, each) for x, each in found if each is not None]


def _unit(story: Story) -> tuple[str, int]:
    """What the picture counts time in, and how many ms that is."""
    took = story.until - story.began
    return next((unit, span) for least, unit, span in SPANS if took >= least * span)


def _x(story: Story, at: int) -> float:
    return (at - story.began) / _unit(story)[1]


def _name(metric: str) -> str:
    return NAMES.get(metric, metric)


def _odds_tick(log_e: float, _: int | None) -> str:
    sign = "≤ " if log_e <= LEAST else "≥ " if log_e >= MOST else ""
    return f"{sign}{odds(log_e)}"


def _percent(metric: str, harm: float) -> str:
    return f"{harm * 100:g} {'pp' if metric == 'errors' else '%'}"


def _plain(text: str) -> str:
    """Text in which a dollar is a dollar, not the beginning of a formula."""
    return text.replace("$", r"\$")
