"""A run's tensors by the names and axes of another framework, checked before any is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from operator import index
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from lion_ref.checks import listed, shown
from lion_ref.run_state.doors import RunState
from lion_ref.run_state.state import Tensors

Place: TypeAlias = "str | tuple[str, Sequence[int]]"
NameMap: TypeAlias = "Mapping[str, Place] | Callable[[str, tuple[int, ...]], Place]"
"""From a name in the file to the name here; or to the name here and the axes, which are those of
`numpy.transpose` and make of the file's tensor the one here. A callable is given name and shape."""

_MOST_AXES_TRIED: Final = 5


class Here(NamedTuple):
    """What a parameter is like where a run is loaded; a momentum of None takes any legal dtype."""

    shape: tuple[int, ...]
    param: str
    momentum: str | None = None


class Mapped(NamedTuple):
    """Which tensor of the file a parameter is, and the order of axes that it has here."""

    name: str
    axes: tuple[int, ...]

    def of(self, state: RunState) -> Tensors:
        """θ and m as they are here, mapped from the file without a copy."""
        return Tensors(*(np.transpose(x, self.axes) for x in state.tensors[self.name]))


def matched(
    state: RunState, here: Mapping[str, Here], mapping: NameMap | None = None
) -> dict[str, Mapped]:
    """For every parameter here the tensor of the file that it is.

    Args:
        state: a run, as `load` gives it.
        here: the parameters that are to be loaded, by name.
        mapping: where names or axes differ; a name that a table does not have is the same on both
            sides.

    Raises:
        ValueError: all that does not fit, in one message: what is missing in the file, left over,
            of another shape, of another dtype; an order of axes that is none; a name of the table
            that the file does not have.
        TypeError: a mapping that is none.

    >>> import tempfile
    >>> from lion_ref import run_state
    >>> w = np.zeros((2, 3), np.float32)
    >>> path = tempfile.mktemp(suffix=".safetensors")
    >>> run_state.save(path, {"fc.weight": (w, w)}, step=0, groups=run_state.Group(lr=0.1))
    >>> state, here = run_state.load(path), {"fc/kernel": Here((3, 2), "float32")}
    >>> matched(state, here, {"fc.weight": ("fc/kernel", (1, 0))})["fc/kernel"].axes
    (1, 0)
    """
    if not (mapping is None or callable(mapping) or isinstance(mapping, Mapping)):
        raise TypeError(
            f"mapping={shown(mapping)} is not legal; legal: a mapping, a callable, None"
        )
    found: dict[str, Mapped] = {}
    wrong: dict[str, list[str]] = {}
    for name in state.tensors:
        shape = state.tensors.shape(name)
        target, axes = _place(name, shape, mapping)
        if sorted(axes) != list(range(len(shape))):
            wrong.setdefault("of no order of axes", []).append(
                f"{shown(name)} of shape {shape} with axes {shown(axes)}"
            )
        elif target not in here:
            wrong.setdefault("left over in the file", []).append(_renamed(name, target))
        elif target in found:
            both = f"{shown(found[target].name)} and {shown(name)}"
            wrong.setdefault("twice", []).append(f"{shown(target)}, of {both}")
        else:
            found[target] = Mapped(name, axes)
            for kind, difference in _differences(state, here[target], found[target]):
                wrong.setdefault(kind, []).append(f"{shown(target)}{difference}")
    if missing := [shown(name) for name in here if name not in found]:
        wrong["missing in the file"] = missing
    # Of a name with a typing error the axes would be lost, and a square matrix fits without them.
    named = mapping if isinstance(mapping, Mapping) else ()
    if unused := [shown(name) for name in named if name not in state.tensors]:
        wrong["in the mapping alone"] = unused
    if wrong:
        words = "; ".join(f"{kind}: {listed(names)}" for kind, names in wrong.items())
        raise ValueError(
            f"{shown(str(state.path))} does not fit. {words}; legal: a mapping of names and axes "
            "with which every parameter here is one of the file, of its shape and dtype, and none "
            "is left over"
        )
    return found


def _place(
    name: str, shape: tuple[int, ...], mapping: NameMap | None
) -> tuple[str, tuple[int, ...]]:
    place: Any = name
    if callable(mapping):
        place = mapping(name, shape)
    elif mapping is not None:
        place = mapping.get(name, name)
    if isinstance(place, str):
        return place, tuple(range(len(shape)))
    try:
        target, axes = place
        numbers = tuple(index(axis) for axis in axes)
    except (TypeError, ValueError):
        target, numbers = None, ()
    if not isinstance(target, str):
        raise TypeError(
            f"the mapping makes {shown(place)} of {shown(name)}; legal: a name, or a name and axes"
        )
    return target, tuple(axis + len(shape) if axis < 0 else axis for axis in numbers)


def _differences(state: RunState, here: Here, mapped: Mapped) -> list[tuple[str, str]]:
    theirs = state.tensors.shape(mapped.name)
    shape = tuple(theirs[axis] for axis in mapped.axes)
    if shape != tuple(here.shape):
        fits = _axes_that_fit(theirs, tuple(here.shape))
        hint = f" (axes {' or '.join(map(str, fits))} would fit)" if fits else ""
        return [("of another shape", f" {shape} in the file, {tuple(here.shape)} here{hint}")]
    dtypes = zip(("θ", "m"), state.tensors.dtypes(mapped.name), here[1:], strict=True)
    return [
        ("of another dtype", f" {symbol} {dtype} in the file, {ours} here")
        for symbol, dtype, ours in dtypes
        if ours not in (None, dtype)
    ]


def _axes_that_fit(theirs: tuple[int, ...], ours: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The orders of axes in which a tensor of the file has the shape here: one or more may be."""
    if len(theirs) > _MOST_AXES_TRIED or sorted(theirs) != sorted(ours):
        return []
    orders = permutations(range(len(theirs)))
    return [axes for axes in orders if tuple(theirs[axis] for axis in axes) == ours]


def _renamed(name: str, target: str) -> str:
    return shown(name) if name == target else f"{shown(name)} as {shown(target)}"
