from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from processors.collect import CollectPolicy, CollectState, Read, fresh, step
from processors.summary.combine import combine
from processors.summary.pack import unpack
from schemas.columns import Rejected
from schemas.errors import Reason
from schemas.floor import Floor
from schemas.flow import Emit, Input, Moment, Outcome
from schemas.partial import Partial
from schemas.scope import partition_of
from schemas.topics import FLOORS, LATE, PARTIALS, QUALITY

POLICY = CollectPolicy(grace_ms=10_000, delay_ms=1_000, horizon=100)
MOMENT = Moment(now=1_000_000, seed=1, epoch=1, partition=2, partitions=4)
Reading = Callable[..., Read]


def partials(outcome: Outcome[CollectState]) -> list[tuple[int | None, Partial]]:
    return [(each.partition, each.value) for each in outcome.emits if each.topic == PARTIALS.name]


def letters(outcome: Outcome[CollectState], topic: str) -> list[Emit]:
    return [each for each in outcome.emits if each.topic == topic]


def at(now: int, epoch: int = 1) -> Moment:
    return replace(MOMENT, now=now, epoch=epoch)


def test_each_scope_goes_to_its_partition_and_all_partitions_hear_the_watermark(
    reading: Reading,
) -> None:
    outcome = step(POLICY, fresh(), [reading([(0, 70_000, 1), (1, 71_000, 2)])], MOMENT)
    rows = {partition: unpack(value).keys for partition, value in partials(outcome)}

    assert list(range(4)) == list(rows)
    for partition, keys in rows.items():
        assert all(partition == partition_of(f"{key[0]}/{key[1]}", 4) for key in keys)
    assert 2 == sum(len(keys) for keys in rows.values())
    assert {(70_000, False, 2, 4)} == {
        (value.watermark, value.idle, value.source, value.sources) for _, value in partials(outcome)
    }
    assert 70_000 == outcome.watermark


def test_destinations_may_be_fewer_than_sources(reading: Reading) -> None:
    policy = replace(POLICY, destinations=1)
    outcome = step(policy, fresh(), [reading([(0, 70_000, 1), (1, 71_000, 2)])], MOMENT)

    assert [0] == [partition for partition, _ in partials(outcome)]


def test_every_event_is_accounted_for_once(reading: Reading) -> None:
    rows = [(0, 70_000, 7), (1, 70_001, 7), (2, 50_000, 8), (4, 70_002, 9)]
    outcome = step(POLICY, fresh(), [reading(rows, rejected=[3])], MOMENT)

    assert {
        "read": 5,
        "aggregated": 2,
        "duplicates": 1,
        "late": 1,
        "dead_lettered": 1,
        "dead_lettered.broken_json": 1,
        "messages": 5,
        "overflowed": 0,
    } == outcome.counts


def test_a_rejected_message_is_a_dead_letter_as_it_came(reading: Reading) -> None:
    outcome = step(
        POLICY, fresh(), [reading([(0, 70_000, 0)], messages=3, first=40, rejected=[2])], MOMENT
    )

    assert [
        Emit(
            "llmopt.metrics.v1.dlq",
            b"\xff key",
            b"value 42",
            2,
            (
                ("own", b"1"),
                ("__dlq.errors.reason", b"broken_json"),
                ("__dlq.errors.detail", b"not JSON"),
                ("__dlq.errors.topic", b"llmopt.metrics.v1"),
                ("__dlq.errors.partition", b"2"),
                ("__dlq.errors.offset", b"42"),
                ("__dlq.errors.timestamp", b"1000000"),
            ),
        )
    ] == letters(outcome, "llmopt.metrics.v1.dlq")


def test_each_letter_tells_its_own_reason_even_where_the_details_are_alike(
    reading: Reading,
) -> None:
    told = reading([], messages=4, rejected=[0, 1, 2, 3])
    why = (
        (Reason.BROKEN_AVRO, "it ends"),
        (Reason.BROKEN_JSON, "it ends"),
        (Reason.BROKEN_AVRO, "it ends"),
        (Reason.BROKEN_AVRO, "it goes on"),
    )
    rejected = tuple(Rejected(i, *each) for i, each in enumerate(why))
    told = replace(told, decoded=replace(told.decoded, rejected=rejected), headers=[None] * 4)
    outcome = step(POLICY, fresh(), [told], MOMENT)

    assert [
        (reason.value.encode(), detail.encode(), b"%d" % i)
        for i, (reason, detail) in enumerate(why)
    ] == [
        tuple(dict(each.headers)[f"__dlq.errors.{name}"] for name in ("reason", "detail", "offset"))
        for each in letters(outcome, "llmopt.metrics.v1.dlq")
    ]
    assert (3, 1) == (
        outcome.counts["dead_lettered.broken_avro"],
        outcome.counts["dead_lettered.broken_json"],
    )


def test_a_message_that_failed_again_tells_of_its_last_failure_only(reading: Reading) -> None:
    told = replace(
        reading([], messages=1, rejected=[0]), headers=[(("__dlq.errors.reason", b"too_long"),)]
    )
    (letter,) = letters(step(POLICY, fresh(), [told], MOMENT), "llmopt.metrics.v1.dlq")

    assert [b"broken_json"] == [value for name, value in letter.headers if "reason" in name]


def test_a_late_message_is_copied_once_with_its_late_events_counted(reading: Reading) -> None:
    rows = [(0, 90_000, 0), (1, 79_999, 5), (1, 80_000, 5), (1, 79_000, 5)]
    outcome = step(POLICY, fresh(), [reading(rows)], MOMENT)

    assert [
        Emit(
            LATE.name,
            None,
            b"value 1",
            2,
            (
                ("own", b"1"),
                ("__late.events", b"2"),
                ("__late.topic", b"llmopt.metrics.v1"),
                ("__late.partition", b"2"),
                ("__late.offset", b"1"),
                ("__late.timestamp", b"1000000"),
            ),
        )
    ] == letters(outcome, LATE.name)
    assert 2 == outcome.counts["late"]
    assert 2 == outcome.counts["aggregated"]


def test_events_of_one_message_are_not_repetitions_of_each_other(reading: Reading) -> None:
    rows = [(0, 70_000, 5), (0, 70_000, 5), (1, 70_000, 5), (1, 70_000, 5)]
    outcome = step(POLICY, fresh(), [reading(rows)], MOMENT)

    assert 2 == outcome.counts["aggregated"]
    assert 2 == outcome.counts["duplicates"]


def test_topics_do_not_repeat_each_other_and_share_the_watermark(reading: Reading) -> None:
    metrics = reading([(0, 90_000, 5)])
    quality = reading([(0, 70_000, 5)], topic=QUALITY.name)
    outcome = step(POLICY, fresh(), [metrics, quality], MOMENT)

    assert 2 == outcome.counts["aggregated"]
    assert 89_000 == outcome.watermark
    assert {"llmopt.metrics.v1": 0, QUALITY.name: 0} == outcome.tail


def test_only_the_last_partial_to_a_partition_moves_the_watermark(reading: Reading) -> None:
    policy = replace(POLICY, destinations=1)
    before = step(policy, fresh(), [reading([(0, 70_000, 1)])], MOMENT).state
    metrics = reading([(0, 90_000, 5)], first=1)
    quality = reading([(0, 80_000, 5)], topic=QUALITY.name)
    outcome = step(policy, before, [metrics, quality], MOMENT)

    assert [69_000, 89_000] == [value.watermark for _, value in partials(outcome)]


def test_the_tail_begins_with_the_generation_before_the_last(reading: Reading) -> None:
    outcome = step(POLICY, fresh(), [reading([(0, 70_000, 5)], first=357)], MOMENT)

    assert {"llmopt.metrics.v1": 200} == outcome.tail


def test_keys_beyond_the_limit_share_one_and_are_counted(reading: Reading) -> None:
    policy = replace(POLICY, max_keys=2, destinations=1)
    keys = [("shop", f"endpoint-{i}", "m", "p", "", "") for i in range(4)]
    rows = [(0, 10_000, 0), *((i, 70_000, 0) for i in range(1, 8))]
    late_first = [(0, 70_000, 0), (1, 10_000, 0), *((i, 70_000, 0) for i in range(2, 8))]
    outcome = step(policy, fresh(), [reading(rows, keys=keys)], MOMENT)
    second = step(policy, fresh(), [reading(late_first, keys=keys)], MOMENT)

    for each, kept in (
        (outcome, ("endpoint-0", "endpoint-1")),
        (second, ("endpoint-0", "endpoint-2")),
    ):
        summary = combine([unpack(value) for _, value in partials(each)])

        assert [*kept, "partition-2"] == sorted(key[1] for key in summary.keys)
        assert int(summary.counters[:, 0].sum()) == each.counts["aggregated"]
        spilt = summary.keys.index(("__overflow__", "partition-2", "", "", "", ""))
        rows_spilt = summary.counters[summary.key == spilt, 0].sum()

        assert rows_spilt == each.counts["overflowed"] > 0


def test_as_many_keys_as_allowed_are_kept(reading: Reading) -> None:
    policy = replace(POLICY, max_keys=1)
    outcome = step(policy, fresh(), [reading([(0, 70_000, 0)])], MOMENT)

    assert 0 == outcome.counts["overflowed"]


def test_a_new_owner_says_so_and_then_falls_idle_after_a_while() -> None:
    first = step(POLICY, fresh(), [], at(100))
    quiet = step(POLICY, first.state, [], at(5_099))
    idle = step(POLICY, first.state, [], at(5_100))
    again = step(POLICY, idle.state, [], at(50_000))

    assert [(None, False)] * 4 == [(v.watermark, v.idle) for _, v in partials(first)]
    assert quiet.state is first.state
    assert () == quiet.emits
    assert [(None, True)] * 4 == [(v.watermark, v.idle) for _, v in partials(idle)]
    assert again.state is idle.state
    assert {} == again.changes


def test_an_idle_source_moves_its_watermark_on_at_the_pace_of_the_clock(reading: Reading) -> None:
    state = step(POLICY, fresh(), [reading([(0, 70_000, 0)])], at(1_000)).state
    told = []
    for now in range(1_000, 12_001, 500):
        outcome = step(POLICY, state, [], at(now))
        state = outcome.state
        told += [(now, v.watermark, v.idle) for partition, v in partials(outcome) if partition == 0]

    assert [(now, 69_000 + now - 1_000, True) for now in range(6_000, 12_001, 1_000)] == told


def test_a_task_that_was_stopped_for_long_does_not_leap_ahead(reading: Reading) -> None:
    state = step(POLICY, fresh(), [reading([(0, 70_000, 0)])], at(1_000)).state
    outcome = step(POLICY, state, [], at(90_000_000))

    assert 69_000 + POLICY.idle_ms == outcome.watermark


def test_a_clock_that_was_set_back_does_not_move_the_watermark_back(reading: Reading) -> None:
    state = step(POLICY, fresh(), [reading([(0, 70_000, 0)])], at(1_000)).state
    state = step(POLICY, state, [], at(6_000)).state
    outcome = step(POLICY, state, [], at(3_000))

    assert 74_000 == outcome.watermark


def test_a_takeover_starts_the_clock_of_idleness_anew(reading: Reading) -> None:
    state = step(POLICY, fresh(), [reading([(0, 70_000, 0)])], at(1_000)).state
    outcome = step(POLICY, state, [], at(900_000, epoch=2))

    assert {(69_000, False)} == {(v.watermark, v.idle) for _, v in partials(outcome)}


def test_an_idle_source_that_reads_again_is_no_longer_idle(reading: Reading) -> None:
    state = step(POLICY, fresh(), [reading([(0, 70_000, 0)])], at(1_000)).state
    state = step(POLICY, state, [], at(6_000)).state
    outcome = step(POLICY, state, [reading([(0, 71_000, 0)], first=1)], at(6_100))

    assert {(74_000, False)} == {(v.watermark, v.idle) for _, v in partials(outcome)}
    assert 1 == outcome.counts["aggregated"]


def test_a_batch_without_events_changes_no_watermark(reading: Reading) -> None:
    state = step(POLICY, fresh(), [reading([(0, 70_000, 9)])], at(1_000)).state
    outcome = step(POLICY, state, [reading([(0, 99_000, 9)], first=1)], at(1_100))

    assert [] == partials(outcome)
    assert Counter(duplicates=1, read=1, messages=1) == Counter(outcome.counts)
    assert {} == outcome.changes


def test_a_source_of_nothing_but_garbage_holds_no_window_open(reading: Reading) -> None:
    state = step(POLICY, fresh(), [], at(1_000)).state
    for now in range(1_500, 6_000, 500):
        litter = reading([], first=now, messages=1, rejected=[0])
        state = step(POLICY, state, [litter], at(now)).state
    litter = reading([], first=6_000, messages=1, rejected=[0])
    outcome = step(POLICY, state, [litter], at(6_000))

    assert {(None, True)} == {(v.watermark, v.idle) for _, v in partials(outcome)}
    assert 1 == outcome.counts["dead_lettered"]


def floor(before: int) -> Input:
    return Input(FLOORS.name, 0, Floor(task=1, before=before))


def test_what_is_below_a_floor_is_late_and_the_late_message_tells_the_floor(
    reading: Reading,
) -> None:
    rows = [(0, 119_999, 0), (1, 120_000, 0)]
    outcome = step(POLICY, fresh(), [floor(60_000), reading(rows), floor(120_000)], MOMENT)
    after = step(POLICY, outcome.state, [reading([(0, 119_998, 0)], first=2)], MOMENT)

    assert (1, 1) == (outcome.counts["aggregated"], outcome.counts["late"])
    assert [b"value 0"] == [each.value for each in letters(outcome, LATE.name)]
    assert b"120000" == dict(letters(outcome, LATE.name)[0].headers)["__late.floor"]
    assert (0, 1) == (after.counts["aggregated"], after.counts["late"])


def test_a_floor_is_answered_to_every_partition_once_and_says_nothing_of_the_time(
    reading: Reading,
) -> None:
    state = step(POLICY, fresh(), [reading([(0, 200_000, 0)])], at(1_000)).state
    answer = step(POLICY, state, [floor(120_000)], at(1_500))
    again = step(POLICY, answer.state, [floor(120_000), floor(60_000)], at(1_600))
    idle = step(POLICY, answer.state, [], at(6_000))

    assert [(p, 199_000, False, 120_000) for p in range(4)] == [
        (p, v.watermark, v.idle, v.floor) for p, v in partials(answer)
    ]
    assert (again.state, (), {}) == (answer.state, again.emits, again.changes)
    assert {(204_000, True, 120_000)} == {(v.watermark, v.idle, v.floor) for _, v in partials(idle)}


def test_only_the_last_partial_to_a_partition_tells_a_new_floor(reading: Reading) -> None:
    policy = replace(POLICY, destinations=1)
    batch = [
        floor(60_000),
        reading([(0, 90_000, 5)]),
        reading([(0, 80_000, 5)], topic=QUALITY.name),
    ]
    outcome = step(policy, fresh(), batch, MOMENT)

    assert [None, 60_000] == [value.floor for _, value in partials(outcome)]


def test_a_tombstone_among_the_floors_is_passed_over() -> None:
    state = step(POLICY, fresh(), [], at(100)).state
    outcome = step(POLICY, state, [Input(FLOORS.name, 0, None)], at(200))

    assert state is outcome.state


@pytest.mark.parametrize(
    "setting",
    [
        {"grace_ms": -1},
        {"delay_ms": -1},
        {"horizon": 0},
        {"idle_ms": 0},
        {"max_keys": 0},
        {"singles_from": -1},
        {"singles_below": -1},
        {"destinations": 0},
    ],
)
def test_a_setting_out_of_range_is_refused(setting: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="set it to"):
        CollectPolicy(**setting)


def test_identities_are_compared_in_full(reading: Reading) -> None:
    rows = [(0, 70_000, (1 << 64) - 1), (1, 70_000, (1 << 64) - 2)]
    outcome = step(POLICY, fresh(), [reading(rows)], MOMENT)

    assert 2 == outcome.counts["aggregated"]
    assert np.uint64 == outcome.state.seen["llmopt.metrics.v1"].current.dtype
