"""Whether an update equals the reference for every value: expressions instead of numbers."""
