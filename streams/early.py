"""Told to stop before there is anything to stop."""

from __future__ import annotations

import os
import signal
from types import FrameType

LINE = b'{"event": "stopped", "level": "info", "status": 0, "why": "told to stop while starting"}\n'


def listen() -> None:
    """From now on end with 0 and a line in the log at SIGTERM or SIGINT, until others listen.

    It needs no module that may just be being imported.
    """
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, _end)


def _end(_: int, __: FrameType | None) -> None:
    os.write(2, LINE)
    raise SystemExit(0)
