"""The engine: a batch in, one Kafka transaction out, whatever dies in between."""
