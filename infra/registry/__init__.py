"""A small schema registry that keeps its schemas in Kafka."""
