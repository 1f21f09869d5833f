"""Quix Streams: read, or reduce in tumbling windows, which a later event of the partition closes.

Windows are kept by the message's key, which is the service here. Grouping by the whole key would
send every event through one more topic; as all events of a key are in one partition already, the
key is changed in place, as Quix itself does where a topic has a single partition.
"""

from __future__ import annotations

from typing import Any

from quixstreams import Application
from quixstreams.models import Deserializer

from bench.peers.summary import MINUTE, Event, Progress, Work, add, empty, key_of, read, shown


class Avro(Deserializer):
    """Framed Avro."""

    def __call__(self, value: bytes, ctx: Any) -> Event:  # noqa: ARG002  # as Quix calls it
        """The event."""
        return read(value)


def build(work: Work) -> Application:
    """The application that does *work*."""
    progress = Progress(work.events)
    app = Application(
        work.brokers,
        consumer_group=work.group,
        auto_offset_reset="earliest",
        state_dir=work.folder,
        loglevel="WARNING",
    )
    source = app.topic(work.topic, key_deserializer="bytes", value_deserializer=Avro())
    events = app.dataframe(source)

    def took(_: Event) -> None:
        progress.took()

    if not work.windowed:
        events.update(took)
        return app

    def keyed(value: Event, _: Any, timestamp: int, headers: Any) -> Any:
        return value, key_of(value), timestamp, headers

    keyed_events = events.__dataframe_clone__(stream=events.stream.add_transform(keyed))
    windows = (
        keyed_events.tumbling_window(MINUTE)
        .reduce(reducer=add, initializer=lambda event: add(empty(), event))
        .final(closing_strategy="partition")
    )

    def row(window: dict[str, Any], key: str, *_: Any) -> dict[str, Any]:
        return shown(key, window["start"], window["value"])

    output = app.topic(work.output, key_serializer="str", value_serializer="json")
    windows.apply(row, metadata=True).to_topic(output)
    keyed_events.update(took)
    return app


if __name__ == "__main__":
    build(Work.of()).run()
