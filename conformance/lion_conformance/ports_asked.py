"""The ports that a command is asked about: by name, as a program, as a kernel, or as a backend.

Every command that takes a port takes these words for it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, get_args

from lion_conformance.ports.backends import BACKENDS, NotRunnable, backend, load
from lion_conformance.ports.by_name import find
from lion_conformance.ports.pipe import TIMEOUT, Program
from lion_conformance.ports.protocol import Port
from lion_conformance.ptx.sass import Assembly, read
from lion_conformance.report.origin import Origin
from lion_ref.subnormals import SubnormalsChoice

Asked = tuple[Port | Callable[..., Any], Origin]
"""A port, and the way back to it."""

_BELONGING: Final = {
    "timeout": "exec",
    "entry": "kernel",
    "cubin": "kernel",
    "device": "backend",
    "subnormals": "backend",
}
"""Options that say more of another one."""

_NEEDED: Final = {
    "exec": "--exec PROGRAM",
    "kernel": "--kernel TOML",
    "backend": "--backend NAME",
}


def add_port_options(parser: argparse.ArgumentParser, *, backend: bool = False) -> None:
    """Put the words for a port on a command: MODULE:CALLABLE, --exec, --kernel, or --backend."""
    parser.add_argument("port", metavar="MODULE:CALLABLE", nargs="?")
    parser.add_argument(
        "--exec",
        metavar="PROGRAM",
        help="a program in any language and its arguments (docs/reference/pipe.md)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help=f"for each batch that the program answers (default: {TIMEOUT:g})",
    )
    parser.add_argument(
        "--ptx",
        type=Path,
        metavar="FILE",
        help="a GPU kernel as PTX, run without a GPU; with --kernel "
        "(docs/how-to/judge-a-gpu-kernel-without-a-gpu.md)",
    )
    parser.add_argument(
        "--kernel",
        type=Path,
        metavar="TOML",
        help="what the kernel's arguments are, and how it is launched; it may name the PTX too",
    )
    parser.add_argument(
        "--entry", metavar="NAME", help="which kernel of the PTX, where it has several"
    )
    if backend:
        parser.add_argument(
            "--backend", metavar="NAME", help=f"every door of one of {', '.join(BACKENDS)}"
        )
        parser.add_argument("--device", help="of a backend: cpu (default) or cuda")
        parser.add_argument(
            "--subnormals",
            choices=get_args(SubnormalsChoice),
            help="the rule that a backend is asked for, as of `run`",
        )


@contextmanager
def asked_port(parsed: argparse.Namespace) -> Iterator[Asked]:
    """The one port that a command line names; ValueError in one line for any other number."""
    with asked_ports(parsed) as asked:
        if len(asked) != 1:
            names = ", ".join(f"{port.name} {port.door}" for port, _ in asked)  # type: ignore[union-attr]
            raise ValueError(f"{len(asked)} ports: {names}; legal: one")
        yield asked[0]


@contextmanager
def asked_ports(parsed: argparse.Namespace) -> Iterator[list[Asked]]:
    """The ports that a command line names: several only where it names a backend."""
    name = getattr(parsed, "backend", None)
    kernel = parsed.kernel or parsed.ptx
    given = {"port": parsed.port, "exec": parsed.exec, "kernel": kernel, "backend": name}
    if sum(x is not None for x in given.values()) != 1:
        legal = "either MODULE:CALLABLE, --exec PROGRAM or --ptx FILE --kernel TOML"
        if "backend" in parsed:
            legal = legal.replace(" or ", ", ") + ", or --backend NAME"
        raise ValueError(f"a port to judge; legal: {legal}")
    for word, belongs_to in _BELONGING.items():
        value = getattr(parsed, word, None)
        if value is not None and given[belongs_to] is None:
            shown = f"{value:g}" if isinstance(value, float) else value
            needs = _NEEDED[belongs_to]
            raise ValueError(f"--{word} {shown} is not legal without {needs}")
    if parsed.exec is not None:
        timeout = TIMEOUT if parsed.timeout is None else parsed.timeout
        with Program(parsed.exec, timeout=timeout) as program:
            yield [(program.port, Origin("exec", parsed.exec, timeout=timeout))]
    elif kernel is not None:
        port = _kernel(parsed)
        yield [(port, Origin.of(port))]
    elif name is not None:
        yield _doors(name, parsed.device or "cpu", parsed.subnormals or "native")
    else:
        yield [(find(parsed.port), Origin("import", parsed.port))]


def asked_assembly(parsed: argparse.Namespace) -> Assembly | None:
    """What an assembler made of the kernel that is asked about, if its cubin is named."""
    if parsed.cubin is None or parsed.kernel is None:
        return None
    from lion_conformance.ptx import assembly, kernel_file

    entry = kernel_file.kernel(parsed.kernel, source=parsed.ptx, entry=parsed.entry)
    return assembly.assembly(read(parsed.cubin), entry)


def as_assembled(
    port: Port | Callable[..., Any], found: Assembly | None
) -> Port | Callable[..., Any]:
    """A kernel as its machine code has it: as written, where that contracts nothing more."""
    if found is None or found.contracts or not isinstance(port, Port):
        return port
    return replace(port, variants=())


def _kernel(parsed: argparse.Namespace) -> Port:
    if parsed.kernel is None:
        raise ValueError(f"--ptx {parsed.ptx} is not legal without --kernel TOML")
    from lion_conformance.ptx import kernel_file  # what judges no kernel need not read one

    return kernel_file.load(parsed.kernel, source=parsed.ptx, entry=parsed.entry)


def _doors(name: str, device: str, subnormals: SubnormalsChoice) -> list[Asked]:
    wanted = backend(name)
    try:
        found = load(wanted, device, subnormals)
    except NotRunnable as error:
        raise ValueError(f"--backend {name} cannot be run: {error}") from error
    origin = Origin("backend", wanted.module, subnormals=subnormals)
    return [(port, origin) for port in found]
