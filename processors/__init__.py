"""The decisions, pure: what a stage does with what it reads, one folder a stage."""
