"""What an operator may set, as a value; nothing else reads the environment."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PREFIX = "LLMOPT_"
UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class InvalidSettings(ValueError):
    """A setting cannot be used; the sentence names the variable and what to change."""


def duration(text: str) -> int:
    """A length of time in ms; a bare number counts seconds.

    >>> duration("500ms"), duration("10m"), duration("0.5")
    (500, 600000, 500)

    Raises:
        ValueError: *text* is not a duration.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", text)
    if match is None:
        raise ValueError(
            "is not a duration: write a number and ms, s, m, h or d, like 500ms or 10m"
        )
    return round(float(match[1]) * UNITS[match[2] or "s"])


def _at_least(low: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        milliseconds = duration(text)
        if milliseconds < low:
            raise ValueError(f"is too short: give at least {low}ms")
        return milliseconds

    return parse


def _partitions(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise ValueError("is not a partition count: write a whole number from 1 to 10000")
    return int(text)


def _servers(text: str) -> str:
    for server in text.split(","):
        if re.fullmatch(r"\s*(?:\w+://)?(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}\s*", server) is None:
            raise ValueError("is not a list of brokers: write host:port, separated by commas")
    return text


def _url(text: str) -> str:
    if re.fullmatch(r"https?://\S+", text) is None:
        raise ValueError("is not the address of a registry: write http://host:port")
    return text.rstrip("/")


def _dsn(text: str) -> str:
    if re.fullmatch(r"postgres(ql)?://\S+|\w+\s*=.*", text) is None:
        raise ValueError(
            "is no Postgres address: write postgresql://user:password@host:port/database"
        )
    return text


def worker_name(text: str) -> str:
    """The name of a worker.

    Raises:
        ValueError: *text* cannot be one.
    """
    if re.fullmatch(r"[A-Za-z0-9._-]{1,100}", text) is None:
        raise ValueError("is not a name: use 1 to 100 letters, digits, dots, dashes or underscores")
    return text


def _folder(text: str) -> str:
    if not text.startswith(("/", "~/")):
        raise ValueError("is not a folder that all find: write it from / or ~/ on")
    return text


def _level(text: str) -> str:
    levels = ("debug", "info", "warning", "error")
    if text.lower() not in levels:
        raise ValueError(f"is not a log level: write {', '.join(levels[:-1])} or {levels[-1]}")
    return text.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where everything is, and the few times that are an operator's to choose."""

    bootstrap_servers: str = "127.0.0.1:9092"  # Kafka: host:port, separated by commas
    schema_registry_url: str = field(default="http://127.0.0.1:8081", repr=False)  # with its user
    database_url: str = field(default="", repr=False)  # with its password; empty: no copy
    partitions_ingest: int = 4  # of the topics that applications write, when they are created
    partitions_derived: int = 4  # of the topics that stages write, when they are created
    commit_interval_ms: int = 250  # collect gathers that long before it commits
    window_delay_ms: int = 1_000  # the watermark stays that far behind the newest event
    window_grace_ms: int = 600_000  # later events go to the late topic
    settle_ms: int = 60_000  # event time until a share counts as served everywhere
    idle_after_ms: int = 5_000  # a source that is silent for so long holds no window open
    session_timeout_ms: int = 6_000  # a worker that is silent for so long loses its partitions
    snapshot_interval_ms: int = 3_600_000  # a copy of each state is kept so often, for replays
    state_dir: str = "~/.local/state/llmopt"  # of this machine: stops for which no broker is there
    worker_name: str = "worker-1"  # the same over restarts, another for each worker
    log_level: str = "info"  # debug, info, warning or error

    @property
    def state_folder(self) -> Path:
        """The folder that all of this machine share, workers and commands alike."""
        return Path(self.state_dir).expanduser()

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Settings:
        """The settings that *env* asks for; an empty value counts as not set.

        Raises:
            InvalidSettings: a value cannot be used, or a variable LLMOPT_* does not exist.
        """
        given: dict[str, Any] = {}
        for variable in sorted(name for name in env if name.startswith(PREFIX)):
            if variable not in VARIABLES:
                raise InvalidSettings(_unknown(variable))
            name, parse = VARIABLES[variable]
            text = env[variable].strip()
            if not text:
                continue
            try:
                given[name] = parse(text)
            except ValueError as error:
                said = "" if name in SECRET else f"={text!r}"
                raise InvalidSettings(f"{variable}{said} {error}.") from None
        return cls(**given)

    def environment(self) -> dict[str, str]:
        """The variables that name the three servers and this machine's folder, for a child."""
        return {
            "LLMOPT_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "LLMOPT_SCHEMA_REGISTRY_URL": self.schema_registry_url,
            "LLMOPT_DATABASE_URL": self.database_url,
            "LLMOPT_STATE_DIR": self.state_dir,
        }


VARIABLES: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "LLMOPT_BOOTSTRAP_SERVERS": ("bootstrap_servers", _servers),
    "LLMOPT_SCHEMA_REGISTRY_URL": ("schema_registry_url", _url),
    "LLMOPT_DATABASE_URL": ("database_url", _dsn),
    "LLMOPT_PARTITIONS_INGEST": ("partitions_ingest", _partitions),
    "LLMOPT_PARTITIONS_DERIVED": ("partitions_derived", _partitions),
    "LLMOPT_COMMIT_INTERVAL": ("commit_interval_ms", _at_least(10)),
    "LLMOPT_WINDOW_DELAY": ("window_delay_ms", _at_least(0)),
    "LLMOPT_WINDOW_GRACE": ("window_grace_ms", _at_least(0)),
    "LLMOPT_SETTLE": ("settle_ms", _at_least(0)),
    "LLMOPT_IDLE_AFTER": ("idle_after_ms", _at_least(100)),
    "LLMOPT_SESSION_TIMEOUT": ("session_timeout_ms", _at_least(1_000)),
    "LLMOPT_SNAPSHOT_INTERVAL": ("snapshot_interval_ms", _at_least(1_000)),
    "LLMOPT_STATE_DIR": ("state_dir", _folder),
    "LLMOPT_WORKER_NAME": ("worker_name", worker_name),
    "LLMOPT_LOG_LEVEL": ("log_level", _level),
}
SERVERS = ("LLMOPT_BOOTSTRAP_SERVERS", "LLMOPT_SCHEMA_REGISTRY_URL", "LLMOPT_DATABASE_URL")
SECRET = ("database_url", "schema_registry_url")  # not shown in an error either


def _unknown(variable: str) -> str:
    # Without the prefix, which every name shares.
    names = [name.removeprefix(PREFIX) for name in VARIABLES]
    near = difflib.get_close_matches(variable.removeprefix(PREFIX), names, n=1, cutoff=0.6)
    if near:
        return f"{variable} is not a setting: did you mean {PREFIX}{near[0]}? Otherwise unset it."
    return f"{variable} is not a setting: unset it. There are {', '.join(sorted(VARIABLES))}."


def named(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables among *env* that name a server."""
    return {name: env[name] for name in SERVERS if env.get(name)}


def at(servers: Mapping[str, str], env: Mapping[str, str] = os.environ) -> Settings:
    """What *env* asks for, with the variables *servers* instead of its own.

    Raises:
        InvalidSettings: as `Settings.read`.
    """
    return Settings.read({**env, **servers})


def current(env: Mapping[str, str] = os.environ) -> Settings:
    """What *env* asks for; when it names no server, those that `llmopt dev up` keeps running.

    Raises:
        InvalidSettings: as `Settings.read`.
    """
    if not named(env):
        from infra.state import running  # noqa: PLC0415  # costs nothing when servers are named

        left = running()
        if left is not None:
            return at(left.env(), env)
    return Settings.read(env)
