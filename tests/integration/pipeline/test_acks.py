"""How fast configs arrive is measured, whatever an application's client compresses with."""

from __future__ import annotations

import re
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from infra.ports import LOOPBACK, claim
from schemas.config import ConfigAck
from schemas.jsontext import jsontext
from schemas.topics import CONFIG_ACK
from streams import kafka

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")  # all that Kafka knows
EACH = 100  # records of a batch, so that it is worth compressing
ACK = ConfigAck(
    app="search", scope="search/answer", revision=1, epoch=1, applied_at=1_250, updated_at=1_000
)


def counted(port: int) -> int:
    """How many acknowledgements the worker that answers at *port* has counted."""
    try:
        with urlopen(f"http://{LOOPBACK}:{port}/metrics", timeout=5) as answer:
            told = answer.read().decode()
    except URLError:  # it is still starting
        return 0
    found = re.search(r'^llmopt_acks_total\{stage="acks"\} (\S+)', told, re.MULTILINE)
    return 0 if found is None else int(float(found[1]))


@pytest.fixture(scope="module")
def port(pipeline: Any) -> int:
    """Where a worker tells what it has counted."""
    chosen = claim(pipeline.folder, "metrics")
    pipeline.workers.start("worker-1", "--stages", "actuate", "--metrics-port", str(chosen))
    return chosen


@pytest.mark.parametrize("codec", CODECS)
def test_acknowledgements_are_counted_with_every_compression(
    pipeline: Any, port: int, codec: str
) -> None:
    before = counted(port)
    producer = kafka.producer(
        pipeline.cluster.bootstrap_servers, compression_type=codec, linger_ms=100
    )
    for _ in range(EACH):
        producer.produce(CONFIG_ACK.name, value=jsontext(ACK), partition=0)

    assert 0 == producer.flush(30)
    pipeline.until(lambda: counted(port) >= before + EACH, 45, f"{codec} is read")
    assert "UnsupportedCodec" not in (pipeline.folder / "worker-1.log").read_text()
