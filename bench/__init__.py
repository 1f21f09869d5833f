"""One script for one claim; each ends with one JSON line. `python -m bench` runs them all."""
