"""Real servers as child processes: Kafka, schema registry, PostgreSQL."""
