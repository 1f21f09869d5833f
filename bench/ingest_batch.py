"""The same as ingest, with columnar batches of 250 events instead of Avro events.

python -m bench ingest-batch
"""

from __future__ import annotations

from bench.ingest import Load, command

BENCH = "ingest-batch"
BAR = 1_000_000  # events a second

main = command(
    BENCH,
    "Measure how many events a second one worker keeps up with in columnar batches.",
    Load(1_050_000.0, form="batch"),
    BAR,
)


if __name__ == "__main__":
    main()
