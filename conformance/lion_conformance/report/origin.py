"""Where a port came from: the way back to it for a program, and the command that judged it."""

from __future__ import annotations

import importlib
import inspect
import operator
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lion_conformance.ports.protocol import Port

UNKNOWN = "object"


@dataclass(frozen=True, slots=True)
class Origin:
    """A way back to a port.

    kind is `import` (name is MODULE:CALLABLE), `exec` (a command line), `backend` (a module
    with `ports(device)`, or `ports(device, subnormals)`, as in `lion_conformance.ports`), `recipe`
    (a Python expression of lion_conformance and lion_ref), or `object`: a Python object to which
    no name leads.
    """

    kind: str = UNKNOWN
    name: str = ""
    command: str = ""
    """What was typed, or called, to judge it; empty if that is not known."""
    timeout: float = 0.0
    """Seconds for an answer; of a program."""
    subnormals: str = "native"
    """The rule that was asked for; of a backend."""
    variant: int | None = None
    """Which of the port's variants is meant, if not the port itself."""

    @classmethod
    def of(cls, port: object) -> Origin:
        """The name that leads to a Python object, if one does, or what makes it again."""
        if isinstance(port, Port) and port.recipe:
            return cls("recipe", port.recipe)
        module = getattr(port, "__module__", None)
        path = getattr(port, "__qualname__", None)
        if not isinstance(module, str) or not isinstance(path, str) or module == "__main__":
            return cls()
        try:
            found: Any = operator.attrgetter(path)(importlib.import_module(module))
        except (ImportError, AttributeError):
            return cls()
        return cls("import", f"{module}:{path}") if found is port else cls()

    def place(self) -> tuple[Path, int] | None:
        """The file of what was imported, and the line where it begins; None where none is known.

        Of an object that has no source, such as a `Port`, it is the first line of its module.
        """
        if self.kind != "import":
            return None
        module_name, _, path = self.name.partition(":")
        try:
            module = importlib.import_module(module_name)
            return _source(operator.attrgetter(path)(module)) or _source(module)
        except Exception:  # noqa: BLE001 - somebody else's object may raise anything
            return None

    def load_port(self, port: str, door: str, device: str) -> str:
        """Python: a function load_port() that gives the port, or a place to put it."""
        if self.kind == "import":
            body = self._importing()
        elif self.kind == "exec":
            body = self._starting()
        elif self.kind == "backend":
            body = self._choosing(port, door, device)
        elif self.kind == "recipe":
            body = ["import lion_conformance", "import lion_ref", "", f"return {self.name}"]
        else:
            body = _asking(port)
        if self.variant is not None and self.kind != UNKNOWN:
            body[-1] += f".variants[{self.variant}].port"
        lines = ["def load_port():", *(f"    {line}".rstrip() for line in body)]
        return "\n".join(lines) + "\n"

    def _importing(self) -> list[str]:
        module, _, path = self.name.partition(":")
        return [
            "import importlib, operator, os",
            "",
            "sys.path.insert(0, os.getcwd())",
            f"return operator.attrgetter({path!r})(importlib.import_module({module!r}))",
        ]

    def _starting(self) -> list[str]:
        return [f"return PipedProgram({shlex.split(self.name)!r}, timeout={self.timeout!r})"]

    def _choosing(self, port: str, door: str, device: str) -> list[str]:
        arguments = [device] if self.subnormals == "native" else [device, self.subnormals]
        called = ", ".join(map(repr, arguments))
        return [
            "import importlib",
            "",
            f"ports = importlib.import_module({self.name!r}).ports({called})",
            f"return next(x for x in ports if (x.name, x.door) == ({port!r}, {door!r}))",
        ]


def _source(thing: Any) -> tuple[Path, int] | None:
    """Where the source of a module, class or function begins; None of anything else."""
    try:
        source = inspect.unwrap(thing)
        file, (_, line) = inspect.getsourcefile(source), inspect.getsourcelines(source)
    except (OSError, TypeError, ValueError):
        return None
    return None if file is None else (Path(file), max(line, 1))


def _asking(port: str) -> list[str]:
    return [
        f"# PUT THE PORT HERE: {port!r} was judged as an object, and no name leads to it.",
        "# For instance: from my_lion import step; return step",
        "return None",
    ]
