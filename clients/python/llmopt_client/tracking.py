"""Measuring one LLM request from the outside."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from llmopt_client.config import Config

Report = Callable[..., object]


class TrackedRequest:
    """A context manager around one request: measures it, reports it, never changes its outcome.

    The application says what only it knows (tokens, cost); latency, status, cohort and config
    version are filled in. An exception passes through unchanged and is reported as an error.

    Attributes:
        config: What to call the model with.
        request_id: Of the reported event; the default unit too when none is given.
    """

    __slots__ = (
        *("_began", "_cached", "_cost", "_error", "_first", "_input", "_more", "_output"),
        *("_report", "_report_quality", "_retries", "_status", "_unit"),
        *("config", "endpoint", "request_id", "service"),
    )

    def __init__(
        self,
        service: str,
        endpoint: str,
        *,
        unit: str | None,
        config: Config,
        request_id: str,
        report: Report,
        report_quality: Report,
        more: Mapping[str, Any],
    ) -> None:
        self.service, self.endpoint = service, endpoint
        self.config, self.request_id = config, request_id
        self._unit, self._more = unit, more
        self._report, self._report_quality = report, report_quality
        self._input = self._output = self._retries = 0
        self._cached: int | None = None
        self._cost: float | None = None
        self._first: float | None = None
        self._status: int | None = None
        self._error: str | None = None
        self._began = time.perf_counter()

    def __enter__(self) -> Self:
        """Start the clock."""
        self._began = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        """Report; an exception goes on."""
        latency = (time.perf_counter() - self._began) * 1_000
        try:
            self._report(**self._fields(latency, kind, error))
        except Exception:  # noqa: BLE001  # whatever this met, the application goes on
            with suppress(Exception):  # it lacks what could not be read: counted as invalid
                self._report(service=self.service, endpoint=self.endpoint)

    def _fields(
        self, latency: float, kind: type[BaseException] | None, error: BaseException | None
    ) -> dict[str, Any]:
        """What to report of a request that took *latency* ms."""
        status, name = self._status or (500 if self._error else 200), self._error
        if kind is not None and name is None:
            status, name = outcome(kind, error)
        config = self.config
        fields: dict[str, Any] = {
            "service": self.service,
            "endpoint": self.endpoint,
            "model": config.model or "unknown",
            "provider": config.provider or "unknown",
            "latency_ms": latency,
            "tokens_input": self._input,
            "tokens_output": self._output,
            "cost_usd": self._cost,
            "status_code": status,
            "error_type": name,
            "retry_count": self._retries,
            "config_version": config.version,
            "cohort": config.cohort,
            "request_id": self.request_id,
            "unit_id": self._unit,
            "time_to_first_token_ms": self._first,
            "cached_tokens": self._cached,
        }
        return {**fields, **self._more}

    def tokens(self, input: int, output: int, cached: int | None = None) -> None:  # noqa: A002
        """How many tokens went in and came out; *cached* of the input were read from a cache."""
        self._input, self._output, self._cached = input, output, cached

    def cost(self, usd: float) -> None:
        """What it cost; left out, the optimizer prices the tokens."""
        self._cost = usd

    def first_token(self) -> None:
        """The first token of a stream is here."""
        if self._first is None:
            self._first = (time.perf_counter() - self._began) * 1_000

    def retry(self) -> None:
        """The call is being made once more."""
        self._retries += 1

    def error(self, type: str, status: int = 500) -> None:  # noqa: A002
        """It failed without an exception, or with one that this names better."""
        self._error, self._status = type, status

    def quality(self, overall: float | None = None, /, **more: Any) -> None:
        """Report how good the answer was, 0 to 100, for the config that gave it.

        What the request knows of itself (service, endpoint, config, unit, request_id) stays.
        """
        own = {
            "service": self.service,
            "endpoint": self.endpoint,
            "config": self.config,
            "request_id": self.request_id,
            "unit": self._unit,
        }
        self._report_quality(overall, **{**more, **own})


def outcome(kind: type[BaseException], error: BaseException | None) -> tuple[int, str]:
    """The HTTP status and error type that an exception stands for.

    Returns:
        (504, "timeout") for time-outs, (499, "cancelled") for what stopped the caller itself,
        the exception's own status where it has one that can be read, else 500, with the
        exception's name.
    """
    if issubclass(kind, TimeoutError) or "timeout" in kind.__name__.lower():
        return 504, "timeout"
    if issubclass(kind, asyncio.CancelledError) or not issubclass(kind, Exception):
        return 499, "cancelled"
    for holder in (error, peek(error, "response")):
        for name in ("status_code", "http_status", "status"):
            status = peek(holder, name)
            if isinstance(status, int) and 400 <= status <= 599:
                return status, kind.__name__
    return 500, kind.__name__


def peek(holder: object, name: str) -> object:
    """An attribute, or None where there is none, or where looking at it raises."""
    try:
        return getattr(holder, name, None)
    except Exception:  # noqa: BLE001  # the application's property, while its own error is on its way
        return None


def new_id() -> str:
    """A request id that no other request has."""
    return os.urandom(12).hex()
