"""The main job, shown: a real Kafka, real traffic, a killed worker, and what came of it."""
