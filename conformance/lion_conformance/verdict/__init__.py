"""From bits to a verdict: the accepted set, what was tallied, the smallest case that still fails.

May import vectors, cases and ports.
"""
