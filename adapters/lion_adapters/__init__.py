"""lion_adapters: the adapter for a framework's name, or for the arrays in hand.

Rooms: `backends` has `pick`, and `arrays` tells whose arrays are in hand. `command` is the command
`lion-ref`: `convert` takes a run from one file to another, by the readers and writers of `forms`.
"""

from lion_adapters.backends import pick

__all__ = ["pick"]
