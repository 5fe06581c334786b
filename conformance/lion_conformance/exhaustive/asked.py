"""The port that was asked for on the command line, found again in every process that judges it."""

from __future__ import annotations

import atexit
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache

from lion_conformance.ports.backends import NotRunnable, backend, load
from lion_conformance.ports.by_name import find
from lion_conformance.ports.callable import from_callable
from lion_conformance.ports.pipe import TIMEOUT, Program
from lion_conformance.ports.protocol import Port
from lion_ref.subnormals import SubnormalsChoice


@dataclass(frozen=True, slots=True)
class Asked:
    """One of: a backend, whose doors are several; MODULE:CALLABLE; a program."""

    backend: str | None = None
    device: str = "cpu"
    subnormals: SubnormalsChoice = "native"
    door: str | None = None
    port: str | None = None
    program: str | None = None
    timeout: float = TIMEOUT

    def __post_init__(self) -> None:
        """ValueError for none of them, or more than one."""
        if sum(x is not None for x in (self.backend, self.port, self.program)) != 1:
            raise ValueError(
                "a port to judge; legal: one of --backend NAME, MODULE:CALLABLE and --exec PROGRAM"
            )

    @contextmanager
    def opened(self) -> Iterator[list[Port]]:
        """Its doors, or the one that is named; a program runs until the end of the block."""
        if self.program is not None:
            with Program(self.program, timeout=self.timeout) as program:
                yield self._chosen([program.port])
            return
        if self.port is not None:
            found = find(self.port)
            yield self._chosen([found if isinstance(found, Port) else from_callable(found)])
            return
        try:
            doors = load(backend(str(self.backend)), self.device, self.subnormals)
        except NotRunnable as error:
            raise ValueError(str(error)) from error
        yield self._chosen(doors)

    def _chosen(self, doors: Sequence[Port]) -> list[Port]:
        chosen = [port for port in doors if self.door in (None, port.door)]
        if not chosen:
            legal = "; ".join(port.door for port in doors)
            raise ValueError(f"door={self.door!r} is not legal; legal: {legal}")
        return chosen


@lru_cache(maxsize=1)
def opened_for_good(asked: Asked) -> Port:
    """Its one door, open until this process ends."""
    stack = ExitStack()
    atexit.register(stack.close)
    (port,) = stack.enter_context(asked.opened())
    return port
