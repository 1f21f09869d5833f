"""The version of a config: the name of its content."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from schemas.config import LlmConfig


def versioned(config: LlmConfig) -> LlmConfig:
    """The same config, named by its content: "v-" and twelve hexadecimal digits.

    The digest is BLAKE2b over the canonical JSON (sorted keys, no spaces, UTF-8) of all settings
    that are set, the version left out. Settings that are None do not count, so that a setting
    which is invented later changes no version that was given before.

    Args:
        config: Any config; its version is not looked at.

    Returns:
        The config with its version; equal settings have equal versions.

    Raises:
        ValueError: A number is not finite.

    >>> versioned(LlmConfig(version="", provider="openai", model="gpt-5")).version
    'v-72c2e425f2cb'
    """
    settings: dict[str, object] = {
        "provider": config.provider,
        "model": config.model,
        # 1 and 1.0 are the same temperature, whatever a command said; so are 0.0 and -0.0.
        "temperature": None if config.temperature is None else config.temperature + 0.0,
        "top_p": None if config.top_p is None else config.top_p + 0.0,
        "top_k": config.top_k,
        "max_tokens": config.max_tokens,
        "streaming": config.streaming,
        "parameters": dict(config.parameters) or None,
    }
    content = json.dumps(
        {name: value for name, value in settings.items() if value is not None},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )
    digest = hashlib.blake2b(content.encode(), digest_size=6).hexdigest()
    return replace(config, version=f"v-{digest}")


def over(stable: LlmConfig, chosen: LlmConfig) -> LlmConfig:
    """*chosen*, with the settings of *stable* where it leaves them open.

    A decision names what it changes, mostly a model; what a person set besides stays.

    >>> stable = LlmConfig(version="", provider="openai", model="gpt-5", temperature=0.2)
    >>> chosen = LlmConfig(version="", provider="openai", model="gpt-5-mini")
    >>> over(stable, chosen).model, over(stable, chosen).temperature
    ('gpt-5-mini', 0.2)
    """
    left = {
        name: getattr(stable, name)
        for name in ("temperature", "top_p", "top_k", "max_tokens", "streaming")
        if getattr(chosen, name) is None
    }
    return versioned(replace(chosen, **left, parameters={**stable.parameters, **chosen.parameters}))


def model_key(config: LlmConfig) -> str:
    """The key of the config's model in the catalog.

    >>> model_key(LlmConfig(version="", provider="openai", model="gpt-5"))
    'openai/gpt-5'
    """
    return f"{config.provider}/{config.model}"
