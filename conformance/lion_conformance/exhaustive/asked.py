"""The port that was asked for on the command line, found again in every process that judges it."""

from __future__ import annotations

import argparse
import atexit
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path

from lion_conformance.ports.callable import from_callable
from lion_conformance.ports.protocol import Port
from lion_conformance.ports_asked import asked_ports
from lion_ref.subnormals import SubnormalsChoice


@dataclass(frozen=True, slots=True)
class Asked:
    """The words of `ports_asked.add_port_options`, and which of several doors is meant."""

    port: str | None = None
    exec: str | None = None
    timeout: float | None = None
    ptx: Path | None = None
    kernel: Path | None = None
    entry: str | None = None
    backend: str | None = None
    device: str | None = None
    subnormals: SubnormalsChoice | None = None
    door: str | None = None

    @classmethod
    def by(cls, parsed: argparse.Namespace) -> Asked:
        """What a command line says."""
        return cls(**{field.name: getattr(parsed, field.name) for field in fields(cls)})

    @contextmanager
    def opened(self) -> Iterator[list[Port]]:
        """Its doors, or the one that is meant; a program runs until the end of the block.

        What the same code may come to otherwise is judged as a door of its own.
        """
        words = {field.name: getattr(self, field.name) for field in fields(self)}
        with asked_ports(argparse.Namespace(**words)) as asked:
            ports = [x if isinstance(x, Port) else from_callable(x) for x, _ in asked]
            doors = [door for port in ports for door in (port, *_variants(port))]
            chosen = [port for port in doors if self.door in (None, port.door)]
            if not chosen:
                legal = "; ".join(port.door for port in doors)
                raise ValueError(f"door={self.door!r} is not legal; legal: {legal}")
            yield chosen


def _variants(port: Port) -> Iterator[Port]:
    for variant in port.variants:
        yield replace(variant.port, door=f"{port.door}, {variant.words}")


@lru_cache(maxsize=1)
def opened_for_good(asked: Asked) -> Port:
    """Its one door, open until this process ends."""
    stack = ExitStack()
    atexit.register(stack.close)
    (port,) = stack.enter_context(asked.opened())
    return port
