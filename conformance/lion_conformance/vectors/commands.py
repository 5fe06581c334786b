"""lion-conformance vectors export | check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lion_conformance.judge import Verdict
from lion_conformance.vectors import ANSWERS_FORMAT, FORMAT, SIZE

if TYPE_CHECKING:
    import argparse


def add(commands: Any) -> None:
    """Put `vectors` and its own commands beside the others."""
    vectors = commands.add_parser("vectors", help="known answers as files (docs/vectors.md)")
    actions = vectors.add_subparsers(required=True, metavar="ACTION")

    exports = actions.add_parser("export", help="write the vectors and their schemas")
    exports.add_argument("folder", type=Path, metavar="DIR")
    exports.add_argument(
        "--size",
        type=int,
        default=SIZE,
        metavar="N",
        help="drawn cases a group, special ones aside (default: %(default)s)",
    )
    exports.set_defaults(action=_export)

    checks = actions.add_parser("check", help="judge a port's answers to the vectors")
    checks.add_argument("vectors", type=Path, metavar="FILE")
    checks.add_argument("--answers", type=Path, required=True, metavar="FILE")
    checks.set_defaults(action=_check)


def _export(parsed: argparse.Namespace) -> int:
    from lion_conformance.vectors.document import export

    for path in export(parsed.folder, parsed.size):
        print(f"written: {path}")
    return 0


def _check(parsed: argparse.Namespace) -> int:
    from lion_conformance.vectors.check import check, summary
    from lion_conformance.vectors.document import load

    results = check(load(parsed.vectors, FORMAT), load(parsed.answers, ANSWERS_FORMAT))
    for line in summary(results):
        print(line)
    if any(not result.ok and result.verdict is not Verdict.NOT_RUN for result in results):
        return 1
    return 2 if any(result.verdict is Verdict.NOT_RUN for result in results) else 0
