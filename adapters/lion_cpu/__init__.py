"""The Lion step on CPUs, compiled."""
