"""What the simulated models are like: speed, price and quality, from measurements.

How the numbers came about (`python -m simulator.fit` prints them again from the data):

- SHAPES: per provider of the llmperf leaderboard, the median and the spread of the time to first
  token and of the time per further token. TAIL: over all providers, how often the first token took
  more than three medians, and the Pareto index of those (Hill's estimate).
- Quality: 100 × the mean quality on RouterBench where the model is in it (gpt-4 takes the value of
  gpt-4-1106-preview); for newer ones 80 + 0.25 × the pass rate of Aider's polyglot leaderboard,
  which is a choice of scale, not a measurement. claude-haiku-4-5, gemini-2.5-flash-lite and
  mistral-small-latest are in neither and were put between their neighbours.
- Prices: list prices in USD per million tokens, as genai-prices knows them.
- Which model has which provider's shape, and the error rates, are choices: dearer is slower.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Latency of a provider: log-normal around medians; spreads are of the logarithm."""

    ttft_ms: float  # to the first token
    ttft_sigma: float
    itl_ms: float  # per further token
    itl_sigma: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One model as it truly is, before an endpoint makes it easier or harder."""

    provider: str
    model: str
    shape: Shape
    quality: float  # 0 to 100
    input_per_mtok: float  # USD
    output_per_mtok: float
    cached_per_mtok: float
    error_rate: float = 0.004

    @property
    def name(self) -> str:
        """`provider/model`, as in the catalog."""
        return f"{self.provider}/{self.model}"


SHAPES: Mapping[str, Shape] = {
    "anyscale_13b": Shape(ttft_ms=202.4, ttft_sigma=0.221, itl_ms=6.82, itl_sigma=0.162),
    "anyscale_7b": Shape(ttft_ms=203.5, ttft_sigma=0.252, itl_ms=18.06, itl_sigma=0.072),
    "bedrock_13b": Shape(ttft_ms=268.8, ttft_sigma=0.592, itl_ms=24.63, itl_sigma=0.01),
    "fireworks_13b": Shape(ttft_ms=497.6, ttft_sigma=0.109, itl_ms=20.92, itl_sigma=0.027),
    "fireworks_7b": Shape(ttft_ms=330.7, ttft_sigma=0.064, itl_ms=11.12, itl_sigma=0.026),
    "lepton_13b": Shape(ttft_ms=1080.4, ttft_sigma=0.085, itl_ms=16.19, itl_sigma=0.063),
    "lepton_7b": Shape(ttft_ms=1131.0, ttft_sigma=0.091, itl_ms=20.11, itl_sigma=0.074),
    "replicate_13b": Shape(ttft_ms=5648.1, ttft_sigma=0.664, itl_ms=20.87, itl_sigma=0.014),
    "replicate_7b": Shape(ttft_ms=3682.7, ttft_sigma=0.42, itl_ms=10.43, itl_sigma=0.024),
    "together_13b": Shape(ttft_ms=549.9, ttft_sigma=0.139, itl_ms=6.42, itl_sigma=0.108),
    "together_7b": Shape(ttft_ms=518.8, ttft_sigma=0.329, itl_ms=9.91, itl_sigma=0.104),
}
TAIL_SHARE = 0.0058  # of requests whose first token takes more than TAIL_FROM medians
TAIL_FROM = 3.0
TAIL_INDEX = 0.93  # Pareto
SLOWEST_MS = 60_000.0  # then the application has given up


def _profile(
    name: str, shape: str, quality: float, prices: tuple[float, float, float], errors: float = 0.004
) -> Profile:
    provider, model = name.split("/", 1)
    return Profile(
        provider=provider,
        model=model,
        shape=SHAPES[shape],
        quality=quality,
        input_per_mtok=prices[0],
        output_per_mtok=prices[1],
        cached_per_mtok=prices[2],
        error_rate=errors,
    )


PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        _profile("openai/gpt-4", "fireworks_13b", 89.3, (30.0, 60.0, 30.0), 0.006),
        _profile("openai/gpt-4-turbo", "fireworks_13b", 89.3, (10.0, 30.0, 10.0), 0.006),
        _profile("openai/gpt-4o", "fireworks_7b", 85.8, (2.5, 10.0, 1.25)),
        _profile("openai/gpt-4o-mini", "anyscale_13b", 80.9, (0.15, 0.6, 0.075)),
        _profile("openai/gpt-3.5-turbo", "anyscale_13b", 78.7, (0.5, 1.5, 0.5)),
        _profile("openai/gpt-4.1", "fireworks_7b", 93.1, (2.0, 8.0, 0.5)),
        _profile("openai/gpt-4.1-mini", "anyscale_13b", 88.1, (0.4, 1.6, 0.1)),
        _profile("openai/gpt-4.1-nano", "anyscale_13b", 82.2, (0.1, 0.4, 0.025)),
        _profile("openai/o1", "bedrock_13b", 95.4, (15.0, 60.0, 7.5), 0.006),
        _profile("anthropic/claude-3-5-sonnet-20241022", "fireworks_7b", 92.9, (3.0, 15.0, 0.3)),
        _profile("anthropic/claude-3-5-haiku-20241022", "anyscale_13b", 87.0, (0.8, 4.0, 0.08)),
        _profile("anthropic/claude-3-5-haiku-latest", "anyscale_13b", 87.0, (0.8, 4.0, 0.08)),
        _profile("anthropic/claude-sonnet-4-0", "fireworks_7b", 94.1, (3.0, 15.0, 0.3)),
        _profile("anthropic/claude-haiku-4-5", "anyscale_13b", 90.0, (1.0, 5.0, 0.1)),
        _profile("google/gemini-2.0-flash", "anyscale_13b", 85.6, (0.1, 0.4, 0.025)),
        _profile("google/gemini-2.5-flash", "anyscale_13b", 91.0, (0.3, 2.5, 0.03)),
        _profile("google/gemini-2.5-flash-lite", "anyscale_13b", 84.0, (0.1, 0.4, 0.01)),
        _profile("deepseek/deepseek-chat", "together_7b", 92.1, (0.27, 1.1, 0.07)),
        _profile("mistral/mistral-small-latest", "anyscale_13b", 82.0, (0.15, 0.6, 0.015)),
        _profile("mistral/open-mixtral-8x7b", "together_13b", 78.1, (0.7, 0.7, 0.7)),
        _profile("mistral/open-mistral-7b", "anyscale_13b", 59.3, (0.25, 0.25, 0.25)),
    )
}
