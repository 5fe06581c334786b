"""lion_adapters: the adapter for a framework's name, or for the arrays in hand."""

from lion_adapters.backends import pick

__all__ = ["pick"]
