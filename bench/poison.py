"""A million messages with something wrong: none stops a worker, and each has its account.

As many good messages are worked off first, then the mutated ones, each by a worker that finds them
all in the topic; the figure is how fast that is beside the good ones. Every commit is recounted by
the slow path, message by message: what it read, aggregated and put aside, and for which reason.
Then the dead letters are sent again, once: another redrive has nothing to do, and each is either
taken or put aside a second time.

python -m bench poison
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

import click

from bench.line import report
from bench.mutate import Material, clean, mutated
from bench.servers import Servers, keeping, put, servers
from bench.watch import Lag, cpu_seconds
from schemas.codec import Codec
from schemas.decode import decode_slowly
from schemas.journal import JournalRecord
from schemas.topics import METRICS, dead_letters, journal
from streams import kafka
from streams.clock import now_ms
from streams.exactly_once.reading import end_of, read
from streams.letters import REDRIVEN, opened
from streams.reading import read_all, records
from streams.settings import Settings

BENCH = "poison"
BAR = 50.0  # percent of the good messages' rate
PATIENCE = 600.0  # seconds
FATES = ("aggregated", "late", "duplicates", "dead_lettered")
Place = tuple[int, int]  # partition, offset


@dataclass(slots=True)
class Accounts:
    """What became of every message of the topic, as journal and dead letters agree."""

    messages: int = 0
    events: int = 0  # in those that were decoded
    reasons: Counter[str] = field(default_factory=Counter)  # of the dead letters
    redriven: Counter[int] = field(default_factory=Counter)  # by checksum of the value

    @property
    def dead(self) -> int:
        """How many dead letters there are."""
        return self.reasons.total()


def fill(settings: Settings, values: Iterable[bytes | None]) -> None:
    """Write *values* to the topic, to one partition after the other."""
    producer = kafka.producer(settings.bootstrap_servers, linger_ms=50)
    for i, value in enumerate(values):
        put(producer, METRICS.name, value, partition=i % settings.partitions_ingest)
    if left := producer.flush(120):
        raise SystemExit(f"Kafka did not take {left} messages.")


def accounts(settings: Settings, codec: Codec) -> Accounts:
    """Recount every commit of collect by the slow path, and compare the dead letters.

    Raises:
        SystemExit: A message is without an account, or has two.
    """
    found = Accounts()
    wrong: dict[Place, tuple[str, int]] = {}
    lines: dict[int, list[JournalRecord]] = {}
    for seen in records(settings, codec, journal("collect")):
        lines.setdefault(seen.partition, []).append(seen.value)
    for partition, mine in sorted(lines.items()):
        wrong |= recount(settings, codec, partition, mine, found)
    for message in read_all(settings, dead_letters(METRICS)):
        told = opened(message)
        place = (told.partition or 0, told.offset or 0)
        if wrong.pop(place, None) != (told.reason, zlib.crc32(message.value() or b"")):
            raise SystemExit(f"The dead letter of {place} says {told}, and nothing fits it.")
        found.reasons[told.reason] += 1
    if wrong:
        raise SystemExit(f"{len(wrong)} messages have no dead letter, such as {min(wrong)}.")
    return found


def recount(
    settings: Settings, codec: Codec, partition: int, lines: list[JournalRecord], found: Accounts
) -> dict[Place, tuple[str, int]]:
    """Compare the commits of a partition; reason and checksum of each message that is put aside."""
    wrong: dict[Place, tuple[str, int]] = {}
    brokers = settings.bootstrap_servers
    at = (METRICS.name, partition)
    with ExitStack() as stack:
        one = stack.enter_context(
            closing(kafka.consumer(brokers, "llmopt.bench.poison", enable_partition_eof=True))
        )
        position, high = stretch = end_of(one, at)
        messages = stack.enter_context(closing(read(one, {at: stretch})))
        coming = next(messages, None)
        for line in sorted(lines, key=lambda line: line.sequence):
            mine = [each for each in line.ranges if each.topic == METRICS.name]
            if not mine:
                continue
            (ours,) = mine
            if ours.start != position:
                raise SystemExit(f"{at}: commit {line.sequence} begins at {ours.start}.")
            position = ours.end  # which may lie behind the markers of transactions
            values, offsets = list[bytes | None](), list[int]()
            while coming is not None and coming.offset() < position:
                values.append(coming.value())
                offsets.append(coming.offset())
                if REDRIVEN in dict(coming.headers() or ()):
                    found.redriven[zlib.crc32(values[-1] or b"")] += 1
                coming = next(messages, None)
            now, kept = line.now, METRICS.retention_ms or 0
            decoded = decode_slowly(codec.registry, METRICS.name, values, now, kept)
            reasons = Counter(f"dead_lettered.{each.reason.value}" for each in decoded.rejected)
            said = Counter(line.counts)
            expected = (len(decoded.events) + reasons.total(), reasons.total(), reasons)
            told = Counter({n: c for n, c in said.items() if n.startswith("dead_lettered.")})
            if expected != (said["read"], said["dead_lettered"], told) or (
                said["read"] != sum(said[fate] for fate in FATES)
            ):
                raise SystemExit(f"{at}: commit {line.sequence} has {said}, not {expected}.")
            for each in decoded.rejected:
                value = values[each.message] or b""
                wrong[partition, offsets[each.message]] = (each.reason, zlib.crc32(value))
            found.messages += len(values)
            found.events += len(decoded.events)
    if position != high:
        raise SystemExit(f"{at} was read to {position}, and ends at {high}.")
    return wrong


def worked_off(at: Servers, name: str) -> tuple[float, float]:
    """Let a worker read all that is there: messages a second, and µs of its time for each.

    Raises:
        SystemExit: It has ended, or does not come to the end.
    """
    with (
        closing(kafka.consumer(at.settings.bootstrap_servers, "llmopt.collect")) as reader,
        at.child(name, "streams", "worker", "--stages", "collect,merge") as worker,
    ):
        lag = Lag(reader, at.settings.partitions_ingest)
        deadline = time.monotonic() + PATIENCE

        def wait() -> None:
            if worker.wait(0.05) or time.monotonic() > deadline:
                raise SystemExit(f"The worker did not go on: {at.last_words(name)}")

        lag.look()
        first = lag.committed
        while lag.look() and lag.committed == first:
            wait()
        began, used, done = time.monotonic(), cpu_seconds(worker.pid), lag.committed
        while lag.look():
            wait()
        count = max(1, lag.committed - done)
        seconds, cpu = time.monotonic() - began, cpu_seconds(worker.pid) - used
        time.sleep(1.0)
    if worker.exit_code:
        raise SystemExit(f"The worker ended with {worker.exit_code}: {at.last_words(name)}")
    return count / seconds, cpu * 1e6 / count


def redriven(settings: Settings) -> int:
    """How many dead letters `llmopt dlq redrive` has sent again."""
    words = [sys.executable, "-m", "streams", "dlq", "redrive", METRICS.name, "--json"]
    done = subprocess.run(
        words,
        env={name: value for name, value in settings.environment().items() if value},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(json.loads(done.stdout)["sent"])


def once_more(at: Servers, before: Accounts) -> Accounts:
    """Send the dead letters again, twice, and let a worker take them.

    Raises:
        SystemExit: One was not sent exactly once, or has no account afterwards.
    """
    sent, again = redriven(at.settings), redriven(at.settings)
    if (sent, again) != (before.dead, 0):
        raise SystemExit(f"Of {before.dead} letters {sent} were sent, and then {again}.")
    worked_off(at, "worker-redriven")
    after = accounts(at.settings, at.codec)
    if after.redriven.total() != sent or after.messages != before.messages + sent:
        raise SystemExit(f"{after.redriven.total()} of {sent} letters are in the topic again.")
    return after


@click.command()
@click.option("--messages", default=1_000_000, show_default=True, help="How many to mutate.")
@click.option("--seed", default=1, show_default=True, help="What they are drawn from.")
@keeping
def main(*, messages: int, seed: int, keep: bool) -> None:
    """Measure how fast a worker gets through mutated messages, and account for each."""
    with servers(keep=keep) as at:
        material = Material.at(at.codec, now_ms())
        fill(at.settings, clean(material, seed, messages))
        clean_rate, clean_cpu = worked_off(at, "worker-clean")
        fill(at.settings, mutated(material, seed, messages))
        rate, cpu = worked_off(at, "worker-poison")
        found = accounts(at.settings, at.codec)
        if found.messages != 2 * messages:
            raise SystemExit(f"Of {2 * messages} messages {found.messages} were read.")
        began = time.monotonic()
        after = once_more(at, found)
    for reason, count in found.reasons.most_common():
        print(f"{reason:16} {count:>9,}")
    report(
        BENCH,
        round(100 * rate / clean_rate, 1),
        "% of the rate of good messages",
        bar=BAR,
        at=">=",
        cpu_us_per_event=round(cpu, 2),
        clean_us_per_event=round(clean_cpu, 2),
        rate=round(rate),
        clean_rate=round(clean_rate),
        messages=messages,
        dead_lettered=found.dead,
        reasons=dict(found.reasons.most_common()),
        redriven=found.dead,
        dead_again=after.dead - found.dead,
        redrive_and_recount_s=round(time.monotonic() - began, 1),
    )


if __name__ == "__main__":
    main()
