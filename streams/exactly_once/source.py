"""The service that owns a stage's session and feeds its agent, one event per task and round."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import faust
from confluent_kafka import KafkaException
from faust.channels import Channel
from mode import Service
from mode.utils.queues import FlowControlEvent, ThrowableQueue

from schemas.codec import Codec
from schemas.errors import RegistryUnavailable
from schemas.flow import Moment, Outcome
from streams import metrics
from streams.exactly_once.commit import begin, commit
from streams.exactly_once.errors import NamedTwice, OutOfStep, Retake, StepFailed, Stuck
from streams.exactly_once.lost import lost
from streams.exactly_once.round import Work, prepare
from streams.exactly_once.session import Home, Session
from streams.exactly_once.setbacks import Setbacks
from streams.exactly_once.stage import Stage
from streams.log import log

T = TypeVar("T")
LISTENING = 0.01  # seconds between two looks whether the agent listens
HAND_OUT_AGAIN = 1.0  # seconds after which an agent must have lost its batch
LASTING = 30.0  # seconds of a membership after which its end is no repetition
LONGEST_COMMIT = 45.0  # seconds; all time limits within a commit together are 30
MOST_ABANDONED = 3  # commits that nobody waits for any longer, and that still have not ended
GRACE = 12.0  # seconds for the round in flight when the worker stops
Step = Callable[[Any, Any, Sequence[Any], Moment], Outcome[Any]]


@dataclass(slots=True)
class Batch:
    """What an agent gets: one task's share of a round."""

    work: Work
    source: Source

    async def commit(self, step: Step) -> None:
        """Run *step* on this batch; the round's last one commits them all in one transaction.

        A step that raises is a defect: nothing of the round is written and the worker stops. A
        batch that was handed out twice is stepped once, one of a round that is over not at all.
        Other stages go on meanwhile: the step runs in the thread of its own stage.
        """
        if self.work.stepped:
            return
        try:
            met = await self.source.blocking(partial(self._step, step))
        except Exception as error:  # noqa: BLE001  # whatever it was, it ends the round
            self.source.over(error)
        else:
            self.work.stepped = True
            self.source.stepped(met=met)

    def _step(self, step: Step) -> bool:
        """Step, then see whether the group has met meanwhile.

        Raises:
            StepFailed: the step raised.
            Retake: the group is lost.
            OutOfStep: it has met, and what it left to this worker cannot be taken over.
        """
        work, source = self.work, self.source
        try:
            work.outcome = step(work.policy, work.task.state, work.read.inputs, work.moment)
        except Exception as error:
            raise StepFailed(_where(source.stage, work, error)) from error
        return source.session is not None and source.session.attend()


def _thread_of(stage: Stage[Any, Any]) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix=stage.name)


def _ended_at_last(commit: asyncio.Future[None]) -> None:
    """Nobody waits for *commit* any longer; how it ended is for the log only."""
    if not commit.cancelled():
        log.warning("an abandoned commit has ended", how=str(commit.exception() or "committed"))


def _where(stage: Stage[Any, Any], work: Work, error: Exception) -> str:
    return (
        f"the step of {stage.name}[{work.task.partition}] raised {type(error).__name__}: {error}; "
        f"input from {work.task.ends} to {work.ends}"
    )


class Batches(Channel):  # type: ignore[misc]  # faust publishes no types
    """A channel that Faust's own consumer cannot stop or empty.

    Faust suspends and clears the queues of every channel while its consumer's group rebalances;
    a batch must neither wait for that nor be lost to it.
    """

    _queue: ThrowableQueue[Batch] | None

    @property
    def queue(self) -> ThrowableQueue[Batch]:
        """The queue of this channel, or of one that iterates over it."""
        if self._queue is None:
            self._queue = ThrowableQueue(
                maxsize=self.maxsize or 0,
                flow_control=FlowControlEvent(initially_suspended=False),
                clear_on_resume=False,
            )
        return self._queue


class Source(Service):  # type: ignore[misc]  # mode publishes no types
    """Runs the rounds of one stage: gather, step, commit, for ever.

    All of librdkafka's blocking calls happen in one thread of the service's own, and so do the
    steps that its agent asks for: a step that takes long holds up no other stage.
    """

    def __init__(self, app: faust.App, stage: Stage[Any, Any], codec: Codec, home: Home) -> None:
        super().__init__(loop=app.loop)
        self.stage = stage
        self.codec = codec
        self.home = home
        self.channel = Batches(app, maxsize=1_000)
        self.thread = _thread_of(stage)
        self.abandoned: set[asyncio.Future[None]] = set()
        self.waiting = 0
        self.works: Sequence[Work] = ()  # of the round in hand
        self.round: asyncio.Future[bool] | None = None
        self.done = asyncio.Event()
        self.session: Session | None = None
        self.setbacks = Setbacks(home.worker, stage.name)

    def stepped(self, *, met: bool = False) -> None:
        """One batch of the round is done; where the group has met meanwhile, the round is over."""
        self.waiting -= 1
        if self.round is not None and not self.round.done() and (met or self.waiting == 0):
            self._leave_unstepped()
            self.round.set_result(not met)

    def over(self, error: Exception) -> None:
        """The round has failed."""
        if self.round is not None and not self.round.done():
            self._leave_unstepped()
            self.round.set_exception(error)

    def _leave_unstepped(self) -> None:
        """Let no batch of the round be stepped any more, whoever still has it."""
        for work in self.works:
            work.stepped = True

    @Service.task  # type: ignore[untyped-decorator]
    async def run(self) -> None:
        """Join, work, and join again whenever the group or the producer is lost."""
        pause = 0.1
        try:
            while not self.should_stop:
                try:
                    began = time.monotonic()
                    await self.work()
                except (Retake, RegistryUnavailable, KafkaException) as error:
                    lasted = time.monotonic() - began
                    await self.taken_back(error, lasted)
                    pause = 0.1 if lasted > LASTING else min(2 * pause, 2.0)
                    await self.sleep(pause)
        except (OutOfStep, StepFailed, NamedTwice, Stuck) as error:
            log.critical(
                "stopping", stage=self.stage.name, why=str(error), exc_info=error.__cause__
            )
            await self.crash(error)
        finally:
            await self.leave()
            self.done.set()

    async def taken_back(self, error: Exception, lasted: float) -> None:
        """Give up a membership that has failed after *lasted* seconds.

        Raises:
            NamedTwice: another worker of this name is alive.
            StepFailed: it would fail for ever.
        """
        if isinstance(error, KafkaException):
            error = lost(f"running {self.stage.name}", error)
            if isinstance(error, StepFailed):
                raise error
        metrics.count("retakes_total", stage=self.stage.name)
        log.warning("taking over again", stage=self.stage.name, why=str(error))
        tasks = {} if self.session is None else self.session.tasks
        sequences = {partition: task.sequence for partition, task in tasks.items()}
        await self.leave()
        if lasted > LASTING:
            self.setbacks.lasted()
        self.setbacks.note(error, time.monotonic(), sequences)

    async def work(self) -> None:
        """Rounds within one session."""
        session = self.session = await self.blocking(
            lambda: Session.join(self.stage, self.codec, self.home)
        )
        while not self.should_stop:
            messages = await self.blocking(session.gather)
            works = await self.blocking(partial(prepare, session, messages))
            if works:
                if session.ahead is not None:
                    await self.blocking(partial(begin, session, works))
                if await self.hand_out(works):
                    await self.commit(session, works)
            metrics.PROGRESS.labels(self.stage.name).set(time.time())

    async def commit(self, session: Session, works: Sequence[Work]) -> None:
        """Commit a round.

        A call into librdkafka that outlasts its own time limits is abandoned with its thread and
        its session. The next session's producer fences it, so that it either has committed before
        the takeover looks, or never will.

        Raises:
            Retake: as `commit`, or the commit was abandoned.
            Stuck: too many were, and none has ended.
        """
        committing = asyncio.ensure_future(self.blocking(partial(commit, session, works)))
        await asyncio.wait([committing], timeout=LONGEST_COMMIT)
        if committing.done():
            return committing.result()
        frames = sys._current_frames()  # noqa: SLF001  # the only way to see another thread
        where = [
            "".join(traceback.format_stack(frame, 3))
            for thread in self.thread._threads  # noqa: SLF001  # the same
            if (frame := frames.get(thread.ident or 0)) is not None
        ]
        self.abandoned = {each for each in self.abandoned if not each.done()} | {committing}
        committing.add_done_callback(_ended_at_last)
        self.thread = _thread_of(self.stage)
        sentence = f"a commit has not ended within {LONGEST_COMMIT:.0f} s: {where}"
        raise (Stuck if len(self.abandoned) > MOST_ABANDONED else Retake)(sentence)

    async def hand_out(self, works: Sequence[Work]) -> bool:
        """Give the round's batches to the agent, again if it lost them, until all are stepped.

        Returns:
            Whether they may be committed: not where the group has met meanwhile.
        """
        self.waiting, self.works = len(works), works
        self.round = asyncio.get_running_loop().create_future()
        while not self.channel.subscriber_count:  # Faust starts agents last
            await asyncio.wait([self.round], timeout=LISTENING)
        while not self.round.done():
            for work in works:
                if not work.stepped:
                    await self.channel.send(value=Batch(work, self))
            await asyncio.wait([self.round], timeout=HAND_OUT_AGAIN)
        return self.round.result()

    async def leave(self) -> None:
        """Give the partitions up."""
        session, self.session = self.session, None
        if session is not None:
            await self.blocking(session.leave)

    def blocking(self, call: Callable[[], T]) -> Awaitable[T]:
        """Run *call* in the service's thread."""
        return asyncio.get_running_loop().run_in_executor(self.thread, call)

    async def on_stop(self) -> None:
        """Let the round in flight end, so that the group is left in order."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.done.wait(), GRACE)
            # Not before: a round that outlasts the grace still leaves the group in this thread.
            self.thread.shutdown(wait=False)
