"""An adapter whose rule for subnormals is chosen (SPEC C33)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import ModuleType
from typing import Any, Final

from lion_ref import Semantics
from lion_ref.subnormals import SubnormalsChoice

_CHOOSING: Final = ("Lion", "lion", "step", "declared_semantics")
"""The names in an adapter that take `subnormals`."""


def preset(
    adapter: ModuleType, subnormals: SubnormalsChoice, arrays: Sequence[object]
) -> ModuleType:
    """The adapter's public names, with the choice in those that take one.

    arrays: those that a step is to take, where any are in hand.

    Raises:
        ValueError: "keep" where the platform cannot, as far as that is known.
    """
    chosen = ModuleType(adapter.__name__, adapter.__doc__)
    names: dict[str, Any] = {name: getattr(adapter, name) for name in adapter.__all__}
    if "declared_semantics" in names:
        for name in names.keys() & set(_CHOOSING):
            names[name] = partial(names[name], subnormals=subnormals)
        if subnormals == "keep":
            _check_kept(adapter, arrays)
    else:  # the reference, which has every semantics on every platform
        semantics: Any = Semantics(subnormals="flush" if subnormals == "flush" else "keep")
        names["step"] = partial(adapter.step, semantics=semantics)
    vars(chosen).update(names, __all__=list(names))
    return chosen


def _check_kept(adapter: ModuleType, arrays: Sequence[object]) -> None:
    """ValueError, the adapter's own, where its platform, or that of an array, cannot keep."""
    if adapter.__name__ != "lion_array_api":
        adapter.declared_semantics(subnormals="keep")
    elif arrays:  # of one namespace, which is all that this adapter has a platform by
        adapter.declared_semantics(arrays[0], subnormals="keep")
