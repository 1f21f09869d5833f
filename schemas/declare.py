"""From a document that people write to the entries of the catalog, and from entries to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from schemas.catalog import (
    KINDS,
    Catalog,
    Condition,
    Constraints,
    Entry,
    Event,
    Model,
    PriceEntry,
    Rule,
    Sla,
    Strategy,
    WindowPolicy,
)
from schemas.conditions import branches
from schemas.shape import construct, hint, mapping, refuse
from schemas.trigger import Trigger
from schemas.validate import validate

SECTIONS = {
    "models": "model",
    "prices": "price",
    "slas": "sla",
    "rules": "rule",
    "constraints": "constraints",
    "strategies": "strategy",
    "triggers": "trigger",
    "windows": "window",
    "events": "event",
}
MODEL_ACTIONS = ("cheaper_model", "faster_model", "failover")


def key_of(entry: Entry) -> str:
    """The key of an entry on the catalog topic, "kind/id".

    >>> key_of(Model(provider="openai", model="gpt-5-mini"))
    'model/openai/gpt-5-mini'
    """
    match entry:
        case Model():
            key = f"model/{entry.provider}/{entry.model}"
        case PriceEntry():
            key = f"price/{entry.provider}/{entry.model}@{entry.effective}"
        case Sla():
            key = f"sla/{entry.scope}"
        case Rule():
            key = f"rule/{entry.id}"
        case Constraints():
            key = f"constraints/{entry.scope}"
        case Strategy():
            key = f"strategy/{entry.name}"
        case Trigger():
            key = f"trigger/{entry.id}"
        case WindowPolicy():
            key = f"window/{entry.id}"
        case Event():
            key = f"event/{entry.id}"
    return key


def declare(
    document: Mapping[str, Any] | None, known: Mapping[str, Entry] | None = None
) -> dict[str, Entry]:
    """The entries of a document with the sections of `SECTIONS`, each a mapping of id → fields.

    Args:
        document: What a YAML file holds; durations as "30m", "600s" or seconds, shares as 0.05
            or "5%". None (an empty file) declares nothing.
        known: The entries that are in force already, which this document may refer to.

    Returns:
        Key → entry, in the order of the document.

    Raises:
        InvalidCatalog: with a sentence that names the entry, the field and what to change.
    """
    entries: dict[str, Entry] = {}
    for section, body in mapping("catalog", document or {}).items():
        if section not in SECTIONS:
            raise refuse("catalog", f"there is no section {section!r}; {hint(section, SECTIONS)}")
        kind = SECTIONS[section]
        for name, item in mapping(section, body or {}).items():
            where = f"{kind}/{name}"
            written = mapping(where, item or {})
            if kind == "rule":  # a rule may do without a name of its own
                written = {"name": name} | dict(written)
            entry = construct(where, KINDS[kind], written, _given(where, kind, name))
            validate(where, entry)
            entries[key_of(entry)] = entry
    problems = check(gather(dict(known or {}) | entries, 0))
    if problems:
        raise refuse("catalog", problems[0])
    return entries


def _given(where: str, kind: str, name: str) -> dict[str, str]:
    """What the name of an entry says of it."""
    if kind in ("model", "price"):
        rest, at, day = name.partition("@") if kind == "price" else (name, "", "")
        provider, slash, model = rest.partition("/")
        if not slash or not provider or not model:
            raise refuse(where, f"write the name as provider/model, {name!r} has no slash inside")
        return {"provider": provider, "model": model} | ({"effective": day} if at else {})
    fields = {"sla": "scope", "constraints": "scope", "strategy": "name"}
    field = fields.get(kind, "id")
    return {field: name}


def gather(entries: Mapping[str, Entry], offset: int) -> Catalog:
    """The catalog of all *entries* by key, as it stood before *offset* of its topic.

    The checksum is BLAKE2b (128 bit) over the canonical JSON of the entries sorted by key, so it
    does not depend on the order in which they were written.

    Raises:
        InvalidCatalog: an entry cannot be used, or lies under another's key.
    """
    found: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    for key, entry in sorted(entries.items()):
        if key_of(entry) != key:
            raise refuse(key, f"this entry belongs under the key {key_of(entry)!r}; write it there")
        validate(key, entry)
        kind, _, name = key.partition("/")
        if isinstance(entry, PriceEntry):  # keys end with the date, so the newest comes last
            name = f"{entry.provider}/{entry.model}"
            found[kind][name] = (*found[kind].get(name, ()), entry)
        else:
            found[kind][name] = entry
    canonical = msgspec.json.encode(sorted(entries.items()), order="sorted")
    return Catalog(
        models=found["model"],
        prices=found["price"],
        slas=found["sla"],
        rules=found["rule"],
        constraints=found["constraints"],
        strategies=found["strategy"],
        triggers=found["trigger"],
        windows=found["window"],
        events=found["event"],
        checksum=blake2b(canonical, digest_size=16).hexdigest(),
        offset=offset,
    )


def check(catalog: Catalog) -> tuple[str, ...]:
    """What does not fit between the entries, one sentence each; () when all is well."""
    problems: list[str] = []
    for rule in catalog.rules.values():
        if rule.then in MODEL_ACTIONS and rule.strategy not in catalog.strategies:
            known = catalog.strategies
            problems.append(
                f"rule/{rule.id}, strategy: there is no strategy {rule.strategy!r}; "
                + (hint(rule.strategy, known) if known else "declare it under strategies")
            )
        problems.extend(
            f"rule/{rule.id}, when: no model of the catalog is {name!r}; "
            + (hint(name, catalog.models) if catalog.models else "declare it under models")
            for name in _predicted(rule.when)
            if name not in catalog.models
        )
    providers = {model.provider for model in catalog.models.values()}
    names = {model.model for model in catalog.models.values()} | set(catalog.models)
    for limits in catalog.constraints.values():
        for field, wanted, known_names in (
            ("preferred_providers", limits.preferred_providers, providers),
            ("preferred_models", limits.preferred_models, names),
        ):
            problems.extend(
                f"constraints/{limits.scope}, {field}: no model of the catalog is {name!r}; "
                + (hint(name, known_names) if known_names else "declare it under models")
                for name in wanted
                if name not in known_names
            )
    return tuple(problems)


def _predicted(condition: Condition) -> Iterator[str]:
    """The models that a condition asks predictions for."""
    if condition.model is not None:
        yield condition.model
    for _, part in branches(condition):
        yield from _predicted(part)


__all__ = ["SECTIONS", "check", "declare", "gather", "key_of", "validate"]
