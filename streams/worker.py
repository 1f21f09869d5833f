"""Run a worker: the stages asked for, until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence

from mode import Worker

from streams import metrics
from streams.app import build
from streams.exactly_once.errors import OutOfStep, StepFailed
from streams.log import log, set_up
from streams.settings import Settings

STOP_WITHIN = 15.0  # seconds, from SIGTERM to the end of the process
DEFECT = 70  # exit status: a step raised
OUT_OF_STEP = 65  # exit status: state and offsets disagree; the log names the command
