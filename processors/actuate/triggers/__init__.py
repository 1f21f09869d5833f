"""Limits that take a config back without waiting for a verdict."""
