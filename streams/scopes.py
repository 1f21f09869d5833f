"""Which scopes there are: of a config, of a rollout, or that applications report from."""

from __future__ import annotations

from schemas.codec import Codec
from schemas.scope import ALL
from schemas.topics import CONFIG, DEPLOYMENTS, ENRICHED, Topic
from streams.reading import newest, read_all
from streams.settings import Settings

RECENT = 3_600_000  # ms in which a scope that is served has windows


def familiar(settings: Settings, codec: Codec, scope: str, now: int) -> tuple[bool, set[str]]:
    """Whether *scope* has a config, or an application has reported from it, or from within it.

    Args:
        settings: Where the brokers are.
        codec: Reads the configs.
        scope: As somebody wrote it.
        now: ms since the epoch; reports of the hour before count.

    Returns:
        That, and the scopes of which it is so.

    Raises:
        KafkaException: No broker answers.
        Unreachable: A topic is missing.
    """
    configs = newest(settings, codec, CONFIG)
    found = {name for name, seen in configs.items() if seen.value.stable or seen.value.candidate}
    if scope == ALL or scope in found:
        return True, found
    found |= _keys(settings, ENRICHED, now - RECENT)
    within = {name.partition("/")[0] for name in found} if "/" not in scope else set()
    found = (found | within) - {ALL}
    return scope in found, found


def known(settings: Settings, scope: str, now: int) -> tuple[bool, set[str]]:
    """Whether anything has ever been served or rolled out in *scope*, or is served now.

    Args:
        settings: Where the brokers are.
        scope: A scope, not `*`.
        now: ms since the epoch.

    Returns:
        That, and the scopes of which it was found.

    Raises:
        KafkaException: No broker answers.
        Unreachable: A topic is missing.
    """
    found: set[str] = set()
    for topic, since in ((CONFIG, None), (DEPLOYMENTS, None), (ENRICHED, now - RECENT)):
        found |= _keys(settings, topic, since)
        if scope in found:
            return True, found
    return False, found - {ALL}


def _keys(settings: Settings, topic: Topic, since: int | None) -> set[str]:
    """The keys on *topic*, which are scopes, of records since then, ms."""
    messages = read_all(settings, topic, since=since)
    return {(each.key() or b"").decode(errors="replace") for each in messages}
