"""Right sessions with one thing wrong: what a port is compared with, bit for bit.

Each is the reference in a session, and an `Otherwise` that changes one thing: what a step takes,
which tensors take part, what an event leaves behind, what two sessions share.
"""
