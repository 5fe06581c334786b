"""Single operations on bit patterns, on numbers and on symbols: what code of any kind comes to."""
