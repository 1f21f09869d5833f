"""Where a change of the cost came from."""
