"""The same as ingest, with plain JSON instead of Avro events.

python -m bench ingest-json
"""

from __future__ import annotations

from bench.ingest import Load, command

BENCH = "ingest-json"
BAR = 150_000  # events a second

main = command(
    BENCH,
    "Measure how many events a second one worker keeps up with as plain JSON.",
    Load(160_000.0, form="json"),
    BAR,
)


if __name__ == "__main__":
    main()
