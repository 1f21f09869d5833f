"""Names that must be the same everywhere: scopes, record ids, partitions, buckets."""

from __future__ import annotations

ALL = "*"  # any value of a dimension, and the scope that stands behind every other
BUCKETS = 10_000  # one bucket is a hundredth of a percent of the units


def scope_of(service: str, endpoint: str) -> str:
    """The scope a request belongs to.

    >>> scope_of("search", "answer")
    'search/answer'
    """
    return f"{service}/{endpoint}"


def covering(scope: str) -> tuple[str, str, str]:
    """The names under which something may be declared for a scope, the nearest first.

    >>> covering("search/answer")
    ('search/answer', 'search', '*')
    """
    return scope, scope.split("/", 1)[0], ALL


def reserved(service: str, *others: str) -> str | None:
    """Why these dimensions could be taken for others in a scope or a record id, None if not.

    >>> reserved("search", "/v1/answer", "gpt-5")
    >>> reserved("team/search", "answer")
    "service holds '/', which separates it from the endpoint"
    """
    if "/" in service:
        return "service holds '/', which separates it from the endpoint"
    for part in (service, *others):
        if part == ALL:
            return f"a dimension is {ALL!r}, which stands for all of them"
        if "|" in part:
            return "a dimension holds '|', which separates them in record ids"
    return None


def misnamed(scope: str) -> str | None:
    """Why no request can be in *scope*, nor in one that it stands for; None if one can.

    An endpoint may be a path, with slashes of its own, as events may name it so.

    >>> misnamed("search/answer"), misnamed("search//v1/answer"), misnamed("search"), misnamed("*")
    (None, None, None, None)
    >>> misnamed("search/")
    "no endpoint follows the '/'"
    """
    if scope == ALL:
        return None
    service, slash, endpoint = scope.partition("/")
    if not service.strip():
        return "it names no service"
    if slash and not endpoint.strip():
        return "no endpoint follows the '/'"
    return reserved(service, *([endpoint] if slash else []))


def slip(scope: str) -> str | None:
    """Why *scope* looks like a slip of the keyboard; None if it does not.

    Events may be named so all the same, so it is one only where nothing is known of the scope. An
    endpoint that is a path begins with its slash.

    >>> slip("search/answer"), slip("search//v1/answer"), slip("search"), slip("*")
    (None, None, None, None)
    >>> slip("search/the answer"), slip("search/answer/fast")
    ('it holds white space', "it has more than one '/'")
    """
    if any(character.isspace() for character in scope):
        return "it holds white space"
    if not scope.isprintable():
        return "it holds a control character"
    endpoint = scope.partition("/")[2]
    if "/" in endpoint and not endpoint.startswith("/"):
        return "it has more than one '/'"
    return None


def murmur2(data: bytes) -> int:
    """Kafka's default key hash (murmur2, seed 0x9747b28c), as an unsigned 32-bit integer.

    >>> murmur2(b"21") == -973932308 & 0xffffffff
    True
    """
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def partition_of(key: str, partitions: int) -> int:
    """The partition of *key*, as Kafka's Java clients and `murmur2_random` compute it.

    >>> partition_of("search/answer", 4)
    2
    """
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def murmur3(data: bytes, seed: int = 0) -> int:
    """murmur3_32, the hash of the bucketing specification (unsigned 32 bit).

    >>> murmur3(b"hello")
    613153351
    """
    mask = 0xFFFFFFFF
    h = seed
    whole = len(data) & ~3
    for i in range(0, whole + 1, 4):
        block = data[i : i + 4] if i < whole else data[whole:]
        k = int.from_bytes(block, "little") * 0xCC9E2D51 & mask
        k = (k << 15 | k >> 17) & mask
        h ^= k * 0x1B873593 & mask
        if i < whole:
            h = (h << 13 | h >> 19) & mask
            h = (h * 5 + 0xE6546B64) & mask
    h ^= len(data)
    h = (h ^ h >> 16) * 0x85EBCA6B & mask
    h = (h ^ h >> 13) * 0xC2B2AE35 & mask
    return h ^ h >> 16


def bucket_of(unit: str, salt: str) -> int:
    """The bucket, 0 to 9,999, of *unit*; the salt keeps rollouts independent of each other."""
    return murmur3(f"{salt}:{unit}".encode()) % BUCKETS
