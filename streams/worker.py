"""Run a worker: the stages asked for, until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Sequence

from streams import metrics
from streams.app import build
from streams.exactly_once.errors import OutOfStep
from streams.exactly_once.source import Source
from streams.log import log, set_up
from streams.settings import Settings
from streams.store import Store

STOP_WITHIN = 15.0  # seconds, from SIGTERM to the end of the process
STORE = "store"  # the stage that copies to Postgres; it runs beside the engine, not in it
DEFECT = 70  # exit status: a step raised
OUT_OF_STEP = 65  # exit status: state and offsets disagree; the log names the command


def run(
    settings: Settings, stages: Sequence[str], name: str, metrics_port: int | None = None
) -> int:
    """Work until SIGTERM or SIGINT, or until a defect.

    Returns:
        The exit status: 0 after a signal, DEFECT or OUT_OF_STEP otherwise.
    """
    set_up(settings.log_level)
    if metrics_port is not None:
        metrics.serve(metrics_port)
    status = asyncio.run(_work(settings, stages, name))
    log.info("stopped", worker=name, status=status)
    return status


async def _work(settings: Settings, stages: Sequence[str], name: str) -> int:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, told.set)
    engine = [each for each in stages if each != STORE]
    app, sources = build(settings, name, engine)
    store = Store(settings) if STORE in stages else None
    await app.start()
    for source in sources:
        await source.start()
    if store is not None:
        await store.start()
    log.info("started", worker=name, stages=list(stages), pid=os.getpid())
    ends = [asyncio.create_task(source.done.wait()) for source in sources]
    signalled = asyncio.create_task(told.wait())
    await asyncio.wait([signalled, *ends], return_when=asyncio.FIRST_COMPLETED)
    _die_at_last(STOP_WITHIN)
    await asyncio.gather(*(source.stop() for source in sources), return_exceptions=True)
    if store is not None:
        await store.stop()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(app.stop(), STOP_WITHIN / 3)
    for task in (signalled, *ends):
        task.cancel()
    return status_of(sources)


def status_of(sources: Sequence[Source]) -> int:
    """What the process should answer, from how its sources ended."""
    reasons = [source.crash_reason for source in sources if source.crash_reason is not None]
    if not reasons:
        return 0
    return OUT_OF_STEP if any(isinstance(each, OutOfStep) for each in reasons) else DEFECT


def _die_at_last(seconds: float) -> None:
    """End the process even if a library's shutdown hangs; nothing uncommitted can be lost."""
    timer = threading.Timer(seconds, os._exit, args=(0,))
    timer.daemon = True
    timer.start()
