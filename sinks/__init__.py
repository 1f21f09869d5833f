"""The outside, where people look things up; everything in it can be made again from Kafka."""
