"""Which scopes there are: those with a config, and those that applications report from."""

from __future__ import annotations

from schemas.codec import Codec
from schemas.scope import ALL
from schemas.topics import CONFIG, ENRICHED
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
    messages = read_all(settings, ENRICHED, since=now - RECENT)  # their keys are scopes
    found |= {(each.key() or b"").decode(errors="replace") for each in messages}
    within = {name.partition("/")[0] for name in found} if "/" not in scope else set()
    found = (found | within) - {ALL}
    return scope in found, found
