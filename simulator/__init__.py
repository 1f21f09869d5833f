"""A fleet of LLM applications that obeys configs: real traffic, known truths, faults on demand."""
