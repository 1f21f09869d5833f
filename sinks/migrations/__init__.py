"""Numbered SQL files, each applied once, none ever changed."""
