"""The shell around the pure steps: Faust workers, the exactly-once engine, the command line."""
