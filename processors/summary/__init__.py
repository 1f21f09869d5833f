"""Mergeable summaries of events: one algebra from a batch to a week."""
