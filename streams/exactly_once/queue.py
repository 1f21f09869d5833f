"""Records past confluent_kafka's consumer, where they cost a fifth of what they do through it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import confluent_kafka
from confluent_kafka import Consumer

import native

if TYPE_CHECKING:
    from native.core import Queue

KNOWN = "2.16."  # of confluent_kafka: we know where its consumers keep librdkafka's handle


def queue_of(consumer: Consumer) -> Queue | None:
    """A queue for the records of partitions of *consumer*; None where there cannot be one.

    All else, such as joining its group and committing, is the consumer's as before.
    """
    if native.core is None or not confluent_kafka.__version__.startswith(KNOWN):
        return None
    bundled = Path(confluent_kafka.__file__).parent.with_name("confluent_kafka.libs")
    library = next(iter(sorted(bundled.glob("librdkafka-*"))), Path("librdkafka.so.1"))
    try:
        found: Queue = native.core.Queue(consumer, str(library))
    except RuntimeError:  # it was linked to another one
        return None
    return found
