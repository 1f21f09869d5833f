"""`python -m streams` is `llmopt`."""

from streams.cli import main

main()
