"""Which semantics the step has: one, everywhere."""

from __future__ import annotations

from lion_ref import CANONICAL, Semantics


def declared_semantics() -> Semantics:
    """The canonical ones, subnormals included, on every device and in every way to run the step.

    Neither torch nor the kernels here flush what the thread does not, and in a thread that flushes
    the step is refused (SPEC C15).

    >>> declared_semantics().describe()
    'canonical'
    """
    return CANONICAL
