"""The LLM Auto-Optimizer in an application: read configs, report requests, wait for nothing.

from llmopt_client import Client, Config

client, mine = Client("localhost:9092", "shop"), Config(provider="openai", model="gpt-4o")
with client.track_request("shop", "answer", unit=user, default=mine) as call:
    answer = ask(call.config.model, question)
    call.tokens(answer.tokens_in, answer.tokens_out)
"""

from llmopt_client.bucketing import bucket_of, is_candidate, murmur3_32
from llmopt_client.client import Client
from llmopt_client.config import Config
from llmopt_client.scopes import Change
from llmopt_client.tracking import TrackedRequest

__all__ = [
    "Change",
    "Client",
    "Config",
    "TrackedRequest",
    "bucket_of",
    "is_candidate",
    "murmur3_32",
]
