"""llmopt windows: what happened, from minutes to weeks, as the pipeline has summed it up."""

from __future__ import annotations

import click

from schemas.shape import hint
from schemas.span import called, span
from schemas.topics import ENRICHED
from schemas.window import SIZES, EnrichedWindow, MetricSummary
from streams.cli import home, show
from streams.cli.help import example
from streams.clock import now_ms
from streams.declared import declared
from streams.reading import records
from streams.settings import Settings, duration


@click.command()
@click.argument("scope", required=False)
@click.option(
    "--size",
    default="1m",
    show_default=True,
    help=f"One of {', '.join(SIZES)}, or what windows are called in the catalog.",
)
@click.option("--last", default="1h", show_default=True, help="How far back; like 90s, 10m, 7d.")
@click.option("--keys", is_flag=True, help="Each model, version and cohort, not their sum.")
@show.as_json
@example("llmopt windows search/answer", "llmopt windows --size 1h --last 7d")
def windows(scope: str | None, *, size: str, last: str, keys: bool, machine: bool) -> None:
    """See what happened in SCOPE, or everywhere, window by window, newest first.

    A window is closed when no more events are expected; late ones revise it. Longer windows and
    sessions are shown while they are open, too; hopping windows when they close.
    """
    try:
        length = duration(last)
    except ValueError as error:
        raise click.BadParameter(f"{last!r} {error}.", param_hint="--last") from None
    settings = home.reached()
    name = _name(settings, size)
    since = now_ms() - length
    every = [
        each
        for each in _newest(settings, since)
        if each.window.window == name
        and each.window.end > since
        and each.window.pooled != keys
        and not each.window.void
    ]
    found = [each for each in every if scope in (None, each.window.scope)]
    if machine:
        show.document(found)
        return
    names = ("model", "version", "cohort") if keys else ()
    show.table(
        (
            *("start", *_end("end", size), "scope", *names),
            *("requests", "errors", "p95 ms", "quality", "cost USD", "revision", ""),
        ),
        [(*_names(each, size, keys=keys), *_figures(each)) for each in found],
        empty=f"No window of {size} that ended within {last}: has a worker read any events?"
        if scope is None or not every
        else show.unmatched(
            f"windows of {size} that ended within {last}",
            len(every),
            [scope],
            scope,
            (each.window.scope for each in every),
        ),
    )


def _name(settings: Settings, size: str) -> str:
    """What the windows of *size* are called on the topics."""
    if size in SIZES or called(size) is not None:
        return size
    known = declared(settings).catalog.windows
    if size in known:
        return span(known[size]).name
    said = f"{size!r} is no length, and no windows of the catalog are called so"
    raise click.BadParameter(f"{said}; {hint(size, [*SIZES, *known])}", param_hint="--size")


def _newest(settings: Settings, since: int) -> list[EnrichedWindow]:
    """The newest revision of each window written since *since*, later windows first."""
    newest: dict[str, EnrichedWindow] = {}
    with home.codec(settings) as codec:
        for seen in records(settings, codec, ENRICHED, since=since):
            window = seen.value.window
            known = newest.get(window.record_id)
            if known is None or known.window.revision <= window.revision:
                newest[window.record_id] = seen.value
    return sorted(newest.values(), key=lambda e: (-e.window.start, e.window.record_id))


def _end(end: object, size: str) -> tuple[object, ...]:
    """What is said of a window's end: nothing where its start and its size do."""
    return () if size in SIZES else (end,)


def _names(each: EnrichedWindow, size: str, *, keys: bool) -> tuple[object, ...]:
    window = each.window
    named = (show.moment(window.start), *_end(show.moment(window.end), size), window.scope)
    if not keys:
        return named
    model = f"{window.provider}/{window.model}"
    return (*named, model, window.config_version or None, window.cohort or None)


def _figures(each: EnrichedWindow) -> tuple[object, ...]:
    window = each.window
    latency, quality = window.metrics.get("latency_ms"), window.metrics.get("quality")
    state = "closed" if window.closed else "open"
    return (
        *(window.requests, window.errors, _figure(latency, "p95"), _figure(quality, "mean")),
        *(each.cost_usd, window.revision, state),
    )


def _figure(metric: MetricSummary | None, name: str) -> float | None:
    return None if metric is None else getattr(metric, name)
