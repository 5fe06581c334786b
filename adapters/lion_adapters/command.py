"""The command `lion-ref`: what it takes, what it prints and how it exits."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lion_adapters.convert import Converted, convert
from lion_adapters.forms import FORMS
from lion_ref.checks import shown
from lion_ref.run_state import Group
from lion_ref.run_state.strict_json import json_value

_LARGEST_MAP: Final = 1 << 26
_MAP: Final = "legal: an object of names by name, in JSON"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    parser = command_parser()
    arguments = parser.parse_args(argv)
    try:
        done = convert(
            arguments.source,
            arguments.target,
            to=arguments.to,
            step=arguments.step,
            numbers=_numbers(arguments, parser),
            mapping=_mapping(arguments.map),
            like=arguments.like,
            force=arguments.force,
        )
    except (ValueError, TypeError, OSError, ImportError) as error:
        sys.stderr.write(f"lion-ref convert: {' '.join(str(error).split())}\n")
        return 1
    sys.stdout.write(f"{summary(arguments.target, done)}\n")
    return 0


def command_parser() -> argparse.ArgumentParser:
    """Its arguments and what it says of them."""
    parser = argparse.ArgumentParser(
        "lion-ref", description="Carry runs of Lion from one framework to another."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    command = commands.add_parser(
        "convert",
        help="a run from one form of file to another",
        description="Convert a run of Lion: its parameters, momenta, steps and numbers, bit for "
        "bit. The form of IN is told by what is in it. Nothing in a file is run.",
        epilog="Exit status: 0 done, 1 refused, in one line: OUT is as it was, 2 usage.",
    )
    command.add_argument("source", metavar="IN", type=Path, help="a file or an Orbax folder")
    command.add_argument("target", metavar="OUT", type=Path, help="where to, by its ending or --to")
    command.add_argument(
        "--to",
        choices=FORMS,
        help="the form of OUT: "
        + "; ".join(f"{name}: {' '.join(form.endings)}" for name, form in FORMS.items()),
    )
    command.add_argument("--step", type=int, metavar="N", help="steps done, if IN does not say")
    command.add_argument("--lr", type=float, help="η of the next step, if IN has no numbers")
    command.add_argument("--beta1", type=float, help="β1, beside --lr (default: 0.9)")
    command.add_argument("--beta2", type=float, help="β2, beside --lr (default: 0.99)")
    command.add_argument("--weight-decay", type=float, help="λ, beside --lr (default: 0)")
    command.add_argument(
        "--map",
        type=Path,
        metavar="FILE",
        help='names in JSON: {"name in IN": "name in OUT", or ["name in OUT", [axes]]}; the rest '
        "stays as it is",
    )
    command.add_argument(
        "--like",
        type=Path,
        metavar="FILE",
        help="for a Keras OUT: a file that Keras saved of the same model",
    )
    command.add_argument("--force", action="store_true", help="replace an OUT that is there")
    return parser


def summary(target: Path, done: Converted) -> str:
    """What was done, in one line."""
    size = f"{done.size / 1e6:.1f} MB" if done.size >= 50_000 else f"{done.size} bytes"
    groups = done.header.groups
    what = f"{done.parameters} parameters and their momenta"
    parts = [
        f"{target}: {what}, {size}, step {done.header.step}",
        "; ".join(map(_words, groups)) if len(groups) <= 2 else f"{len(groups)} groups",
        f"{FORMS[done.target].words} of {FORMS[done.source].words}",
    ]
    if target.name.endswith(".weights.h5"):
        parts.append("β1, β2 and λ are left to the code that loads it")
    return "; ".join(part for part in parts if part)


def _words(group: Group) -> str:
    return f"η {group.lr:g}, β1 {group.beta1:g}, β2 {group.beta2:g}, λ {group.weight_decay:g}"


def _numbers(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> Group | None:
    """What the options say of η, β1, β2 and λ."""
    given = {
        name: getattr(arguments, name)
        for name in ("lr", "beta1", "beta2", "weight_decay")
        if getattr(arguments, name) is not None
    }
    if not given:
        return None
    if "lr" not in given:
        parser.error(f"--{next(iter(given)).replace('_', '-')} goes beside --lr")
    return Group(**given)


def _mapping(path: Path | None) -> Mapping[str, Any] | None:
    if path is None:
        return None
    if path.stat().st_size > _LARGEST_MAP:
        raise ValueError(f"{shown(str(path))} has more than {_LARGEST_MAP} bytes; {_MAP}")
    try:
        found = json_value("the mapping", path.read_bytes())
    except ValueError as error:
        raise ValueError(
            f"{shown(str(path))}: {str(error).partition('; legal')[0]}; {_MAP}"
        ) from None
    if not isinstance(found, dict):
        raise ValueError(f"{shown(str(path))} is {shown(found)}; {_MAP}")  # noqa: TRY004 - the file is wrong
    return found
