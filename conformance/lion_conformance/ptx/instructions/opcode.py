"""An opcode taken to pieces: no modifier is left over, or it is not known."""

from __future__ import annotations

from collections.abc import Collection

from lion_conformance.ptx.instructions.meaning import UnknownInstruction


class Opcode:
    """A name and the modifiers after it, each of which somebody has to take."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.name, *self._left = text.split(".")

    def has(self, modifier: str) -> bool:
        """Whether it is there; it is taken."""
        if modifier not in self._left:
            return False
        self._left.remove(modifier)
        return True

    def one_of(self, modifiers: Collection[str]) -> str:
        """The first that is there of these, taken; "" if none is."""
        for modifier in self._left:
            if modifier in modifiers:
                self._left.remove(modifier)
                return modifier
        return ""

    def type(self, *types: str) -> str:
        """The last modifier, which has to be one of these types."""
        if not self._left or self._left[-1] not in types:
            legal = ", ".join(f".{kind}" for kind in types)
            raise UnknownInstruction(f"{self.text}: {self.name} is known for {legal}")
        return self._left.pop()

    def done(self) -> None:
        """UnknownInstruction if something is left."""
        if self._left:
            left = ", ".join(f".{modifier}" for modifier in self._left)
            raise UnknownInstruction(
                f"{self.text}: {left} is not known in {self.name} of this type"
            )
