"""Sum up what was read, per key and minute, and send each scope's share to its partition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from processors import refused
from processors.collect.deduplicate import Seen
from processors.collect.policy import CollectPolicy
from processors.collect.reading import Read
from processors.collect.state import MARK, CollectEntry, CollectMark, CollectState
from processors.collect.take import take
from processors.summary.pack import pack, route
from processors.summary.singles import Rows
from processors.summary.table import empty
from schemas.floor import Floor
from schemas.flow import Emit, Input, Moment, Outcome
from schemas.topics import PARTIALS

__all__ = ["step"]


def step(
    policy: CollectPolicy, state: CollectState, batch: Sequence[Read | Input], moment: Moment
) -> Outcome[CollectState]:
    """Take in a batch, of any number of topics; without one, let time go on for an idle task.

    Whether an event is late is judged here and nowhere else. Before `merge` lets windows go that
    this task could still add to, it asks for a `Floor`, and waits until a partial says that the
    task keeps to it. A floor in the batch holds for the whole of it.

    Returns:
        Partials (to every partition when there is news of the watermark), then dead letters and
        late messages. `counts` obeys read = aggregated + late + duplicates + dead_lettered.
    """
    asked = [each.value for each in batch if isinstance(each, Input)]
    reads = [each for each in batch if isinstance(each, Read) and len(each.offsets)]
    floors = [each.before for each in asked if isinstance(each, Floor)]
    floor = max((each for each in (state.mark.floor, *floors) if each is not None), default=None)
    seen, newest = dict(state.seen), dict(state.mark.newest)
    counts: Counter[str] = Counter()
    rows, letters = list[Rows](), list[Emit]()
    for read in reads:
        topic = read.topic
        taken = take(policy, seen.get(topic, Seen()), newest.get(topic), floor, read, moment)
        seen[topic] = taken.seen
        if taken.newest is not None:
            newest[topic] = taken.newest
        rows.append(taken.rows)
        letters += taken.letters
        counts.update(taken.counts)
    # What is broken, repeated or late says nothing of the time: such a source stays idle.
    fed = counts["aggregated"] > 0
    mark = _later(policy, replace(state.mark, newest=newest), fed, moment)
    passed = (mark.watermark, mark.idle, mark.epoch) != (
        state.mark.watermark,
        state.mark.idle,
        state.mark.epoch,
    )
    mark = replace(mark, floor=floor)
    news = passed or floor != state.mark.floor
    partials = _partials(policy, rows, state.mark, mark, moment, everywhere=news)
    if not (reads or partials):
        return Outcome(state, watermark=mark.watermark, tail=state.tail(policy))
    if passed or fed:  # a floor alone says nothing of the time
        mark = replace(mark, told=moment.now)
    after = CollectState(mark, seen, state.refused)
    told = {
        each.topic: each.offsets[[one.message for one in each.decoded.rejected]]
        for each in reads
        if each.decoded.rejected
    }
    after = replace(after, refused=refused.noted(state.refused, told, after.tail(policy)))
    return Outcome(
        after,
        emits=(*partials, *letters),
        changes=_changes(state, after),
        counts=counts,
        watermark=mark.watermark,
        tail=after.tail(policy),
    )


def _changes(before: CollectState, after: CollectState) -> dict[str, CollectEntry | None]:
    """The changelog's entries: the mark, and which messages were refused."""
    changes: dict[str, CollectEntry | None] = {
        name: None if bits is None else CollectEntry(refused=bits)
        for name, bits in refused.changes(before.refused, after.refused).items()
    }
    if after.mark != before.mark:
        changes[MARK] = CollectEntry(mark=after.mark)
    return changes


def _later(policy: CollectPolicy, mark: CollectMark, fed: bool, moment: Moment) -> CollectMark:  # noqa: FBT001
    """The mark as it is now: how far event time has come, and whether the source is idle.

    A new owner starts the clock of idleness anew, since what was written while nobody read is
    still to come. While a source is idle, its watermark goes on at the pace of the clock.
    """
    reached = max(mark.newest.values()) - policy.delay_ms if mark.newest else None
    if mark.watermark is not None and reached is not None:
        reached = max(reached, mark.watermark)
    mark = replace(mark, watermark=reached)
    if fed or mark.epoch != moment.epoch:
        return replace(mark, idle=False, active=moment.now, epoch=moment.epoch)
    if moment.now - mark.active < policy.idle_ms:
        return mark
    silent = moment.now - mark.told
    if reached is not None and (not mark.idle or silent >= policy.heartbeat_ms):
        # A task that was stopped for long moves on by one step only: it may have much to read.
        mark = replace(mark, watermark=reached + max(0, min(silent, policy.idle_ms)))
    return replace(mark, idle=True)


def _partials(
    policy: CollectPolicy,
    read: Sequence[Rows],
    before: CollectMark,
    after: CollectMark,
    moment: Moment,
    *,
    everywhere: bool,
) -> list[Emit]:
    """The rows by destination; the last partial to each one tells what is new."""
    destinations = policy.destinations or moment.partitions
    rows: dict[int, list[Rows]] = {p: [] for p in range(destinations)}
    for each in read:
        for partition, share in route(each, destinations):
            rows[partition].append(share)
    told = partial(pack, source=moment.partition, sources=moment.partitions)
    emits = []
    for partition, parts in rows.items():
        if not parts and not everywhere:
            continue
        packed = [told(part, watermark=before.watermark, floor=before.floor) for part in parts[:-1]]
        last = parts[-1] if parts else empty()
        packed.append(told(last, watermark=after.watermark, idle=after.idle, floor=after.floor))
        emits += [Emit(PARTIALS.name, None, each, partition) for each in packed]
    return emits
