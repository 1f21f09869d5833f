"""A PostgreSQL server from a wheel."""
