"""`lion-conformance handover`: a run begun in one framework and gone on with in another, judged.

Each backend has a process of its own, in which it writes its first parts, then goes on with those
of all. What it comes to is held against one uninterrupted run of lion_ref.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, get_args

from lion_conformance.ports.backends import BACKENDS, Backend, backend
from lion_conformance.ports.reference import reference
from lion_conformance.ports.state import State
from lion_conformance.runner import own_process, without_chatter
from lion_conformance.runs import relay
from lion_conformance.runs.halves import STEPS, Read, Written, first_parts, second_parts
from lion_conformance.runs.hand_over import in_words, pairs
from lion_conformance.runs.relay import Dtypes
from lion_conformance.verdict.verdict import Verdict
from lion_ref import CANONICAL, STORAGE_DTYPES, Semantics
from lion_ref.subnormals import SubnormalsChoice

DIED: Final = "its process died"


@dataclass(frozen=True, slots=True)
class Part:
    """The verdict on one way and one pair of dtypes."""

    begun_in: str
    gone_on_in: str
    dtypes: str
    """Of θ and m, as in bfloat16/float32; those of one are named once."""
    verdict: Verdict
    why: str = ""


def judged(
    first: Sequence[Backend],
    second: Sequence[Backend],
    params: Sequence[str] = tuple(STORAGE_DTYPES),
    subnormals: SubnormalsChoice = "native",
) -> list[Part]:
    """Every way from one of the first backends to one of the second, with θ of these dtypes."""
    wanted = [x for x in pairs(reference()) if x[0] in params]
    every = list(dict.fromkeys((*first, *second)))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        threads = stack.enter_context(ThreadPoolExecutor(max(1, os.cpu_count() or 1)))
        processes = {one: stack.enter_context(own_process(one)) for one in every}

        def begin(one: Backend) -> Written:
            begins = wanted if one in first else ()
            try:
                return processes[one].submit(_first, one, folder, begins, subnormals).result()
            except BrokenProcessPool:
                return Written(one.name, not_run=f"{one.name}: {DIED}")

        written = dict(zip(every, threads.map(begin, every), strict=True))

        def go_on(one: Backend) -> dict[Backend, Mapping[Dtypes, Read] | str]:
            if one not in second or written[one].not_run:
                return {}
            found: dict[Backend, Mapping[Dtypes, Read] | str] = {}
            for other in first:
                try:
                    task = processes[one].submit(_second, one, written[other], subnormals)
                    found[other] = task.result()
                except BrokenProcessPool:
                    found[other] = f"{one.name}: {DIED}"
            return found

        read = dict(zip(every, threads.map(go_on, every), strict=True))
    return [
        part
        for one in first
        for other in second
        for part in _parts(written[one], written[other], read[other].get(one, {}), wanted)
    ]


def _first(
    one: Backend, folder: Path, wanted: Sequence[Dtypes], subnormals: SubnormalsChoice
) -> Written:
    with without_chatter():
        return first_parts(one, folder, wanted, subnormals)


def _second(one: Backend, written: Written, subnormals: SubnormalsChoice) -> dict[Dtypes, Read]:
    with without_chatter():
        return second_parts(one, written, subnormals)


def _parts(
    one: Written, other: Written, read: Mapping[Dtypes, Read] | str, wanted: Sequence[Dtypes]
) -> Iterator[Part]:
    """What there is to say of one way, for each pair of dtypes."""
    ways = one.backend, other.backend
    for side in (one, other):
        if side.not_run:
            yield Part(*ways, "", Verdict.NOT_RUN, side.not_run)
            return
    if isinstance(read, str):
        yield Part(*ways, "", Verdict.NOT_RUN, read)
        return
    for dtypes in wanted:
        words = in_words(dtypes)
        unable = [side.backend for side in (one, other) if dtypes not in side.dtypes]
        if unable:
            why = f"by {' and '.join(dict.fromkeys(unable))}"
            yield Part(*ways, words, Verdict.NOT_TAKEN, why)
        elif dtypes in one.errors:
            yield Part(*ways, words, Verdict.REJECTED, f"export: {one.errors[dtypes]}")
        else:
            yield Part(*ways, words, *_verdict(one, other, dtypes, read[dtypes]))


def _verdict(one: Written, other: Written, dtypes: Dtypes, read: Read) -> tuple[Verdict, str]:
    """Hold a whole run, its two parts of two frameworks, against lion_ref's."""
    found = one.files[dtypes].state
    why = relay.difference(found, _expected(dtypes, (one.declared,), (one.skips,)))
    if why:
        return Verdict.REJECTED, f"before the export {why}"
    if read.state is None:
        return Verdict.REJECTED, read.lost
    both = (one.declared, other.declared), (one.skips, other.skips)
    why = relay.difference(read.state, _expected(dtypes, *both))
    return (Verdict.REJECTED, f"at the end {why}") if why else (Verdict.BIT_EXACT, "")


@lru_cache(maxsize=256)
def _expected(
    dtypes: Dtypes, declared: tuple[Semantics | None, ...], skips: tuple[bool, ...]
) -> State:
    semantics = tuple(x or CANONICAL for x in declared)
    return relay.expected(relay.recorded(dtypes, STEPS), semantics, skips)


def lines(parts: Sequence[Part]) -> Iterator[str]:
    """The verdict, the matrix, then all that is not bit-exact and why."""
    ways = dict.fromkeys((x.begun_in, x.gone_on_in) for x in parts)
    cells = {way: _cell([x for x in parts if (x.begun_in, x.gone_on_in) == way]) for way in ways}
    good = sum(cell.startswith(Verdict.BIT_EXACT.value) for cell in cells.values())
    run = sum(cell != Verdict.NOT_RUN.value for cell in cells.values())
    verdict = _worst(parts).value
    yield f"{verdict}: {good} of {run} ways end with the bits of one run of lion_ref"
    yield ""
    heads = list(dict.fromkeys(to for _, to in ways))
    table = [["from \\ to", *heads]]
    table += [
        [name, *(cells[name, to] for to in heads)] for name in dict.fromkeys(x for x, _ in ways)
    ]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        yield "  ".join(x.ljust(width) for x, width in zip(row, widths, strict=True)).rstrip()
    yield ""
    for part in parts:
        if part.verdict is Verdict.REJECTED:
            way = f"{part.begun_in} to {part.gone_on_in}, {part.dtypes}"
            yield f"{part.verdict.value}  {way}: {part.why}"
    unrun = dict.fromkeys(x.why for x in parts if x.verdict is Verdict.NOT_RUN)
    yield from (f"{Verdict.NOT_RUN.value}  {why}" for why in unrun)
    untaken: dict[str, dict[str, None]] = {}
    for part in parts:
        if part.verdict is Verdict.NOT_TAKEN:
            untaken.setdefault(part.why, {})[part.dtypes] = None
    for why, words in untaken.items():
        yield f"{Verdict.NOT_TAKEN.value}  {why}: {', '.join(words)}"
    yield f"{STEPS} steps before, {STEPS} after; numbers count pairs of dtypes of θ and m"


def _worst(parts: Sequence[Part]) -> Verdict:
    judged = [x.verdict for x in parts if x.verdict not in (Verdict.NOT_RUN, Verdict.NOT_TAKEN)]
    return max(judged, key=lambda verdict: verdict.rank, default=Verdict.NOT_RUN)


def _cell(parts: Sequence[Part]) -> str:
    counts = Counter(x.verdict for x in parts)
    told = [x for x in (Verdict.REJECTED, Verdict.BIT_EXACT, Verdict.NOT_RUN) if counts[x]]
    if not told:
        return Verdict.NOT_TAKEN.value
    return ", ".join(x.value if x is Verdict.NOT_RUN else f"{x.value} {counts[x]}" for x in told)


def add_command(commands: Any) -> None:
    """Put `handover` beside the other commands."""
    parser = commands.add_parser(
        "handover",
        help="judge runs that begin in one framework and go on in another, by a file",
        epilog="Exit status: 0 all bit-exact, 1 something is not, 2 something could not run.",
    )
    for name, what in (("from", "begins"), ("to", "goes on")):
        parser.add_argument(
            name,
            nargs="?",
            choices=list(BACKENDS),
            metavar=name.upper(),
            help=f"where a run {what}: one of {', '.join(BACKENDS)} (default: each of them)",
        )
    parser.add_argument(
        "--dtype",
        action="append",
        choices=list(STORAGE_DTYPES),
        metavar="DTYPE",
        help=f"dtype of the parameter, one of {', '.join(STORAGE_DTYPES)}; repeatable (default: "
        "all), with every dtype of the momentum that both take",
    )
    parser.add_argument(
        "--subnormals",
        choices=get_args(SubnormalsChoice),
        default="native",
        help="the rule that every adapter is asked for, as of `run`",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found as json")
    parser.set_defaults(action=_command)


def _command(parsed: argparse.Namespace) -> int:
    first, second = getattr(parsed, "from"), parsed.to
    if (first is None) != (second is None):
        raise ValueError(f"{first!r} alone is not legal; legal: FROM and TO, or neither")
    every = list(BACKENDS.values())
    parts = judged(
        [backend(first)] if first else every,
        [backend(second)] if second else every,
        tuple(parsed.dtype or STORAGE_DTYPES),
        parsed.subnormals,
    )
    for line in lines(parts):
        print(line)
    if parsed.json is not None:
        document = {"format": "lion-handover", "parts": [_as_dict(x) for x in parts]}
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        parsed.json.write_text(text, encoding="utf-8")
        print(f"written: {parsed.json}")
    return status(parts)


def _as_dict(part: Part) -> dict[str, Any]:
    return asdict(part) | {"verdict": part.verdict.value}


def status(parts: Sequence[Part]) -> int:
    """As of `run`: what is rejected outweighs what could not run."""
    found = {part.verdict for part in parts}
    if Verdict.REJECTED in found:
        return 1
    return 2 if Verdict.NOT_RUN in found or Verdict.BIT_EXACT not in found else 0
