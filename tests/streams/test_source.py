from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import faust
import pytest

from schemas.codec import Codec
from schemas.flow import Outcome
from schemas.registry import LocalRegistry
from streams.agents.detect import stage
from streams.app import DEFECT, NAMED_TWICE, OUT_OF_STEP, STUCK, reason_of, status_of
from streams.exactly_once import source as subject
from streams.exactly_once.ahead import PATIENCE
from streams.exactly_once.errors import NamedTwice, OutOfStep, Retake, StepFailed, Stuck
from streams.exactly_once.session import Home
from streams.exactly_once.source import Batch, Source
from streams.settings import Settings


@pytest.fixture
def source() -> Source:
    app = faust.App("test", broker="kafka://127.0.0.1:1", store="memory://")
    return Source(app, stage(Settings()), Codec(LocalRegistry()), Home("127.0.0.1:1", "w", {}))


async def test_a_commit_that_neither_ends_nor_fails_is_abandoned_and_says_where_it_is(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed = threading.Event()
    monkeypatch.setattr(subject, "LONGEST_COMMIT", 0.1)
    monkeypatch.setattr(subject, "commit", lambda *_: freed.wait(10))
    first = source.thread
    try:
        with pytest.raises(Retake, match=r"(?s)has not ended within .* in wait"):
            await source.commit(None, [])  # type: ignore[arg-type]  # it is not looked at

        assert "free" == await source.blocking(lambda: "free")
    finally:
        freed.set()
        first.shutdown()
        source.thread.shutdown()


def test_no_commit_is_abandoned_before_its_own_time_limits_have_ended() -> None:
    calls = ("send_offsets_to_transaction", "flush", "commit_transaction")

    assert len(calls) * PATIENCE < subject.LONGEST_COMMIT


async def test_too_many_abandoned_commits_stop_the_worker_but_not_those_that_ended(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed = threading.Event()
    monkeypatch.setattr(subject, "LONGEST_COMMIT", 0.05)
    monkeypatch.setattr(subject, "commit", lambda *_: freed.wait(10))
    threads = []

    async def fail() -> str:
        threads.append(source.thread)
        with pytest.raises((Retake, Stuck)) as raised:
            await source.commit(None, [])  # type: ignore[arg-type]  # it is not looked at
        return raised.type.__name__

    try:
        before = [await fail() for _ in range(subject.MOST_ABANDONED + 1)]
        freed.set()
        for thread in threads:
            thread.shutdown()
        await asyncio.sleep(0.01)
        freed.clear()
        after = await fail()
    finally:
        freed.set()
        for thread in (*threads, source.thread):
            thread.shutdown()

    assert ["Retake"] * subject.MOST_ABANDONED + ["Stuck"] == before
    assert "Retake" == after


async def test_a_commit_that_fails_fails_the_round(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise StepFailed("not stepped")

    monkeypatch.setattr(subject, "commit", fail)
    with pytest.raises(StepFailed):
        await source.commit(None, [])  # type: ignore[arg-type]  # it is not looked at
    source.thread.shutdown()


def work(state: object) -> Any:
    """As much of a task's share of a round as a step is given."""
    task = SimpleNamespace(state=state, partition=3, ends={})
    read = SimpleNamespace(inputs=[])
    return SimpleNamespace(
        task=task, read=read, policy=None, moment=None, ends={}, outcome=None, stepped=False
    )


async def test_a_step_that_takes_long_holds_up_nobody_else(source: Source) -> None:
    freed = threading.Event()
    batch = Batch(work("before"), source)
    source.waiting, source.round = 1, asyncio.get_running_loop().create_future()

    def step(_policy: Any, state: Any, _inputs: Any, _moment: Any) -> Any:
        assert freed.wait(5)
        return Outcome(state + ", after")

    stepping = asyncio.ensure_future(batch.commit(step))
    await asyncio.sleep(0.01)
    freed.set()  # nobody could, if the step ran in this thread
    await stepping
    await batch.commit(step)
    source.thread.shutdown()

    assert Outcome("before, after") == batch.work.outcome
    assert source.round.done()
    assert 0 == source.waiting


async def test_a_batch_that_was_handed_out_twice_is_stepped_once_also_when_its_outcome_is_written(
    source: Source,
) -> None:
    batch, steps = Batch(work(0), source), []
    source.waiting, source.round = 2, asyncio.get_running_loop().create_future()

    def step(_policy: Any, state: Any, _inputs: Any, _moment: Any) -> Any:
        steps.append(state)
        return Outcome(state)

    await batch.commit(step)
    batch.work.outcome = None  # as a commit leaves it
    await batch.commit(step)
    source.thread.shutdown()

    assert ([0], 1) == (steps, source.waiting)


async def test_a_step_that_raises_fails_the_round_and_says_where(source: Source) -> None:
    source.waiting, source.round = 1, asyncio.get_running_loop().create_future()

    def step(*_: Any) -> Any:
        raise KeyError("gone")

    await Batch(work(None), source).commit(step)
    source.thread.shutdown()

    with pytest.raises(StepFailed, match=r"detect\[3\] raised KeyError: 'gone'"):
        source.round.result()


async def test_a_round_in_which_the_group_meets_is_over_and_what_is_left_of_it_is_not_stepped(
    source: Source,
) -> None:
    first, second, steps = work("a"), work("b"), []
    source.session = SimpleNamespace(attend=lambda: True)  # type: ignore[assignment]  # as much of it
    batches = aiter(source.channel)
    round_ = asyncio.ensure_future(source.hand_out([first, second]))

    def step(_policy: Any, state: Any, _inputs: Any, _moment: Any) -> Any:
        steps.append(state)
        return Outcome(state)

    for _ in range(2):
        await (await anext(batches)).value.commit(step)
    to_be_committed = await asyncio.wait_for(round_, 1.0)
    source.thread.shutdown()

    assert not to_be_committed
    assert ["a"] == steps


async def test_a_group_that_is_lost_while_a_round_lasts_fails_it_as_reading_would(
    source: Source,
) -> None:
    def lost() -> bool:
        raise Retake("the group is lost")

    source.session = SimpleNamespace(attend=lost)  # type: ignore[assignment]  # as much of it
    source.waiting, source.round = 1, asyncio.get_running_loop().create_future()
    await Batch(work(None), source).commit(lambda *_: Outcome(None))
    source.thread.shutdown()

    with pytest.raises(Retake, match="the group is lost"):
        source.round.result()


class Ended:
    def __init__(self, reason: Exception) -> None:
        self.crash_reason = reason


@pytest.mark.parametrize(
    ("reasons", "status"),
    [
        ([], 0),
        ([Stuck("")], STUCK),
        ([Stuck(""), StepFailed("")], DEFECT),
        ([StepFailed(""), OutOfStep("")], OUT_OF_STEP),
        ([NamedTwice(""), Stuck("")], NAMED_TWICE),
        ([NamedTwice(""), StepFailed("")], DEFECT),
    ],
)
def test_the_exit_status_tells_a_supervisor_what_to_do(
    reasons: list[Exception], status: int
) -> None:
    assert status == status_of([Ended(each) for each in reasons])  # type: ignore[misc]


def test_the_reason_of_an_end_is_told_in_words_each_once() -> None:
    reasons = [NamedTwice("two of w1"), NamedTwice("two of w1"), Stuck()]

    assert "told to stop" == reason_of([])
    assert "two of w1; Stuck" == reason_of([Ended(each) for each in reasons])  # type: ignore[misc]
