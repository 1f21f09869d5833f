"""Run a worker: the stages asked for, until told to stop."""

from __future__ import annotations

import asyncio
import dataclasses
import faulthandler
import gc
from collections.abc import Callable, Sequence

from schemas.topics import AGGREGATES, METRICS
from streams import metrics
from streams.app import partitions_of, work
from streams.log import log, set_up
from streams.memory import keep_giving_back, share_arenas, without_pandas
from streams.settings import Settings
from streams.stages import make
from streams.store import Store

GC_AFTER = (50_000, 10, 50)  # objects, and runs of the younger generations
STORE = "store"  # the stage that copies to Postgres; it runs beside the engine, not in it


def run(
    settings: Settings,
    stages: Sequence[str],
    name: str,
    metrics_port: int | None = None,
    tell: Callable[[int, str], None] | None = None,
) -> int:
    """Work until SIGTERM or SIGINT, or until a defect.

    Args:
        settings: Where everything is.
        stages: Which to run; `STORE` is one.
        name: Of the worker.
        metrics_port: Where to answer Prometheus; None: nowhere.
        tell: Told the exit status and why, at the end.

    Returns:
        The exit status: 0 after a signal, else DEFECT, OUT_OF_STEP, STUCK or NAMED_TWICE.

    Raises:
        PortTaken: nothing can be answered at *metrics_port*.
        NotReady: topics are missing, or differ where they must not.
    """
    set_up(settings.log_level)
    share_arenas()
    keep_giving_back()
    without_pandas()
    faulthandler.enable()  # a library that crashes says where
    if metrics_port is not None:
        metrics.serve(metrics_port)
    settings = at_width(settings)
    engine = [make(each, settings) for each in stages if each != STORE]
    store = Store(settings) if STORE in stages else None
    # Each message is an object that the garbage collector looks at. Without this it would look at
    # all modules as well, once per round: more work than to read the messages.
    gc.freeze()
    # What is garbage is so by its count of references, but for some exceptions and tasks. To look
    # at all windows again and again while they are restored would take longer than to read them.
    gc.set_threshold(*GC_AFTER)
    status = asyncio.run(work(settings, name, engine, store, tell))
    log.info("stopped", worker=name, status=status)
    return status


def at_width(settings: Settings) -> Settings:
    """*settings* with the partition counts that the topics really have.

    Raises:
        NotReady: topics are missing, or differ where they must not.
    """
    counts = partitions_of(settings.bootstrap_servers)
    return dataclasses.replace(
        settings,
        partitions_ingest=counts[METRICS.name],
        partitions_derived=counts[AGGREGATES.name],
    )
