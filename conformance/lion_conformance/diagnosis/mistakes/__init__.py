"""Which mistake a port makes: what reproduces its bits is named.

`altered` is the update with alterations, `catalogue` all those that need no measuring, `measured`
those with a number of their own, and `find` composes them with every Semantics that fits the rest.
"""
