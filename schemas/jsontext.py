"""A record as the JSON of the topics for people."""

from __future__ import annotations

import json

import msgspec


def jsontext(value: object) -> bytes:
    """The bytes of *value*; equal values give equal ones.

    Raises:
        ValueError: JSON has no such number.

    >>> from schemas.config import LlmConfig
    >>> jsontext(LlmConfig(version="", provider="é", model="m"))[:35].decode()
    '{"version":"","provider":"é","mode'
    """
    plain = msgspec.to_builtins(value, order="deterministic")
    text = json.dumps(plain, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.encode()
