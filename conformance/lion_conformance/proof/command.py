"""`lion-conformance prove`: whether a port equals the reference for every value."""

from __future__ import annotations

import argparse
from typing import Any, Final

from lion_conformance.ports_asked import add_port_options, asked_port
from lion_conformance.proof.proof import Proof
from lion_conformance.proof.prove import prove
from lion_ref import STORAGE_DTYPES

_STATUS: Final = {"equals": 0, "differs": 1, "not decided": 2}


def add_command(commands: Any) -> None:
    """Put `prove` beside the other commands."""
    parser = commands.add_parser(
        "prove",
        help="prove that a port equals the reference for every value, by its expressions",
        epilog="Exit status: 0 it equals the reference (as it declares, if it declares anything), "
        "1 it differs, or is another algorithm, 2 not decided.",
    )
    add_port_options(parser)
    parser.add_argument(
        "--dtype",
        action="append",
        metavar="DTYPE",
        help=f"one of {', '.join(STORAGE_DTYPES)}, or three of them for θ, m and g, as in "
        "bfloat16/float32/bfloat16; repeatable (default: all that the port takes)",
    )
    parser.set_defaults(action=_command)


def _command(parsed: argparse.Namespace) -> int:
    with asked_port(parsed) as (port, _):
        proof = prove(port, dtypes=parsed.dtype)
    for line in proof.lines():
        print(line)
    return status(proof)


def status(proof: Proof) -> int:
    """As the command ends."""
    if proof.verdict == "equals" and proof.is_other_algorithm:
        return 1
    return _STATUS[proof.verdict]
