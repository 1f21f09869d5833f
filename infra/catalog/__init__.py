"""The catalog that an installation starts with."""
