"""Where blocks were judged: the versions that have to be the same everywhere, and the processor."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from lion_conformance.report.findings import versions

ALWAYS: Final = ("python", "lion-ref", "SPEC.md")


@dataclass(frozen=True, slots=True)
class Machine:
    """A process that judges."""

    versions: tuple[tuple[str, str], ...]
    """Of the reference and of every framework that is imported, by name."""
    platform: str
    """System and processor."""


def machine() -> Machine:
    """This one.

    >>> dict(machine().versions)["SPEC.md"]
    '1'
    """
    imported = tuple(
        (name, version)
        for name, version in _installed().items()
        if name in ALWAYS or (name != "platform" and name.replace("-", "_") in sys.modules)
    )
    return Machine(imported, f"{platform.platform(terse=True)}, {processor()}")


@lru_cache(maxsize=1)
def _installed() -> dict[str, str]:
    return versions()


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Its model as Linux says it; the architecture elsewhere.

    >>> processor(Path("/nowhere")) == platform.machine()
    True
    """
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())
