"""The commands as they are typed, and what becomes of them; run as a program, too.

python -m tests.lion_conformance.exhaustive.commands exhaustive lion_ref:step --dtype float16
"""

from __future__ import annotations

import argparse
import sys

from lion_conformance.exhaustive.command import add_command

PORTS = "tests.lion_conformance.exhaustive.ports"
SLICE = "2/4096"
"""m's with the last bit set, subnormal ones among them, beside every g."""


def run(*words: object) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers(required=True))
    parsed = parser.parse_args([str(x) for x in words])
    return int(parsed.action(parsed))


if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:]))
