"""Other stream processors that do the same windows on the same topic, to be compared with."""
