"""What a series did: where it changed, which way it goes, how it compares, and what may be why."""
