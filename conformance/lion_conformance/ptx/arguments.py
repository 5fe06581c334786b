"""What a kernel's parameters stand for: names and numbers, held against their types in the PTX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import numpy as np

ARRAYS: Final = ("param", "momentum", "grad", "new_param", "new_momentum")
"""Pointers. Kernels that write elsewhere have the new ones, in which there is nothing yet."""

SIZE: Final = "size"

SCALARS: Final = (
    "lr",
    "beta1",
    "beta2",
    "one_minus_beta1",
    "one_minus_beta2",
    "weight_decay",
    "lr_times_weight_decay",
    "one_minus_lr_times_weight_decay",
)
"""Numbers that a host forms in binary64 and rounds once, to the parameter's type."""

NAMES: Final = (*ARRAYS, SIZE, *SCALARS)

_POINTERS: Final = ("u64", "s64", "b64")
_WHOLE: Final = ("u32", "s32", "u64", "s64", "b32", "b64")
# A flag, as `bool maximize`: given as a number.
_SMALL: Final = ("u8", "s8", "b8", "u16", "s16", "b16")
# Bits are what is loaded: some compilers write b32 where f32 is meant.
_FLOATS: Final = ("f32", "f64", "b32", "b64")

Argument = str | float | int


class Parameter(Protocol):
    """A parameter of a kernel, as its PTX declares it."""

    @property
    def name(self) -> str:
        """What the PTX calls it."""

    @property
    def type(self) -> str:
        """Its type, as u64."""

    @property
    def size(self) -> int:
        """Its bytes: more than those of the type where it is an array of bytes, as a struct is."""


def check(
    arguments: Sequence[Argument], params: Sequence[Parameter], unread: int = 0
) -> tuple[Argument, ...]:
    """The arguments, one for each parameter; ValueError or TypeError in one line if they are not.

    Args:
        arguments: what the parameters stand for, in their order.
        params: those that the PTX declares.
        unread: how many of the last the kernel never reads; where left out, they are 0.
    """
    if isinstance(arguments, str) or not isinstance(arguments, Sequence):
        raise TypeError(
            f"arguments={arguments!r} is not legal; legal: a sequence of names and numbers, one "
            "for each parameter"
        )
    left_out = len(params) - len(arguments)
    given = (*arguments, *[0] * left_out) if 0 < left_out <= unread else tuple(arguments)
    declared = ", ".join(f".{x.type} {x.name}" for x in params) or "none"
    if len(given) != len(params):
        more = ""
        if left_out == 2 and all(x.type in _POINTERS for x in params[-2:]):
            more = "; Triton's last two are pointers to its scratch memory, which this kernel reads"
        raise ValueError(
            f"arguments={list(arguments)!r} has {len(arguments)}; legal: {len(params)}, one for "
            f"each parameter: {declared}{more}"
        )
    for argument, param in zip(given, params, strict=True):
        _check_one(argument, param)
    for name in ("param", "momentum", "grad", SIZE):
        if name not in given:
            raise ValueError(
                f"arguments={list(arguments)!r} lacks {name!r}; legal: with {name!r}, for one of "
                f"{declared}"
            )
    for name in ARRAYS:
        if given.count(name) > 1:
            raise ValueError(
                f"arguments={list(arguments)!r} has {name!r} {given.count(name)} times; legal: once"
            )
    return given


def _check_one(argument: object, param: Parameter) -> None:
    """ValueError or TypeError unless a parameter can be given this."""
    where = f"argument {argument!r} for .{param.type} {param.name}"
    if isinstance(argument, bool) or not isinstance(argument, (str, int, float)):
        raise TypeError(f"{where} is not legal; legal: a number, or one of {', '.join(NAMES)}")
    if param.type == "b8" and param.size > 1:
        raise ValueError(
            f"{where}: it is {param.size} bytes, as a struct that is passed by value, of which the "
            "PTX does not say what is in it; legal: a kernel that takes each member by itself"
        )
    if isinstance(argument, str):
        if argument not in NAMES:
            raise ValueError(f"{where} is not legal; legal: {', '.join(NAMES)}, or a number")
        kind, legal = _needed(argument)
    else:
        kind, legal = "a number", _FLOATS
        if isinstance(argument, int):
            legal = (*_SMALL, *_WHOLE, *_FLOATS)
    if param.type not in legal:
        types = ", ".join(f".{x}" for x in dict.fromkeys(legal))
        raise ValueError(f"{where} is not legal: it is {kind}; legal: a parameter of {types}")
    if isinstance(argument, int) and param.type not in ("f32", "f64"):
        width = int(param.type[1:])
        if not -(2 ** (width - 1)) <= argument < 2**width:
            raise ValueError(f"{where} is not legal; legal: a whole number of {width} bits")


def _needed(name: str) -> tuple[str, tuple[str, ...]]:
    """What a name stands for, and the types of a parameter that can take it."""
    if name in ARRAYS:
        return "a pointer", _POINTERS
    return ("a whole number", _WHOLE) if name == SIZE else ("a number", _FLOATS)


def formed(lr: float, beta1: float, beta2: float, weight_decay: float) -> dict[str, float]:
    """Every scalar by its name, in binary64.

    >>> formed(0.5, 0.5, 0.25, 0.0)["one_minus_beta2"]
    0.75
    """
    with np.errstate(all="ignore"):
        decay = float(np.float64(lr) * np.float64(weight_decay))
    return {
        "lr": lr,
        "beta1": beta1,
        "beta2": beta2,
        "one_minus_beta1": 1 - beta1,
        "one_minus_beta2": 1 - beta2,
        "weight_decay": weight_decay,
        "lr_times_weight_decay": decay,
        "one_minus_lr_times_weight_decay": 1 - decay,
    }


def bits_of(value: float, kind: str) -> int:
    """The bits that a parameter of this type is given.

    >>> hex(bits_of(1.0, "f32")), hex(bits_of(-1, "s32"))
    ('0x3f800000', '0xffffffff')
    """
    if isinstance(value, int) and kind not in ("f32", "f64"):
        return int(value % 2 ** int(kind[1:]))
    dtype = {"f32": "<f4", "f64": "<f8"}[float_type(kind)]
    with np.errstate(all="ignore"):
        return int.from_bytes(np.array(value, dtype).tobytes(), "little")


def float_type(kind: str) -> str:
    """The type of the number that a parameter of this type holds.

    >>> float_type("f64"), float_type("b32")
    ('f64', 'f32')
    """
    return f"f{kind[1:]}"


def values(
    given: Sequence[Argument], known: Mapping[str, float], params: Sequence[Parameter]
) -> list[int]:
    """The bits of every argument of a launch: of names, those of what is known by them."""
    return [
        bits_of(known[x] if isinstance(x, str) else x, param.type)
        for x, param in zip(given, params, strict=True)
    ]
