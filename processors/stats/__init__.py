"""Statistics that several stages share: pure functions and small frozen values."""
