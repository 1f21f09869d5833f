"""What a proposed config would do: levels, their ranges, what speaks for them and against."""
