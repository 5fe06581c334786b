"""Reports on the Lions of other projects as a page of documentation: docs/ports.md."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lion_conformance.cases.case import ORDINARY_IN_WORDS
from lion_conformance.ports.published.known import MISTAKES, NOT_JUDGED, OVER_FIRST
from lion_conformance.report.as_markdown import escaped
from lion_conformance.report.findings import DtypeResult, Findings
from lion_conformance.report.survey_answers import (
    HALVES,
    answers,
    causes,
    form,
    in_half,
    in_short,
    outcome,
)
from lion_conformance.verdict.sentences import headline, in_words
from lion_conformance.verdict.verdict import Verdict
from lion_ref import STORAGE_DTYPES, Semantics

INTRODUCTION: Final = """\
# Published Lions

<!-- Written by `make ports`; an edit by hand is lost at the next run. -->

Which of the Lions that other projects publish is Lion, what each does differently, and what a move
from one to another changes: found by `lion-conformance ports` on {date}, from the bits that
each gives through its own public door ([how](explanation/diagnosis.md)).
"""

LEGEND: Final = f"""\
| mark | is it Lion? |
|---|---|
| ✓ | yes, with the bits of the reference, [SPEC.md](../SPEC.md) |
| ≈ | yes, with roundings of its own, known to the last bit: see [Forms](#forms) |
| ≈\\* | yes; its roundings are known at ordinary hyperparameters, not at all that are legal |
| ≈? | yes; its roundings are not known |
| ✗ | no: another algorithm, which is known to the last bit |
| ✗\\* | at ordinary hyperparameters, in the form that [Forms](#forms) tells; not at all others |
| ✗? | not always, and its form is not known |
| – | it does not take this dtype |

*Ordinary* is with {ORDINARY_IN_WORDS}. Scalars that are
rounded to 16 bits make another algorithm: β2 = 0.99 is 0.988 then."""

ROUNDINGS: Final = """\
Another rounding is not a mistake: Lion's authors fix no order of operations, and a fused
multiply-add or a decay that comes first differs by an *ulp*, the distance between neighbouring
numbers. Nor is it one that an element's last bit depends on where it stands in its array: PyTorch
computes the end of an array with other instructions than the rest, and knows it (its pull request
197018). A mistake is what changes a run. Each page has a program that needs the library alone."""

MAY_MOVE: Final = """\
- May η and λ stay as they are when a run moves? Yes, but for the libraries whose sentence says what
  to give; the bits stay only between those that share them: [more](#what-a-move-means)."""

FLAGS: Final = ("avx2", "fma", "avx512f", "asimd")
MOVED: Final = ("float32", "bfloat16")
"""The dtypes for which it is said what a move means."""
CANONICAL_C, CANONICAL_M = "β1·m + (1-β1)·g", "β2·m + (1-β2)·g"
CANONICAL_THETA = "θ - η·(u + λ·θ)"
STANDS = "where it stands in its array"


def render(reports: Sequence[Findings]) -> str:
    """The page: the answer first, then mistakes, forms, each library, and how it was made."""
    judged = [report for report in reports if report.results]
    ports = list(dict.fromkeys(report.port for report in judged))
    rows = answers(judged)
    lines = [INTRODUCTION.format(date=datetime.now(UTC).date().isoformat())]
    lines += [
        "## Is it Lion?",
        "",
        *in_short(judged),
        MAY_MOVE,
        "",
        *_table(next(rows), rows),
        "",
        LEGEND,
        "",
    ]
    lines += ["## What a move means", "", *_moves(judged)]
    lines += ["## What is wrong", "", ROUNDINGS, "", *_mistakes(ports), ""]
    lines += ["## Not judged", "", *_not_judged(reports), ""]
    lines += ["## Doors", "", *_verdicts(judged), "", "## Forms", "", *_forms(judged), ""]
    for port in ports:
        lines += [f"## {port}", "", *_library([x for x in judged if x.port == port]), ""]
    lines += ["How to [add another](how-to/add-a-published-port.md).", ""]
    return "\n".join([*lines, *_made_with(reports)]) + "\n"


def _mistakes(ports: Sequence[str]) -> Iterator[str]:
    rows = (
        (", ".join(found), x.sentence, f"[{x.page}](reproductions/{x.page}.md)")
        for x in MISTAKES
        if (found := [port for port in x.families if port in ports])
    )
    return _table(("library", "what happens", "seen in"), rows)


def _not_judged(reports: Sequence[Findings]) -> Iterator[str]:
    """What was not installed here, then what is known not to be judged."""
    missing = [(r.port, "–", "–", f"{r.door}: {escaped(r.not_run)}") for r in reports if r.not_run]
    known = [(x.name, x.version, x.month, x.why) for x in NOT_JUDGED]
    return _table(("package", "version", "of", "why"), iter([*missing, *known]))


def _table(heads: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _verdicts(judged: Sequence[Findings]) -> Iterator[str]:
    marks = ({r.dtype: outcome(r) for r in report.results} for report in judged)
    rows = (
        (report.port, report.door, *(found.get(dtype, "–") for dtype in STORAGE_DTYPES))
        for report, found in zip(judged, marks, strict=True)
    )
    return _table(("library", "door", *STORAGE_DTYPES), rows)


def _forms(judged: Sequence[Findings]) -> Iterator[str]:
    yield "In float32 where that is taken, else in the first dtype that has a form."
    yield ""
    heads = ("library", "door", "c", "m'", "θ'", "sign(NaN)", "subnormals", "sign(-0)")
    yield from _table((*heads, "in 16 bits", "refuses"), (_form_row(x) for x in judged))


def _form_row(report: Findings) -> Sequence[str]:
    by_dtype = {result.dtype: result for result in report.results}
    found = form(by_dtype.get("float32")) or next(filter(None, map(form, report.results)), None)
    if found is None:
        words = ["?"] * 6
    else:
        words = [*_formulas(found), "NaN" if found.nan_sign == "nan" else "0"]
        words += ["kept" if found.subnormals == "keep" else "flushed"]
        words += ["0" if found.zero_sign == "positive" else "-0"]
    halves = [by_dtype[x] for x in HALVES if x in by_dtype]
    refused = dict.fromkeys(x for result in report.results for x in result.refusals)
    arguments = dict.fromkeys(x.argument or "some together" for x in refused)
    return report.port, report.door, *words, in_half(halves), ", ".join(arguments) or "nothing"


def _formulas(found: Semantics) -> Iterator[str]:
    """How c, m' and θ' are formed, as the semantics describes it."""
    said = dict(
        part.split(" = ", 1) for part in found.describe().split("; ") if part[:4] in _BEGINNINGS
    )
    formed = {"c": found.sign_complement, "m'": found.momentum_complement}
    for name, canonical in (("c", CANONICAL_C), ("m'", CANONICAL_M), ("θ'", CANONICAL_THETA)):
        rounded = ", 1-β formed in float32" if formed.get(name) == "compute" else ""
        yield said.get(name, canonical) + rounded


_BEGINNINGS: Final = ("c = ", "m' =", "θ' =")


def _moves(judged: Sequence[Findings]) -> Iterator[str]:
    """What to change, which libraries share their bits, and, folded, every pair of them."""
    first = {x.port: x for x in reversed(judged)}
    ports = list(dict.fromkeys(report.port for report in judged))
    for dtype in MOVED:
        found = {
            port: next((x for x in first[port].results if x.dtype == dtype), None) for port in ports
        }
        taken = [port for port in ports if found[port] is not None]
        forms = {port: form(found[port]) for port in taken}
        yield from (f"### In {dtype}", "", *_advice(forms, dtype), *_alike(forms), "")
        yield "<details><summary>Every pair of libraries</summary>"
        yield ""
        yield "From the library in the row to that in the column, each by its first door:"
        yield "**=** the same bits, **≈** other roundings alone, **✗** another algorithm on one"
        yield "side, **?** a form that is not known. A \\* says: at ordinary hyperparameters."
        yield ""
        rows = ((a, *("·" if a == b else _move(found[a], found[b]) for b in taken)) for a in taken)
        yield from (*_table(("from", *taken), rows), "", "</details>", "")


def _alike(forms: dict[str, Semantics | None]) -> Iterator[str]:
    """The libraries that give the same bits as another."""
    groups: dict[Semantics, list[str]] = {}
    for port, found in forms.items():
        if found is not None:
            groups.setdefault(found, []).append(port)
    alike = [", ".join(group) for group in groups.values() if len(group) > 1]
    if alike:
        yield f"- The same bits, at ordinary hyperparameters: {'; '.join(alike)}."
    if len(groups) > 1:
        others = "the others" if alike else "any two"
        yield f"- Between {others} last bits differ, and after some steps every number does."


def _move(one: DtypeResult | None, other: DtypeResult | None) -> str:
    first, second = form(one), form(other)
    if one is None or other is None or first is None or second is None:
        return "?"
    ordinarily = any(outcome(x).endswith("*") for x in (one, other))
    mark = "≈"
    if first == second:
        mark = "="
    elif first.is_other_algorithm or second.is_other_algorithm:
        mark = "✗"
    return mark + ("\\*" if ordinarily else "")


def _advice(forms: dict[str, Semantics | None], dtype: str) -> Iterator[str]:
    """What to change besides, where the decay is another."""
    decays = {port: found.decay for port, found in forms.items() if found is not None}
    for port in OVER_FIRST:
        if decays.pop(port, None) is not None:
            yield f"- {port} decays by λ·η/η₀, η₀ the first η: there give η₀·λ, from there λ/η₀."
    for port, decay in decays.items():
        if decay == "unscaled":
            yield f"- {port} decays by λ alone: to go there, give it η·λ; from there, give λ/η."
        if decay == "coupled":
            yield f"- {port} adds λ·θ to the gradient: no λ elsewhere gives its steps."
    scaled = [port for port, decay in decays.items() if decay not in ("unscaled", "coupled")]
    others = "others " if any(port in forms for port in OVER_FIRST) else ""
    if len(scaled) > 1:
        yield f"- In {dtype} all {others}scale the decay by η" + (
            ": η, β1, β2 and λ are carried over as they are."
            if len(scaled) == len(decays)
            else f" but those: among {', '.join(scaled)} λ is carried over as it is."
        )
    rounded = [port for port, found in forms.items() if found and found.scalars != "compute"]
    if rounded:
        named = ", ".join(rounded)
        yield f"- {named}: scalars are rounded first, so β2 = 0.99 is another number there."


def _library(doors: Sequence[Findings]) -> Iterator[str]:
    """What is special, a sentence each; then every dtype in words, folded."""
    yield from (f"- {text}" for text in _special(doors))
    yield ""
    yield "<details><summary>Every door and dtype in words</summary>"
    yield ""
    for report in doors:
        yield from _sentences(report)
    yield ""
    yield "</details>"


def _special(doors: Sequence[Findings]) -> Iterator[str]:
    forms = [{r.dtype: form(r) for r in report.results} for report in doors]
    for report, found in zip(doors[1:], forms[1:], strict=True):
        other = [x for x in found if x in forms[0] and found[x] != forms[0][x]]
        if other:
            yield f"`{report.door}` has other bits than `{doors[0].door}` in {', '.join(other)}."
    for words, named in (
        ("An element's bits depend on where it stands in its array", _where(doors, _by_place)),
        ("Beyond ordinary hyperparameters it is not always Lion", _where(doors, _beyond)),
        ("No form is known that gives all its bits", _where(doors, lambda x: form(x) is None)),
        ("Another algorithm, by what is rounded or how θ decays", _where(doors, _another)),
    ):
        if named:
            yield f"{words}: {named}."
    for report in doors:
        yield from (f"`{report.door}`: {text}." for text in causes(report))
    if all(form(r) == Semantics() for report in doors for r in report.results):
        yield "It gives the reference's bits."
    for text in dict.fromkeys(
        in_words(r.refusals) for report in doors for r in report.results if r.refusals
    ):
        what, more = headline(f"It {text}")
        yield escaped("; ".join([what, *more])) + "."


def _where(doors: Sequence[Findings], holds: Callable[[DtypeResult], bool]) -> str:
    """The doors and dtypes of which something holds."""
    found: dict[str, list[str]] = {}
    for report in doors:
        dtypes = [r.dtype for r in report.results if holds(r)]
        if dtypes:
            found.setdefault(", ".join(dtypes), []).append(f"`{report.door}`")
    return "; ".join(f"{', '.join(names)} in {dtypes}" for dtypes, names in found.items())


def _by_place(result: DtypeResult) -> bool:
    return STANDS in result.sentence


def _beyond(result: DtypeResult) -> bool:
    return outcome(result) == "✗\\*"


def _another(result: DtypeResult) -> bool:
    return outcome(result) == "✗"


def _sentences(report: Findings) -> Iterator[str]:
    """The sentence of each outcome, with the dtypes that share it, and what goes on from it."""
    shared: dict[tuple[str, str], list[str]] = {}
    for result in report.results:
        shared.setdefault((outcome(result), _sentence(result)), []).append(result.dtype)
    for (mark, sentence), dtypes in shared.items():
        what, more = headline(sentence)
        yield f"- {report.door}, {', '.join(dtypes)}: {mark} {escaped(what)}" + (
            "" if more else "."
        )
        yield from (f"  - {escaped(text)}" for text in more)


def _sentence(result: DtypeResult) -> str:
    if result.verdict is Verdict.BIT_EXACT:
        return "equals the reference"
    found = result.counterexample
    if result.semantics is None and found is not None:
        return f"{result.sentence}; {found.why}"
    return result.sentence


def _made_with(reports: Sequence[Findings]) -> list[str]:
    lines = ["## Made with", "", f"- {processor()}"]
    if reports:
        first = reports[0]
        lines += [
            f"- {first.max_examples} random cases a dtype beside the fixed ones, seed {first.seed}",
            "- " + ", ".join(f"{name} {version}" for name, version in first.versions.items()),
        ]
    return lines


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The machine and the instructions that decide what its libraries fuse.

    >>> processor(Path("/nowhere")) == platform.machine()
    True
    """
    try:
        text = cpuinfo.read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    flags = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")
    return ", ".join([platform.machine(), *(x for x in FLAGS if x in flags.split())])
