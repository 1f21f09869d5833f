"""What msgspec must know before there are threads."""

from __future__ import annotations

import subprocess
import sys

from schemas import avsc
from schemas.codec import KNOWN, Codec
from schemas.registry import LocalRegistry
from schemas.topics import TOPICS

THREADS = """
import sys, threading
import msgspec
from schemas.codec import Codec
from schemas.registry import LocalRegistry
from schemas.window import EnrichedWindow

sys.setswitchinterval(1e-6)
Codec(LocalRegistry())
together = threading.Barrier(8)

def meet():
    together.wait()
    try:
        msgspec.convert({}, EnrichedWindow)
    except msgspec.ValidationError:
        pass

threads = [threading.Thread(target=meet) for _ in range(8)]
for each in threads:
    each.start()
for each in threads:
    each.join()
"""


def test_a_codec_knows_every_record_of_the_contract_before_it_is_used() -> None:
    Codec(LocalRegistry())

    assert set() == {record for topic in TOPICS.values() for record in avsc.records(topic)} - KNOWN


def test_threads_that_meet_a_record_first_at_once_do_not_end_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, check=False)

    assert (0, b"") == (done.returncode, done.stderr)
