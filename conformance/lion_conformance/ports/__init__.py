"""What a port is, and every way to reach one: a callable, a program, a file for each framework.

`recording` and `jaxprs` have their updates as expressions.

May import `operations` and lion_ref; in a framework's own file that framework and its adapter; no
other room.
"""
