"""`lion-conformance exhaustive`, which writes certificates; `certificate`, which reads them."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from lion_conformance.exhaustive import files, told
from lion_conformance.exhaustive.asked import Asked
from lion_conformance.exhaustive.bar import showing
from lion_conformance.exhaustive.certificate import Certificate
from lion_conformance.exhaustive.certify import NotTakenError, certify, question_of
from lion_conformance.exhaustive.cluster import cluster
from lion_conformance.exhaustive.digests import slice_of
from lion_conformance.exhaustive.merging import merged
from lion_conformance.exhaustive.question import DTYPES, Question
from lion_conformance.exhaustive.recheck import in_short, rechecked
from lion_conformance.exhaustive.spread import Spread, here, processes
from lion_conformance.ports.protocol import Port
from lion_conformance.ports_asked import add_port_options
from lion_conformance.verdict.verdict import Verdict
from lion_ref.hyperparameters import Hyperparameters

SCALARS: Final = {"lr": 0.01, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.7}
"""No numbers to train with: η and λ are such that both show in the 8 bits of a bfloat16 θ."""

DASK: Final = "dask"


def add_command(commands: Any) -> None:
    """Put `exhaustive` and `certificate` beside the other commands."""
    parser = commands.add_parser(
        "exhaustive",
        help="judge a port on every pair of 16-bit numbers, and write a certificate",
        epilog="Exit status: 0 bit-exact, 1 rejected, 2 something could not run.",
    )
    add_port_options(parser, backend=True)
    parser.add_argument(
        "--door", metavar="DOOR", help="where there are several, one of them (default: each)"
    )
    parser.add_argument("--dtype", choices=DTYPES, required=True, help="of θ, m and g")
    for name, value in SCALARS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=float,
            default=value,
            metavar="X",
            help=f"(default: {value:g})",
        )
    parser.add_argument(
        "--slice",
        default="1/1",
        metavar="I/N",
        help="the i-th of n slices alone; `certificate merge` puts them together",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the certificate, or a folder for those of several doors; with the same arguments a "
        "run that was ended goes on from what it kept beside it",
    )
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="processes that judge (default: one a core)"
    )
    parser.add_argument(
        "--scheduler",
        metavar="dask[=ADDRESS]",
        help="spread tasks over the cluster of Dask's scheduler at an address, or over --jobs "
        "processes that it starts here",
    )
    parser.set_defaults(action=_exhaustive)
    _add_certificate(commands)


def _add_certificate(commands: Any) -> None:
    parser = commands.add_parser("certificate", help="read certificates of `exhaustive`")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    merges = actions.add_parser("merge", help="put the certificates of slices together")
    merges.add_argument("file", type=Path, nargs="+", metavar="FILE")
    merges.add_argument("--out", type=Path, required=True, metavar="FILE")
    merges.add_argument(
        "--partial", action="store_true", help="though slices are missing: the rest comes later"
    )
    merges.set_defaults(action=_merge)
    checks = actions.add_parser("check", help="say what a certificate says, if it is whole")
    checks.add_argument("file", type=Path, metavar="FILE")
    checks.add_argument(
        "--recheck",
        type=_count,
        default=0,
        metavar="N",
        help="compute that many of its digests again, drawn at random, by lion_ref",
    )
    checks.set_defaults(action=_check)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not legal; legal: an integer >= 0")
    return int(text)


def _exhaustive(parsed: argparse.Namespace) -> int:
    asked = Asked.by(parsed)
    values = Hyperparameters.checked(**{name: getattr(parsed, name) for name in SCALARS})
    jobs = (os.cpu_count() or 1) if parsed.jobs is None else parsed.jobs
    if jobs < 1:
        raise ValueError(f"jobs={jobs} is not legal; legal: an integer >= 1")
    found = []
    with asked.opened() as ports:
        for port in ports:
            try:
                question = question_of(port, parsed.dtype, values)
            except NotTakenError as error:
                if len(ports) == 1:
                    raise
                _print([f"{Verdict.NOT_TAKEN.value}: {error}"])
                continue
            spread = _spread(port, replace(asked, door=port.door), jobs, parsed.scheduler)
            out = _out(parsed, port, alone=len(ports) == 1)
            found.append(_certified(port, question, slice_of(parsed.slice), spread, out))
    if not found:
        raise ValueError(f"no door could be judged in {parsed.dtype}")
    return int(any(x.verdict is Verdict.REJECTED for x in found))


def _certified(
    port: Port, question: Question, blocks: range, spread: Spread, out: Path | None
) -> Certificate:
    unfinished = None if out is None else out.with_name(f"{out.name}.unfinished")
    with showing(f"{port.name}, {port.door}, {question.dtype}", len(blocks)) as on_task:
        certificate = certify(port, question, blocks, spread, unfinished=unfinished, told=on_task)
    _print([*told.lines(certificate)])
    if out is not None and unfinished is not None:
        files.save(certificate, out)
        unfinished.unlink(missing_ok=True)
        _print([f"    written: {out}"])
    return certificate


def _spread(port: Port, asked: Asked, jobs: int, scheduler: str | None) -> Spread:
    if scheduler is not None:
        name, _, address = scheduler.partition("=")
        if name != DASK:
            raise ValueError(f"scheduler={scheduler!r} is not legal; legal: {DASK}[=ADDRESS]")
        return cluster(asked, address or None, jobs)
    return here(port) if jobs == 1 else processes(asked, jobs)


def _out(parsed: argparse.Namespace, port: Port, *, alone: bool) -> Path | None:
    """Where a door's certificate goes."""
    out: Path | None = parsed.out
    if out is None or (alone and not out.is_dir()):
        return out
    device = "" if port.device == "cpu" else port.device
    words = f"{port.name} {port.door} {device} {parsed.subnormals or ''} {parsed.dtype}"
    return out / (re.sub(r"[^\w]+", "-", words.lower(), flags=re.ASCII).strip("-") + ".json")


def _merge(parsed: argparse.Namespace) -> int:
    slices = [(str(path), files.load(path)) for path in parsed.file]
    certificate = merged(slices, partial=parsed.partial)
    files.save(certificate, parsed.out)
    _print([*told.lines(certificate), f"    written: {parsed.out}"])
    return int(certificate.verdict is Verdict.REJECTED)


def _check(parsed: argparse.Namespace) -> int:
    certificate = files.load(parsed.file)
    _print([*told.lines(certificate), "    whole: the seal is that of what it says"])
    failed = certificate.verdict is Verdict.REJECTED
    if parsed.recheck:
        found = list(rechecked(certificate, parsed.recheck))
        _print([f"    {in_short(found)}"])
        failed = failed or not all(right for _, right in found)
    return int(failed)


def _print(lines: Sequence[str]) -> None:
    for line in lines:
        print(line)
