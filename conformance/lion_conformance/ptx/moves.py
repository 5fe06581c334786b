"""What a load or store moves, as its opcode says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lion_conformance.ptx.syntax import TYPE_WIDTHS, Instruction

_SPACES: Final = {"global", "shared", "local", "const", "param"}
_CACHING: Final = frozenset({"ca", "cg", "cs", "lu", "cv", "wb", "wt", "nc", "unified"})
_ORDER: Final = frozenset(
    {"volatile", "relaxed", "acquire", "release", "weak", "cta", "gpu", "sys"}
)
"""When others see it; no matter of bits here, as is how long a line stays in a cache."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a load or store moves: `count` cells of `width` bytes."""

    writes: bool
    space: str
    width: int
    count: int
    kind: str
    has_policy: bool
    incoherent: bool
    """It reads a cache that sees no writes of the launch: ld.global.nc."""
    instruction: Instruction

    @property
    def bytes(self) -> int:
        """All bytes that a thread moves."""
        return self.width * self.count


def transfer(instruction: Instruction) -> Transfer:
    """Read the opcode of a load or store."""
    name, *words = instruction.opcode.split(".")
    space, count, has_policy, cell = "", 1, False, ""
    for word in words:
        base = word.split("::")[0]
        if word in {"shared::cta", "param::entry"} or word in _SPACES:
            space = base
        elif word in {"v2", "v4", "v8"}:
            count = int(word[1:])
        elif word in TYPE_WIDTHS and TYPE_WIDTHS[word] >= 8:
            cell = word
        elif word == "L2::cache_hint":
            has_policy = True
        elif word not in _CACHING | _ORDER and base not in {"L1", "L2"}:
            raise instruction.refused(f"not known: .{word}")
    if not cell:
        raise instruction.refused("a load or store without a type that is known")
    return Transfer(
        writes=name == "st",
        space=space,
        width=TYPE_WIDTHS[cell] // 8,
        count=count,
        kind=cell,
        has_policy=has_policy,
        incoherent="nc" in words,
        instruction=instruction,
    )
