"""Which semantics the step has: those that are chosen, everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lion_ref import CANONICAL, Semantics
from lion_ref.subnormals import check_subnormals

if TYPE_CHECKING:
    from lion_ref.subnormals import SubnormalsChoice


def declared_semantics(subnormals: SubnormalsChoice = "native") -> Semantics:
    """The canonical ones, or with subnormals flushed, on every device and in every way to step.

    Neither torch nor the kernels here flush what the thread does not, and in a thread that flushes
    the step is refused (SPEC C15), unless it is to flush.

    Args:
        subnormals: as of `Lion`; "native" is "keep".

    Raises:
        ValueError: no choice that `Lion` has.

    >>> declared_semantics().describe(), declared_semantics("flush").describe()
    ('canonical', 'subnormals flushed')
    """
    flushed = check_subnormals(subnormals) == "flush"
    return Semantics(subnormals="flush") if flushed else CANONICAL
