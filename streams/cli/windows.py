"""llmopt windows: what happened, from minutes to weeks, as the pipeline has summed it up."""

from __future__ import annotations

import click

from schemas.topics import ENRICHED
from schemas.window import SIZES, EnrichedWindow, MetricSummary
from streams.cli import home, show
from streams.cli.help import example
from streams.reading import records
from streams.settings import Settings, duration


@click.command()
@click.argument("scope", required=False)
@click.option("--size", type=click.Choice(list(SIZES)), default="1m", show_default=True)
@click.option("--last", default="1h", show_default=True, help="How far back; like 90s, 10m, 7d.")
@click.option("--keys", is_flag=True, help="Each model, version and cohort, not their sum.")
@show.as_json
@example("llmopt windows search/answer", "llmopt windows --size 1h --last 7d")
def windows(scope: str | None, *, size: str, last: str, keys: bool, machine: bool) -> None:
    """See what happened in SCOPE, or everywhere, window by window, newest first.

    A window is closed when no more events are expected; late ones revise it. Longer windows are
    shown while they are open, too.
    """
    try:
        length = duration(last)
    except ValueError as error:
        raise click.BadParameter(f"{last!r} {error}.", param_hint="--last") from None
    settings = home.reached()
    since = home.now() - length
    found = [
        each
        for each in _newest(settings, since)
        if scope in (None, each.window.scope)
        and each.window.window == size
        and each.window.end > since
        and each.window.pooled != keys
    ]
    if machine:
        show.document(found)
        return
    names = ("model", "version", "cohort") if keys else ()
    show.table(
        (
            *("start", "scope", *names, "requests", "errors", "p95 ms", "quality", "cost USD"),
            *("revision", ""),
        ),
        [(*_names(each, keys=keys), *_figures(each)) for each in found],
        empty=f"No window of {size} that ended within {last}: has a worker read any events?",
    )


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


def _names(each: EnrichedWindow, *, keys: bool) -> tuple[object, ...]:
    window = each.window
    named = (show.moment(window.start), window.scope)
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
