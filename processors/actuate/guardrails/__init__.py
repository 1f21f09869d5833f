"""The four guardrails: what each remembers, how it takes a minute in, and what it reads."""
