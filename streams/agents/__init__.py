"""One agent a stage, named as its folder in processors."""
