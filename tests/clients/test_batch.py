"""Columnar batches, read back by somebody else's Avro."""

import io
import json
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from zlib import crc32

import fastavro
import numpy as np
import pytest

from llmopt_client.batch import COLUMNS, Batches
from llmopt_client.kafka import METRICS, QUALITY
from llmopt_client.outbox import Outbox
from schemas.scope import bucket_of

AVSC = Path(__file__).parents[2] / "schemas" / "avro" / "MetricBatch.avsc"
NOW = time.time_ns() // 1_000_000
EVENT = {
    "timestamp": NOW,
    "service": "s",
    "endpoint": "e",
    "model": "m",
    "provider": "p",
    "latency_ms": 12.3456,
    "tokens_input": 7,
    "tokens_output": 5,
}


@contextmanager
def registry(schema: str | None) -> Iterator[str]:
    """A registry that knows one schema under id 41, or none."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"id": 41, "schema": schema}).encode()
            found = schema is not None and "MetricBatch" in self.path
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(body if found else b"{}")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def unpack(message: bytes) -> dict[str, Any]:
    schema = fastavro.parse_schema(json.loads(AVSC.read_text()))
    assert (0, 41) == struct.unpack(">bI", message[:5])
    stream = io.BytesIO(message[5:])
    record: Any = fastavro.schemaless_reader(stream, schema, None)
    assert b"" == stream.read()
    return dict(record)


def test_a_batch_says_what_its_events_said() -> None:
    full = {
        **EVENT,
        "cost_usd": 0.001234567,
        "time_to_first_token_ms": 3.0,
        "cached_tokens": 2,
        "tokens_total": 99,
        "status_code": 504,
        "error_type": "timeout",
        "retry_count": 3,
        "config_version": "v1",
        "cohort": "candidate",
        "unit_id": "u",
    }
    with registry(AVSC.read_text()) as url:
        batches = Batches(url)
        assert batches.ready()
        record = unpack(batches.pack([EVENT, full, EVENT]))
        again = unpack(batches.pack([EVENT]))
    column = {
        name: np.frombuffer(record[name], {"H": "<u2", "q": "<i8", "i": "<i4"}[code]).tolist()
        for name, code in COLUMNS
    }

    assert [["s", "e", "m", "p", "", ""], ["s", "e", "m", "p", "v1", "candidate"]] == record["keys"]
    assert (["timeout"], 3) == (record["error_types"], record["n"])
    assert {
        "key": [0, 1, 0],
        "timestamp": [NOW] * 3,
        "latency_us": [12346] * 3,
        "ttft_us": [-1, 3_000, -1],
        "cost_nanousd": [-1, 1_234_567, -1],
        "tokens_input": [7] * 3,
        "tokens_output": [5] * 3,
        "tokens_total": [12, 99, 12],
        "cached_tokens": [-1, 2, -1],
        "status_code": [200, 504, 200],
        "retry_count": [0, 3, 0],
        "error_type": [0, 1, 0],
        "unit": [65_535, bucket_of("u", "unit"), 65_535],
    } == column
    assert crc32(b"".join(record[name] for name, _ in COLUMNS)) == record["crc"]
    assert (record["producer_id"], record["epoch"]) == (again["producer_id"], again["epoch"])
    assert record["seq"] + 1 == again["seq"]


@pytest.mark.parametrize("schema", [None, '{"fields": [{"name": "other"}]}', "not a schema"])
def test_without_the_right_schema_there_are_no_batches(schema: str | None) -> None:
    with registry(schema) as url:
        assert not Batches(url).ready()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "file:///etc/passwd", "nonsense"])
def test_without_a_registry_there_are_no_batches(url: str) -> None:
    assert not Batches(url).ready()


@pytest.mark.parametrize(
    "wrong",
    [
        {"latency_ms": float("nan")},
        {"latency_ms": -1.0},
        {"latency_ms": None},
        {"service": ""},
        {"service": 3},
        {"tokens_input": 2**31},
        {"status_code": -1},
        {"timestamp": "yesterday"},
        {"timestamp": 0},
        {"timestamp": NOW + 86_400_000},
        {"latency_ms": 3_600_001.0},
        {"retry_count": 1_001},
        {"model": "m" * 257},
        {"error_type": "e" * 129},
        {"cost_usd": 1_001.0},
    ],
)
def test_an_event_that_would_spoil_a_batch_is_kept_out_of_it(wrong: dict[str, Any]) -> None:
    batches = Batches("http://127.0.0.1:1")

    assert batches.fits(EVENT)
    assert not batches.fits({**EVENT, **wrong})


def test_what_a_batch_cannot_hold_goes_alone_and_in_order() -> None:
    class Sent:
        def __init__(self) -> None:
            self.values: list[bytes] = []

        def produce(self, _: str, value: bytes, __: str, **___: object) -> None:
            self.values.append(value)

    with registry(AVSC.read_text()) as url:
        outbox = Outbox({}, 100, Batches(url, size=3))
        sent = Sent()
        outbox._producer = sent
        odd = {**EVENT, "tokens_input": 10_000_001}
        quality = {**EVENT, "overall": 80.0}
        outbox.put_many(METRICS, [("s", EVENT)] * 4 + [("s", odd), ("s", EVENT)])
        outbox.put(QUALITY, "s", quality)
        outbox._drain(time.monotonic() + 5)
    batched = [
        unpack(value)["n"] if value[:1] == b"\0" else json.loads(value) for value in sent.values
    ]

    assert [3, 1, odd, 1, quality] == batched
    assert 7 == outbox.counts()["sent"]
