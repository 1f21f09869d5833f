"""The same as ingest, with a tenth of the messages unreadable: the good ones must not wait.

Each bad message must be in the dead letters, each good one in exactly one window.

python -m bench ingest-garbage
"""

from __future__ import annotations

from bench.ingest import Load, command

BENCH = "ingest-garbage"
BAR = 100_000  # messages a second

main = command(
    BENCH,
    "Measure how many messages a second one worker keeps up with when a tenth is garbage.",
    Load(150_000.0, garbage=0.1),
    BAR,
)


if __name__ == "__main__":
    main()
