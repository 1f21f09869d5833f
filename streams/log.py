"""The structured log: one event a line, for people on a terminal, JSON elsewhere."""

from __future__ import annotations

import logging
import sys

import structlog

from streams.kafka import AtMostOncePer

# Until `set_up`, too: what a command prints on standard output is its answer alone.
structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
log: structlog.stdlib.BoundLogger = structlog.get_logger("llmopt")


def set_up(level: str = "INFO", *, as_json: bool | None = None) -> None:
    """Send everything to standard error, the standard library's loggers included."""
    plain = not sys.stderr.isatty() if as_json is None else as_json
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if plain else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    handler.addFilter(_bounded)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("faust", "mode", "aiokafka", "kafka", "httpx", "httpx2", "httpcore", "httpcore2"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


_repeating = AtMostOncePer(10.0)


def _bounded(record: logging.LogRecord) -> bool:
    """Whether *record* is to be written: while no broker answers, aiokafka says so for ever."""
    return not record.name.startswith("aiokafka") or _repeating.filter(record)
