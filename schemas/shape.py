"""Plain values of a document (text, numbers, mappings) read as the fields of a dataclass."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import date
from difflib import get_close_matches
from enum import StrEnum
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from schemas.errors import InvalidCatalog

DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
FEW = 8  # names that a sentence may hold
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def refuse(where: str, what: str) -> InvalidCatalog:
    """The error that says where something is wrong and what to change."""
    return InvalidCatalog(f"{where}: {what}")


def hint(word: object, known: Iterable[str]) -> str:
    """The end of a sentence: the nearest known word, else all of them."""
    names = sorted(known)
    near = get_close_matches(str(word), names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(names)}"


def alike(word: str, names: Iterable[str]) -> str:
    """The end of a sentence: which of *names* is like *word*, or all of them if they are few.

    >>> alike("serch/answer", ["search/answer", "coder/complete"])
    'nearest: search/answer'
    >>> alike("x/y", ["search/answer", "coder/complete"]), alike("x/y", [])
    ('known: coder/complete, search/answer', 'no scope is known yet')
    """
    known = sorted(names)
    near = get_close_matches(word, known, n=1)
    if near:
        return f"nearest: {near[0]}"
    if len(known) > FEW:
        return f"{len(known):,} others are known"
    return f"known: {', '.join(known)}" if known else "no scope is known yet"


def seconds(where: str, value: object) -> int:
    """A duration in whole seconds, from a number of seconds or text such as "30m".

    >>> seconds("rule/x, cooldown", "1.5h")
    5400
    """
    if isinstance(value, str):
        match = DURATION.fullmatch(value.strip())
        if match is None:
            raise refuse(
                where, f'{value!r} is not a duration; write seconds, or "600s", "30m", "2h"'
            )
        value = float(match[1]) * SECONDS[match[2]]
    plain = number(where, value)
    if plain != int(plain):
        raise refuse(where, f"{value!r} is not a whole number of seconds; round it")
    return int(plain)


def number(where: str, value: object) -> float:
    """A finite number, where text may be a percentage.

    >>> number("strategy/x, alpha", "5%")
    0.05
    """
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            # through a ratio of decimals, so that "5%" is the 0.05 of a program's text
            value = float(f"{value.strip()[:-1].strip()}e-2")
        except ValueError:
            raise refuse(where, f"{value!r} is not a share; write 0.05 or 5%") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise refuse(where, f"{value!r} is not a number; write a finite number without quotes")
    return float(value)


def text(where: str, value: object) -> str:
    """A text; a date may be written without quotes."""
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, str):
        raise refuse(where, f"{value!r} is not a text; put it in quotes")
    return value


def mapping(where: str, value: object) -> Mapping[str, Any]:
    """A mapping with text keys."""
    if not isinstance(value, Mapping):
        raise refuse(
            where, f"{value!r} is not a mapping of names to values; indent its fields below"
        )
    for key in value:
        if not isinstance(key, str):
            raise refuse(where, f"the name {key!r} is not a text; put it in quotes")
    return value


def sequence(where: str, value: object) -> list[Any]:
    """A list."""
    if not isinstance(value, list | tuple):
        raise refuse(where, f"{value!r} is not a list; write it as [a, b]")
    return list(value)


def choice(where: str, value: object, known: Iterable[str]) -> str:
    """One of the known words."""
    names = tuple(str(word) for word in known)
    if value not in names:
        raise refuse(where, f"{value!r} is unknown; {hint(value, names)}")
    return str(value)


def construct(where: str, kind: type[Any], document: object, given: Mapping[str, Any]) -> Any:
    """A *kind* from the fields that *document* has and those that are *given* by its name.

    A field `name_s` is a duration and may be written `name`. Absent fields keep their defaults.

    Raises:
        InvalidCatalog: on an unknown field, a missing one, or a value of the wrong type.
    """
    hints = get_type_hints(kind)
    names = {name: name for name in hints if name not in given}
    names |= {name.removesuffix("_s"): name for name in names if name.endswith("_s")}
    values = dict(given)
    for written, value in mapping(where, document).items():
        if written not in names:
            fixed = f"{written!r} is given by the entry's name; remove it"
            unknown = f"there is no field {written!r}; {hint(written, names)}"
            raise refuse(where, fixed if written in given else unknown)
        name = names[written]
        if name in values:
            raise refuse(where, f"{name} is written twice; keep one")
        values[name] = convert(f"{where}, {written}", name, hints[name], value)
    try:
        return kind(**values)
    except TypeError:
        required = [f.name for f in fields(kind) if f.name not in values]
        raise refuse(where, f"needs a value for one of {', '.join(required)}; add it") from None


def convert(where: str, name: str, kind: Any, value: object) -> Any:  # noqa: PLR0911
    """One field's value as its type asks for."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):  # the first where a Literal is in it
        rest = next(part for part in inner if part is not type(None))
        return None if value is None else convert(where, name, rest, value)
    if origin is Literal:
        return choice(where, value, inner)
    if origin is tuple:
        return tuple(
            convert(f"{where} {n}", name, inner[0], item)
            for n, item in enumerate(sequence(where, value), 1)
        )
    if kind is bool:
        if not isinstance(value, bool):
            raise refuse(where, f"{value!r} is neither true nor false; write one of them")
        return value
    if kind is float:
        return number(where, value)
    if kind is int:
        whole = seconds if name.endswith("_s") else integer
        return whole(where, value)
    if kind is str:
        return text(where, value)
    if issubclass(kind, StrEnum):
        return kind(choice(where, value, list(kind)))
    return construct(where, kind, value, {})


def integer(where: str, value: object) -> int:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise refuse(where, f"{value!r} is not a whole number; write it without point and quotes")
    return value
