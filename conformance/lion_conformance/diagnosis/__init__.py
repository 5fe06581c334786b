"""Why the bits differ: the semantics that gives them, or where they part from every one.

May import the values of report, runs and what those may import; no format.
"""
