"""A Kafka broker from its jars, and its command-line tools."""
