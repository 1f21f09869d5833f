from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = """
import time
from bench.watch import megabytes
from streams import memory

memory.EVERY = 0.1
memory.share_arenas()
if {giving}:
    memory.keep_giving_back()
blocks = [bytearray(100_000) for _ in range(2_000)]
kept = blocks[::50]
del blocks
time.sleep(1)
print(megabytes("self"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="malloc is not glibc's")
def test_what_is_free_between_what_is_used_goes_back_to_the_system() -> None:
    kept, given_back = (
        float(
            subprocess.run(
                [sys.executable, "-c", PROBE.format(giving=giving)],
                capture_output=True,
                check=True,
                text=True,
            ).stdout
        )
        for giving in (False, True)
    )

    assert given_back < kept - 100


def test_a_worker_has_no_pandas_though_arrow_would_import_it() -> None:
    probe = "import sys; from streams.memory import without_pandas; {}; import pyarrow as pa"
    first_use = "pa.array([1.0]); print(sys.modules.get('pandas') is None)"
    there, spared = (
        subprocess.run(
            [sys.executable, "-c", f"{probe.format(call)}; {first_use}"],
            capture_output=True,
            check=True,
            text=True,
        ).stdout.strip()
        for call in ("pass", "without_pandas()")
    )

    assert ("False", "True") == (there, spared)
