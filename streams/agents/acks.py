"""How fast configs arrive: an ordinary Faust agent, for it may see an acknowledgement twice."""

from __future__ import annotations

import faust
import msgspec
from faust.types import StreamT

from schemas.config import ConfigAck
from schemas.topics import CONFIG_ACK
from streams import metrics
from streams.log import log


def follow(app: faust.App) -> None:
    """Register the agent on the acknowledgements' topic."""
    topic = app.topic(CONFIG_ACK.name, value_type=bytes, value_serializer="raw")
    app.agent(topic, name="streams.agents.acks")(acks)


async def acks(stream: StreamT[bytes]) -> None:
    """Measure how long a config took from its decision to each application."""
    async for value in stream:
        try:
            ack = msgspec.json.decode(value or b"", type=ConfigAck)
        except msgspec.MsgspecError as error:
            log.warning("acknowledgement ignored", why=str(error))
            continue
        metrics.count("acks_total", stage="acks")
        if ack.applied_at >= ack.updated_at:
            metrics.observe(
                "propagation_seconds", (ack.applied_at - ack.updated_at) / 1_000, stage="acks"
            )
