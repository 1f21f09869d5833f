"""What an error of Kafka means for a stage: take over again, or stop and say what to change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException

from streams import kafka
from streams.exactly_once.errors import Fenced, Retake, StepFailed

# The library's public names, of which those of its own errors begin with an underscore.
# ruff: noqa: SLF001

RIGHTS = "grant the worker's user the right, then start it again"
PARTITIONS = "`llmopt topics apply` creates what is missing, then start the worker again"
SETTING = "change that setting of the brokers, or of the worker"
VERSIONS = "run brokers of the version that the README names"
FINAL: Mapping[int, str] = {  # what a repetition meets again -> what to do
    KafkaError.MSG_SIZE_TOO_LARGE: "raise max.message.bytes of the topic that is named",
    KafkaError.RECORD_LIST_TOO_LARGE: "raise segment.bytes of the topic that is named",
    KafkaError.INVALID_RECORD: "`llmopt topics show` tells whether the topic is set up as declared",
    KafkaError.INVALID_TIMESTAMP: "give the topic that is named message.timestamp.type=CreateTime",
    KafkaError.POLICY_VIOLATION: "a policy of the brokers forbids it; change the policy",
    KafkaError.TOPIC_EXCEPTION: "the brokers do not take a topic of that name",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: RIGHTS,
    KafkaError.GROUP_AUTHORIZATION_FAILED: RIGHTS,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: RIGHTS,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: RIGHTS,
    KafkaError.INVALID_TRANSACTION_TIMEOUT: SETTING,
    KafkaError.INVALID_SESSION_TIMEOUT: SETTING,
    KafkaError.UNSUPPORTED_VERSION: VERSIONS,
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT: VERSIONS,
    KafkaError.UNSUPPORTED_COMPRESSION_TYPE: VERSIONS,
    KafkaError._UNSUPPORTED_FEATURE: VERSIONS,
}
# A client that has just been connected, or whose brokers come back, says so of topics that are
# there until it has heard of them again.
UNHEARD_OF: Mapping[int, str] = {
    KafkaError._UNKNOWN_PARTITION: PARTITIONS,
    KafkaError._UNKNOWN_TOPIC: PARTITIONS,
}
FENCED = frozenset(
    {KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED}
)
# The broker is away or slow, or the group is being divided anew: that ends by itself, however
# often it is met.
ENDING = kafka.PASSING | {
    KafkaError._MSG_TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError._PURGE_QUEUE,
    KafkaError._PURGE_INFLIGHT,
    KafkaError._WAIT_COORD,
    KafkaError._MAX_POLL_EXCEEDED,
    KafkaError._ASSIGNMENT_LOST,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.MEMBER_ID_REQUIRED,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.CONCURRENT_TRANSACTIONS,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.LEADER_NOT_AVAILABLE,
}


def lost(
    doing: str, error: KafkaException, undelivered: Sequence[KafkaError] = ()
) -> Retake | StepFailed:
    """The exception that says what happens after *error*.

    Args:
        doing: What failed, as the beginning of a sentence.
        error: What the client raised.
        undelivered: Why records of the transaction were not written; the client raises a general
            error in their place.
    """
    for each in (*undelivered, error.args[0]):
        if each.code() in FINAL:
            return StepFailed(f"{doing}: {each.str()} ({each.name()}): {FINAL[each.code()]}")
        if each.code() in UNHEARD_OF:
            said = f"{doing}: {each.str()} ({each.name()}): {UNHEARD_OF[each.code()]}"
            return Retake(said, each.code())
    first = undelivered[0] if undelivered else error.args[0]
    said = f"{doing}: {first}"
    if error.args[0].code() in FENCED:
        return Fenced(said, error.args[0].code())
    passes = any(e.retriable() or e.code() in ENDING for e in (first, error.args[0]))
    return Retake(said, None if passes else first.code())
