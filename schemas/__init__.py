"""The contract: what is on every topic, how it is written, and what can be wrong with it."""
