"""What a kernel does that no kernel may do, in words for its author."""

from __future__ import annotations

from typing import Final, Literal

from lion_conformance.ports.protocol import PortError

Code = Literal["out-of-bounds", "race", "uninitialized", "misaligned", "deadlock", "never-ends"]

CODES: Final[tuple[Code, ...]] = (
    "out-of-bounds",
    "race",
    "uninitialized",
    "misaligned",
    "deadlock",
    "never-ends",
)


class Finding(PortError):
    """What is wrong with a launch whatever its numbers; one line."""

    def __init__(self, code: Code, words: str) -> None:
        super().__init__(words)
        self.code = code
