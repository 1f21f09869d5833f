"""How old what can be read is: an event in its partial, and a minute in its closed windows.

At a steady rate, beside the broker and the producer on two cores, a reader of committed records
notes when it gets each record.

- Event: from the time of an event, which is when it was sent, until the journal's line of the
  commit that holds it could be read; of each partition four times a second.
- Window: from the moment at which the watermark allows a minute to be closed until a closed row of
  it could be read; of every row, the first revision that is closed. The watermark stays
  LLMOPT_WINDOW_DELAY behind the events, so that moment is the end of the minute and that delay,
  when every partition has had an event of that time: at a steady rate, within milliseconds.

python -m bench freshness
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import click
import numpy as np
from confluent_kafka import Message

from bench.ingest import Load, checked, figures, kept_up
from bench.line import Figure, report
from bench.servers import Servers, keeping, servers
from bench.watch import Follow
from schemas.codec import Codec
from schemas.topics import AGGREGATES
from schemas.window import MINUTE

BENCH = "freshness"
BAR = 600  # ms, event → in a committed partial, p99
WINDOW_BAR = 1_500  # ms, window may close → its row can be read, p99


@dataclass(slots=True)
class Rows:
    """The windows as they became visible; decoded only afterwards, not to be slow meanwhile."""

    codec: Codec
    seen: list[tuple[float, bytes]] = field(default_factory=list)

    def take(self, message: Message, now: float) -> None:
        """Remember a row that could be read *now*, in seconds since the epoch."""
        self.seen.append((now, message.value()))

    def closed(self, delay: float, since: float, until: float) -> dict[int, list[float]]:
        """How long after they were due the rows of each minute could be read, in seconds.

        Args:
            delay: Of the watermark, in seconds.
            since: Minutes that were due from then on, seconds since the epoch.
            until: Minutes that were due before then.
        """
        known = set[str]()
        found: dict[int, list[float]] = {}
        for now, value in self.seen:
            row = self.codec.decode(AGGREGATES, value)
            if row.window != "1m" or not row.closed or row.record_id in known:
                continue
            known.add(row.record_id)
            due = row.end / 1_000 + delay
            if since <= due < until:
                found.setdefault(row.end, []).append(now - due)
        return found


def percentile_ms(seconds: Sequence[float], percent: float) -> float:
    """A percentile in ms; NaN of nothing."""
    return round(float(np.percentile(seconds, percent)) * 1e3) if seconds else math.nan


def follow(at: Servers) -> tuple[Rows, Follow]:
    """What becomes visible of the aggregates from now on."""
    rows = Rows(at.codec)
    width = at.settings.partitions_derived
    return rows, Follow(at.settings.bootstrap_servers, AGGREGATES, width, rows.take)


@click.command()
@click.option("--rate", default=100_000.0, show_default=True, help="Events a second.")
@click.option("--seconds", default=190.0, show_default=True, help="How long: some minutes close.")
@keeping
def main(*, rate: float, seconds: float, keep: bool) -> None:
    """Measure how old events are in their partials, and minutes in their closed windows."""
    load = Load(rate, seconds)
    with servers(keep=keep) as at:
        rows, following = follow(at)
        following.start()
        measured = checked(at, load)
        following.stop()
        delay = at.settings.window_delay_ms / 1_000
        minutes = rows.closed(delay, measured.since, measured.since + measured.seconds)
    if len(minutes) * MINUTE < (seconds - 60) * 1_000:
        raise SystemExit(f"Only {len(minutes)} minutes were closed in {seconds:.0f} s.")
    flat = kept_up(measured, load)
    late = [each for found in minutes.values() for each in found]
    report(
        BENCH,
        percentile_ms(measured.fresh, 99) if flat else math.nan,
        "ms p99, event → in a committed partial",
        bar=BAR,
        also=[
            Figure(
                what="window",
                value=percentile_ms(late, 99) if flat else math.nan,
                unit="ms p99, minute may close → its row can be read",
                bar=WINDOW_BAR,
            )
        ],
        window_p50_ms=percentile_ms(late, 50),
        window_max_ms=percentile_ms(late, 100),
        minutes={str(end): percentile_ms(found, 99) for end, found in sorted(minutes.items())},
        rows=len(late),
        **figures(measured, load),
    )


if __name__ == "__main__":
    main()
