"""The last known good configs on disk, for a start while Kafka is away."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from llmopt_client.scope import ScopeState, parse

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Memory:
    """What was known, and of which Kafka cluster."""

    cluster: str | None = None
    states: Mapping[str, ScopeState] = field(default_factory=dict)


def file_of(folder: Path, app: str) -> Path:
    """Where *app* keeps its configs in *folder*; two names never share a file."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", app)
    name = plain if plain == app else f"{plain}-{crc32(app.encode()):08x}"
    return folder / f"{name}.configs.json"


def save(file: Path, memory: Memory) -> None:
    """Replace *file* in one step, so that a crash leaves the old one or the new one.

    Raises:
        OSError: The folder cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    scopes = {name: dict(state.raw) for name, state in sorted(memory.states.items())}
    body = json.dumps(scopes, separators=(",", ":"), sort_keys=True)
    whole = {
        "format": FORMAT,
        "cluster": memory.cluster,
        "crc": crc32(body.encode()),
        "scopes": scopes,
    }
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8") as out:
            json.dump(whole, out, separators=(",", ":"), sort_keys=True)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(file)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def load(file: Path) -> Memory | None:
    """What *file* holds, or None when there is none or it is not whole."""
    try:
        whole = json.loads(file.read_bytes())
        scopes = whole["scopes"]
        body = json.dumps(scopes, separators=(",", ":"), sort_keys=True)
        if whole["format"] != FORMAT or whole["crc"] != crc32(body.encode()):
            return None
        states = {name: parse(raw) for name, raw in scopes.items()}
        return Memory(whole["cluster"], states)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
