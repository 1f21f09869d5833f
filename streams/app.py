"""The Faust application: one agent a stage, fed by the exactly-once sources."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import faust
from faust.types import StreamT

from schemas.codec import Codec, make_known
from schemas.journal import Position
from schemas.registry import RegistryClient
from schemas.topics import TOPICS
from streams import early, kafka
from streams.agents import acks
from streams.exactly_once.errors import NamedTwice, OutOfStep, Stuck
from streams.exactly_once.session import Home
from streams.exactly_once.source import Batch, Source
from streams.exactly_once.stage import Stage
from streams.log import log
from streams.presence import Presence
from streams.settings import Settings
from streams.snapshots import Snapshots
from streams.spool import Spool
from streams.store import Store

STOP_WITHIN = 15.0  # seconds, from SIGTERM to the end of the process
BROKER_WITHIN = 30.0  # seconds, that a starting worker waits for a broker
DEFECT = 70  # exit status: a step raised
STUCK = 75  # exit status: a library did not come back; start the worker again
OUT_OF_STEP = 65  # exit status: state and offsets disagree; the log names the command
NAMED_TWICE = 78  # exit status: another worker of this name is running
Agent = Callable[[StreamT[Batch]], Awaitable[None]]


class NotReady(Exception):
    """The cluster lacks topics; the sentence names the command that makes them."""


class App(faust.App):  # type: ignore[misc]  # faust publishes no types
    """Faust's application, without the folders it makes wherever it is started."""

    def _create_directories(self) -> None:
        """Nothing is kept on this machine."""


def partitions_of(brokers: str) -> dict[str, int]:
    """How many partitions each of our topics has.

    Raises:
        NotReady: a topic is missing, or topics that are read together differ in partitions.
        KafkaException: no broker answered.
    """
    there = kafka.admin(brokers).list_topics(timeout=BROKER_WITHIN).topics
    missing = sorted(set(TOPICS) - set(there))
    if missing:
        raise NotReady(
            f"{len(missing)} topics are missing, such as {missing[0]}; run `llmopt topics apply`"
        )
    counts = {name: len(there[name].partitions) for name in TOPICS}
    for kind in ("ingest", "derived"):
        alike = {counts[topic.name] for topic in TOPICS.values() if topic.partitions == kind}
        if len(alike) > 1:
            raise NotReady(
                f"the {kind} topics must have one partition count, but have {sorted(alike)}; "
                "`llmopt topics show` tells which"
            )
    return counts


def assemble(
    settings: Settings, worker: str, stages: Sequence[tuple[Stage[Any, Any], Agent]]
) -> tuple[faust.App, list[Source]]:
    """An application that runs *stages*, and the sources that feed it.

    Raises:
        NotReady: as `partitions_of`.
    """
    app = App(
        "llmopt.acks",
        broker=[f"kafka://{each}" for each in settings.bootstrap_servers.split(",")],
        store="memory://",
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        # A worker whose agent crashed must still obey SIGTERM.
        stream_wait_empty=False,
        broker_session_timeout=settings.session_timeout_ms / 1_000,
        broker_heartbeat_interval=settings.session_timeout_ms / 3_000,
    )
    acks.follow(app)
    codec = Codec(RegistryClient(settings.schema_registry_url))
    make_known(Position, *(stage.entry for stage, _ in stages if stage.entry is not None))
    home = Home(
        brokers=settings.bootstrap_servers,
        worker=worker,
        partitions=partitions_of(settings.bootstrap_servers),
        session_timeout_ms=settings.session_timeout_ms,
        spool=Spool(settings.state_folder, settings.bootstrap_servers),
    )
    sources = []
    for stage, agent in stages:
        source = Source(app, stage, codec, home)
        app.agent(source.channel, name=f"streams.agents.{stage.name}")(agent)
        sources.append(source)
    return app, sources


async def work(
    settings: Settings,
    name: str,
    stages: Sequence[tuple[Stage[Any, Any], Agent]],
    store: Store | None = None,
    tell: Callable[[int, str], None] | None = None,
) -> int:
    """Run *stages*, and the store beside them, in this event loop until a signal or a defect.

    Args:
        settings: Where the brokers are.
        name: Of the worker.
        stages: With their agents.
        store: The copy to Postgres, if wanted.
        tell: Told the exit status and why, once, even if a library hangs in its shutdown.

    Returns:
        The exit status: 0 after a signal, else DEFECT, OUT_OF_STEP, STUCK or NAMED_TWICE.
    """
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    early.listen()
    here = Presence(
        settings.state_folder,
        Spool(settings.state_folder, settings.bootstrap_servers),
        name,
        [stage.name for stage, _ in stages],
    )
    here.start()
    app, sources = assemble(settings, name, stages)  # asks the broker, and may wait long
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, told.set)
    starting = asyncio.create_task(app.start())
    await _agents_started(app, starting)
    for source in sources:
        await source.start()
    snapshots = Snapshots(settings, sources)
    snapshots.start()
    if store is not None:
        try:
            await store.start()
        except Exception as error:  # noqa: BLE001  # whatever it is, all else must end in order
            store.fail(error)
    log.info("started", worker=name, stages=[stage.name for stage, _ in stages], pid=os.getpid())
    ends: list[asyncio.Future[Any]] = [
        asyncio.create_task(source.done.wait()) for source in sources
    ]
    if store is not None:
        ends.append(asyncio.create_task(store.done.wait()))
    signalled = asyncio.create_task(told.wait())
    await asyncio.wait([signalled, *ends], return_when=asyncio.FIRST_COMPLETED)
    over = threading.Lock()

    def last() -> int:
        status = status_of(sources, store)
        if tell is not None and over.acquire(blocking=False):
            tell(status, reason_of(sources, store))
        return status

    _die_at_last(STOP_WITHIN, last)
    await asyncio.gather(
        asyncio.to_thread(snapshots.stop),
        *(source.stop() for source in sources),
        return_exceptions=True,
    )
    if store is not None:
        await store.stop()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(app.stop(), STOP_WITHIN / 3)
    for task in (starting, signalled, *ends):
        task.cancel()
    here.stop()
    return last()


async def _agents_started(app: faust.App, starting: asyncio.Task[None]) -> None:
    """Wait for the agents of *app*, but not for the group of the acknowledgements.

    The app itself has started only when that group has; a member that was killed holds it up
    until its session ends, and the stages must not wait for that.
    """
    agents = asyncio.create_task(app.agents.wait_until_agents_started())
    await asyncio.wait([starting, agents], return_when=asyncio.FIRST_COMPLETED)
    agents.cancel()
    if starting.done():
        starting.result()


def status_of(sources: Sequence[Source], store: Store | None = None) -> int:
    """What the process should answer, from how its sources and its store ended."""
    reasons = _reasons(sources, store)
    if not reasons:
        return 0
    if any(isinstance(each, OutOfStep) for each in reasons):
        return OUT_OF_STEP
    if all(isinstance(each, Stuck) for each in reasons):
        return STUCK
    # Whoever loses the name may have commits under way that no longer end.
    twice = all(isinstance(each, NamedTwice | Stuck) for each in reasons)
    return NAMED_TWICE if twice else DEFECT


def reason_of(sources: Sequence[Source], store: Store | None = None) -> str:
    """Why the process ends, in words."""
    words = dict.fromkeys(str(each) or type(each).__name__ for each in _reasons(sources, store))
    return "; ".join(words) or "told to stop"


def _reasons(sources: Sequence[Source], store: Store | None) -> list[BaseException]:
    reasons = [source.crash_reason for source in sources if source.crash_reason is not None]
    if store is not None and store.failure is not None:
        reasons.append(store.failure)
    return reasons


def _die_at_last(seconds: float, status: Callable[[], int]) -> None:
    """End the process even if a library's shutdown hangs; nothing uncommitted can be lost."""
    timer = threading.Timer(seconds, lambda: os._exit(status()))
    timer.daemon = True
    timer.start()
