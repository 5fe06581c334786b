"""Known answers as files that any language can read: docs/reference/vectors.md has the format.

May import cases and ports. `verdict.known_answers` judges what a port answers.
"""
