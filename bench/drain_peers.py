"""How fast others read what has piled up, beside one worker of ours: the same minutes.

Every contestant starts on a topic that holds three minutes of 800 keys and writes a window for
each key and minute, which must be what the topic adds up to; those called raw or agent only read.
Slow ones read a shorter topic of the same kind. Those that a bar is about take turns with our
worker in every round, the others run in the first one. A rate is from the first progress that is
seen to the last; that of Kafka Streams leaves its first seconds out, in which Java compiles it, and
is told with them as "cold". Where one of them is missing, or did not read all, the line says which
and why, and the bench fails.

The bars against Faust's table, Quix Streams and Bytewax are those of a sustained load (ingest),
for which these were not run live: it would take as many more minutes. Here both sides drain.

python -m bench drain-peers
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from bench.drain import drain
from bench.line import Figure, report
from bench.peers.check import Window, recompute
from bench.peers.fill import Filled, clear, fill
from bench.peers.run import PEERS, WARM, Cost, Peer, Place, Ran, cost, run
from bench.servers import Servers, servers
from infra.errors import InfraError
from schemas.topics import METRICS

BENCH = "drain-peers"
OURS = "ours"
WARM_PEER = "Kafka Streams"
BAR = 1.5  # times its rate once warm
CPU_BAR = 0.5  # of its CPU for an event
RATIOS = {"Faust table": 40.0, "Quix windowed": 8.0, "Bytewax windowed": 3.0}


@dataclass(slots=True)
class Results:
    """What was measured of every contestant, turn by turn."""

    costs: dict[str, list[Cost]] = field(default_factory=dict)
    cold: list[Cost] = field(default_factory=list)
    windows: dict[str, dict[str, int]] = field(default_factory=dict)  # the worst turn
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, peer: Peer, ran: Ran) -> None:
        """A turn of a peer."""
        warm = cost(ran.samples, WARM if peer.name == WARM_PEER else 0.0)
        if ran.failed or warm is None:
            self.missing[peer.name] = ran.failed or "it was over before it was warm"
            return
        self.costs.setdefault(peer.name, []).append(warm)
        if peer.name == WARM_PEER and (whole := cost(ran.samples)):
            self.cold.append(whole)
        if (verdict := ran.verdict) is not None:
            told = {"exact": verdict.exact, "lost": verdict.lost, "wrong": verdict.wrong}
            worst = self.windows.get(peer.name)
            if worst is None or verdict.exact < worst["exact"]:
                self.windows[peer.name] = told

    def median(self, name: str, of: Callable[[Cost], float]) -> float:
        """Over the turns of a contestant; NaN where it has none."""
        found = [of(each) for each in self.costs.get(name, ())]
        return statistics.median(found) if found else math.nan

    def vs(self) -> dict[str, float]:
        """Our rate as a multiple of each peer's."""
        mine = self.median(OURS, rate)
        return {
            name: round(mine / self.median(name, rate), 2) for name in self.costs if name != OURS
        }

    def why(self, name: str) -> str:
        """Why there is no ratio to a contestant; "" where there is one."""
        return "" if name in self.costs else f"{name} did not run to its end here"

    def bars(self) -> list[Figure]:
        """Beside the rate against Kafka Streams: what else is promised."""
        share = round(self.median(OURS, client) / self.median(WARM_PEER, client), 2)
        vs = self.vs()
        return [
            Figure(
                what="CPU per event",
                value=share,
                unit=f"× {WARM_PEER}",
                bar=CPU_BAR,
                why=self.why(WARM_PEER),
            ),
            *(
                Figure(
                    what="rate",
                    value=vs.get(name, math.nan),
                    unit=f"× {name}",
                    bar=bar,
                    at=">=",
                    why=self.why(name),
                )
                for name, bar in RATIOS.items()
            ),
        ]


def rate(each: Cost) -> float:
    """Events a second."""
    return each.rate


def client(each: Cost) -> float:
    """µs of CPU an event."""
    return each.client


def broker(each: Cost) -> float:
    """The same, of the broker."""
    return each.broker


def contest(at: Servers, rounds: int, share: float) -> Results:
    """Fill the topics, then let everyone run in turns."""
    results, ready = Results(), list[Peer]()
    for peer in PEERS:
        try:
            peer.command(say)
            ready.append(peer)
        except InfraError as error:
            results.missing[peer.name] = str(error)
    whole = round(max(peer.events for peer in PEERS) * share)
    topics = {whole: fill(at, METRICS.name, whole)}
    for wanted in sorted({round(peer.events * share) for peer in ready} - {whole}):
        topics[wanted] = fill(at, f"bench.events.{wanted}", wanted)
    expected = {wanted: recompute(at, filled) for wanted, filled in topics.items()}
    for turn in range(rounds):
        say(f"Round {turn + 1} of {rounds} …")
        mine(at, topics[whole], results)
        for peer in ready:
            if turn == 0 or peer.name == WARM_PEER or peer.name in RATIOS:
                wanted = round(peer.events * share)
                one(at, peer, topics[wanted], expected[wanted], results)
    return results


def mine(at: Servers, filled: Filled, results: Results) -> None:
    """Our worker, with nothing left of what it did before."""
    clear(at)
    found = drain(at, filled.events)
    some = Cost(
        found.events / found.seconds,
        found.worker * 1e6 / found.events,
        found.broker * 1e6 / found.events,
    )
    results.costs.setdefault(OURS, []).append(some)
    tell(OURS, some, "")


def one(
    at: Servers, peer: Peer, filled: Filled, expected: Mapping[Place, Window], results: Results
) -> None:
    """A turn of a peer."""
    ran = run(at, peer, filled, expected, say)
    results.add(peer, ran)
    found = cost(ran.samples, WARM if peer.name == WARM_PEER else 0.0)
    tell(peer.name, found, ran.failed or str(ran.verdict or ""))


def tell(name: str, found: Cost | None, more: str) -> None:
    """A line about one turn."""
    if found is None:
        say(f"{name}: nothing was measured. {more}")
        return
    say(
        f"{name}: {found.rate:,.0f} events/s, {found.client:.2f} µs of CPU each, "
        f"{found.broker:.2f} µs in the broker. {more}"
    )


def say(line: str) -> None:
    """For those who watch."""
    print(line, file=sys.stderr, flush=True)


def figures(results: Results) -> dict[str, Any]:
    """What is worth keeping beside the ratio."""
    names: Sequence[str] = list(results.costs)
    cold = [each.rate for each in results.cold]
    return {
        "events_per_s": {name: round(results.median(name, rate)) for name in names},
        "client_us_per_event": {name: round(results.median(name, client), 2) for name in names},
        "broker_us_per_event": {name: round(results.median(name, broker), 2) for name in names},
        "cold_events_per_s": round(statistics.median(cold)) if cold else None,
        "turns": {name: len(results.costs[name]) for name in names},
        "windows": results.windows,
        "missing": results.missing,
    }


@click.command()
@click.option("--rounds", default=3, show_default=True, help="Turns of those with a bar.")
@click.option("--share", default=1.0, show_default=True, help="Of the events that each is given.")
@click.option("--keep", is_flag=True, help="Keep the data and logs, and say where they are.")
def main(*, rounds: int, share: float, keep: bool) -> None:
    """Measure others beside one worker of ours on what has piled up."""
    with servers(keep=keep) as at:
        results = contest(at, rounds, share)
    vs = results.vs()
    for name, why in results.missing.items():
        say(f"{name} is missing: {why}")
    report(
        BENCH,
        vs.get(WARM_PEER, math.nan),
        f"× {WARM_PEER}",
        bar=BAR,
        at=">=",
        why=results.why(WARM_PEER),
        also=results.bars(),
        vs=vs,
        cpu_us_per_event=round(results.median(OURS, client), 2),
        **figures(results),
    )
    if results.missing:  # others than those that a bar is about
        raise SystemExit(1)


if __name__ == "__main__":
    main()
