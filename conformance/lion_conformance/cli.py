"""lion-conformance: the command line."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from lion_conformance import github, handover, report_files, starters
from lion_conformance.diagnosis.search import diagnosis
from lion_conformance.exhaustive import command as certifying
from lion_conformance.ports.backends import BACKENDS
from lion_conformance.ports.protocol import PortError
from lion_conformance.ports.published import FAMILIES, family
from lion_conformance.ports_asked import (
    add_port_options,
    as_assembled,
    asked_assembly,
    asked_port,
)
from lion_conformance.progress import showing
from lion_conformance.proof import command as proving
from lion_conformance.ptx.published import FAMILY as PUBLISHED_KERNELS
from lion_conformance.report import as_markdown, as_survey, as_text, explanation
from lion_conformance.report.report import Report
from lion_conformance.runner import Options, judge_backends, run
from lion_conformance.vectors import bundle
from lion_conformance.vectors import document as vectors
from lion_conformance.verdict.known_answers import check, summary
from lion_conformance.verdict.sentences import headline
from lion_conformance.verdict.verdict import Verdict
from lion_conformance.verify import MAX_EXAMPLES, verify
from lion_ref import STORAGE_DTYPES
from lion_ref.subnormals import SubnormalsChoice

SECONDS = 80.0
"""On two cores the table then stands within a minute and a half."""

SURVEYED = {**FAMILIES, PUBLISHED_KERNELS.name: PUBLISHED_KERNELS}

AS_DECLARED, FELL_SHORT, NOT_RUN = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0: all as declared, 1: something fell short, 2: something could not run."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parsed = command_parser().parse_args(words)
    try:
        if "action" in parsed:  # prints its own findings
            return int(parsed.action(parsed))
        command = shlex.join(["lion-conformance", *words])
        reports = [
            replace(report, origin=replace(report.origin, command=command))
            for report in parsed.command(parsed)
        ]
    except BrokenPipeError:  # nobody reads on: guard's
        raise
    except (ValueError, TypeError, OSError, ImportError, PortError) as error:
        print(f"lion-conformance: {error}", file=sys.stderr)
        if "github" in parsed and parsed.github:
            github.tell_not_run(str(error))
        return NOT_RUN
    as_text.show(reports)  # first: the verdict stands, whatever becomes of the files
    written = report_files.write(reports, parsed)
    if parsed.github:
        written = github.tell(reports, parsed.as_markdown) and written
    if parsed.reproduces or parsed.reproduction:
        report_files.reproduce(reports, parsed)
    outcome = int(parsed.status(reports))
    return NOT_RUN if outcome == AS_DECLARED and not written else outcome


def status(reports: Sequence[Report]) -> int:
    """What fell short outweighs what could not run."""
    if any(report.fell_short for report in reports):
        return FELL_SHORT
    judged = any(report.results for report in reports)
    return AS_DECLARED if judged and not any(report.not_run for report in reports) else NOT_RUN


def surveyed(reports: Sequence[Report]) -> int:
    """That a published port differs is what a survey is for: only a survey of nothing failed."""
    return AS_DECLARED if any(report.results for report in reports) else NOT_RUN


def _options(parsed: argparse.Namespace) -> Options:
    return Options(
        dtypes=tuple(parsed.dtype or STORAGE_DTYPES),
        max_examples=parsed.max_examples,
        seed=parsed.seed,
        device=parsed.device,
        seconds=parsed.seconds,
        subnormals=parsed.subnormals,
    )


def _run(parsed: argparse.Namespace) -> list[Report]:
    names = parsed.backend or list(BACKENDS)
    with showing(names) as on_event:
        return run(names, _options(parsed), jobs=parsed.jobs, on_event=on_event)


def _ports(parsed: argparse.Namespace) -> list[Report]:
    families = [family(name, SURVEYED) for name in parsed.name or SURVEYED]
    with showing([one.name for one in families]) as on_event:
        return judge_backends(families, _options(parsed), jobs=parsed.jobs, on_event=on_event)


def _verify(parsed: argparse.Namespace) -> list[Report]:
    machine_code = asked_assembly(parsed)
    with asked_port(parsed) as (port, origin):
        report = verify(
            as_assembled(port, machine_code),
            dtypes=parsed.dtype or None,
            mixed=parsed.mixed,
            max_examples=parsed.max_examples,
            seed=parsed.seed,
        )
    origin = replace(origin, variant=report.origin.variant)
    return [replace(report, origin=origin, assembly=machine_code)]


def _diagnose(parsed: argparse.Namespace) -> int:
    """Say which semantics the port has; 1 if there is none that gives its bits."""
    dtypes = parsed.dtype or None
    with asked_port(parsed) as (port, _):
        found = diagnosis(port, dtypes=dtypes)
        cause = None if found.semantics is not None else verify(port, dtypes=dtypes).cause
    if cause is not None:
        more = (*cause.evidence, explanation.how_to_learn_more(cause.code))
        for line in (cause.line(), *(f"    {x}" for x in more)):
            print(line)
    what, more = headline(found.sentence)
    print(what)
    for line in (*more, *found.example):
        print(f"    {line}")
    for dtype, words in found.not_taken.items():
        print(f"{dtype} not taken: {words}")
    if found.undetermined:
        print(f"undetermined, no input showed a difference: {', '.join(found.undetermined)}")
    return FELL_SHORT if found.semantics is None else AS_DECLARED


def _explain(parsed: argparse.Namespace) -> int:
    """Show the page of a cause, or list them all."""
    if parsed.code is None:
        print(explanation.listed())
    else:
        explanation.show(explanation.code_named(parsed.code))
    return AS_DECLARED


def _export_vectors(parsed: argparse.Namespace) -> int:
    if parsed.zip and parsed.size != vectors.SIZE:
        raise ValueError(f"--size {parsed.size} is not legal with --zip; legal: {vectors.SIZE}")
    written = [bundle.export(parsed.folder)] if parsed.zip else None
    for path in written or vectors.export(parsed.folder, parsed.size):
        print(f"written: {path}")
    return AS_DECLARED


def _check_answers(parsed: argparse.Namespace) -> int:
    results = check(
        vectors.load(parsed.vectors, vectors.FORMAT),
        vectors.load(parsed.answers, vectors.ANSWERS_FORMAT),
    )
    for line in summary(results):
        print(line)
    if any(not result.ok and result.verdict is not Verdict.NOT_RUN for result in results):
        return FELL_SHORT
    return NOT_RUN if any(result.verdict is Verdict.NOT_RUN for result in results) else AS_DECLARED


def command_parser() -> argparse.ArgumentParser:
    """Every command and its options."""
    parser = argparse.ArgumentParser(
        prog="lion-conformance",
        description="Judge ports of the Lion optimizer against lion_ref, bit for bit.",
        epilog="Exit status: 0 all as declared, 1 something fell short, 2 something could not run.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = _common_arguments()

    starters.add_command(commands)
    handover.add_command(commands)
    proving.add_command(commands)
    certifying.add_command(commands)
    runs = commands.add_parser(
        "run", parents=[common], help="judge the adapters of every framework that is installed"
    )
    runs.add_argument(
        "--backend",
        action="append",
        metavar="NAME",
        help=f"one of {', '.join(BACKENDS)}; repeatable",
    )
    runs.add_argument(
        "--subnormals",
        choices=get_args(SubnormalsChoice),
        help="the rule that every adapter is asked for: each platform's own (default), subnormals "
        "flushed by all alike, or kept where the platform can",
    )
    time = runs.add_mutually_exclusive_group()
    time.add_argument(
        "--thorough",
        dest="seconds",
        action="store_const",
        const=math.inf,
        help="judge all cases and runs, however long it takes: some minutes",
    )
    time.add_argument(
        "--seconds",
        type=float,
        metavar="N",
        help="the time for the whole table, imports and compilation included (default: "
        f"{SECONDS:g}); what tells most comes first, and the table says what share was judged",
    )
    runs.set_defaults(command=_run, seconds=SECONDS, subnormals="native")

    published = commands.add_parser(
        "ports",
        parents=[common],
        help="judge the Lions of other projects that are installed (docs/ports.md)",
        epilog="Exit status: 0 if any could be judged, whatever was found, 2 if none could.",
    )
    published.add_argument(
        "--name",
        action="append",
        metavar="NAME",
        help=f"one of {', '.join(SURVEYED)}; repeatable",
    )
    published.set_defaults(
        command=_ports,
        as_markdown=as_survey.render,
        status=surveyed,
        seconds=math.inf,
        subnormals="native",  # other projects' ports have no choice
        reproduces=False,  # a difference is a finding here, and no program is owed unless asked for
    )
    for parser_of_backends in (runs, published):
        parser_of_backends.add_argument("--device", default="cpu", help="cpu (default) or cuda")
        parser_of_backends.add_argument(
            "--jobs", type=int, help="backends judged at a time; default: one a core"
        )

    verifies = commands.add_parser("verify", parents=[common], help="judge a port of your own")
    add_port_options(verifies)
    verifies.add_argument(
        "--cubin",
        type=Path,
        metavar="FILE",
        help="what an assembler made of the kernel: a cubin, or a file that holds one; whether it "
        "contracts or flushes is read, which takes nvdisasm, as Triton brings it",
    )
    verifies.add_argument(
        "--mixed",
        action="store_true",
        help="of a callable, judge all triples of several dtypes too, as far as it takes them",
    )
    verifies.set_defaults(command=_verify)
    for parser_that_holds in (runs, verifies):  # in a survey, a difference is a finding
        parser_that_holds.add_argument(
            "--github",
            action="store_true",
            help="in a workflow of GitHub Actions: annotate what fell short, write the job's "
            "summary and the outputs `verdict`, `cause` and `code`",
        )

    diagnoses = commands.add_parser("diagnose", help="say which semantics a port's bits have")
    add_port_options(diagnoses)
    diagnoses.add_argument(
        "--dtype", action="append", metavar="DTYPE", help="as for verify; repeatable"
    )
    diagnoses.set_defaults(action=_diagnose)

    explains = commands.add_parser("explain", help="what a cause means, and how to mend it")
    explains.add_argument(
        "code", metavar="CODE", nargs="?", help="as a report names it; all are listed if left out"
    )
    explains.set_defaults(action=_explain)
    _add_vectors(commands)
    return parser


def _add_vectors(commands: Any) -> None:
    """Put `vectors` and its own commands beside the others."""
    group = commands.add_parser(
        "vectors", help="known answers as files (docs/reference/vectors.md)"
    )
    actions = group.add_subparsers(required=True, metavar="ACTION")

    exports = actions.add_parser("export", help="write the vectors and their schemas")
    exports.add_argument("folder", type=Path, metavar="DIR")
    exports.add_argument(
        "--size",
        type=int,
        default=vectors.SIZE,
        metavar="N",
        help="drawn cases a group, special ones aside (default: %(default)s)",
    )
    exports.add_argument(
        "--zip",
        action="store_true",
        help="as one archive, with a page for readers without Python, and the license",
    )
    exports.set_defaults(action=_export_vectors)

    checks = actions.add_parser("check", help="judge a port's answers to the vectors")
    checks.add_argument("vectors", type=Path, metavar="FILE")
    checks.add_argument("--answers", type=Path, required=True, metavar="FILE")
    checks.set_defaults(action=_check_answers)


def _common_arguments() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--dtype",
        action="append",
        metavar="DTYPE",
        help=f"dtype of the parameter: {', '.join(STORAGE_DTYPES)}; or of parameter, momentum and "
        "gradient, as bfloat16/float32/bfloat16; repeatable",
    )
    common.add_argument(
        "--max-examples",
        type=int,
        default=MAX_EXAMPLES,
        metavar="N",
        help="random cases for each dtype, of tens of thousands of elements (default: "
        "%(default)s); with run, as many of them as there is time for",
    )
    common.add_argument("--seed", type=int, default=0, help="the same seed gives the same cases")
    report_files.add_options(common)
    common.set_defaults(
        as_markdown=as_markdown.render, status=status, reproduces=True, github=False
    )
    return common


if __name__ == "__main__":
    sys.exit(main())
