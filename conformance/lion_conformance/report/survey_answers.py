"""What a reader asks first of a published Lion: is it one, and what does it do differently?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from lion_conformance.ports.published.known import MISTAKES, NOTES
from lion_conformance.report.as_markdown import escaped
from lion_conformance.report.findings import DtypeResult, Findings
from lion_conformance.verdict.verdict import Verdict
from lion_ref import Semantics

HALVES: Final = ("float16", "bfloat16")
ANSWERED: Final = ("float32", "bfloat16", "float16", "float64")
"""The dtypes of the first table, those that most train in first."""


def answers(judged: Sequence[Findings]) -> Iterator[Sequence[str]]:
    """The heads, then a row for each library, by its first door."""
    yield "library", *ANSWERED, "what it does differently"
    first = {x.port: x for x in reversed(judged)}
    for report in (first[port] for port in dict.fromkeys(x.port for x in judged)):
        marks = {result.dtype: outcome(result) for result in report.results}
        version = _version(report)
        name = f"[{report.port}](#{report.port})" + (f" {version}" if version else "")
        yield name, *(marks.get(x, "–") for x in ANSWERED), _different(report)


def _version(report: Findings) -> str:
    """That of the package behind a port: keras, for keras-jax."""
    names = (report.port, report.port.partition("-")[0])
    return next((report.versions[x] for x in names if x in report.versions), "")


def _different(report: Findings) -> str:
    """What a user has to know of a library, in a sentence; what is wrong comes first."""
    wrong = [x for x in MISTAKES if report.port in x.families]
    links = (f"[{x.sentence}](reproductions/{x.page}.md)" for x in wrong)
    parts = [f"**wrong:** {', '.join(links)}"] if wrong else []
    parts += [NOTES[report.port]] if report.port in NOTES else []
    parts += [] if wrong else list(causes(report))
    by_dtype = {result.dtype: result for result in report.results}
    found = form(by_dtype.get("float32")) or next(filter(None, map(form, report.results)), None)
    if found is not None:
        parts += shortly(found)
    halves = in_half([by_dtype[x] for x in HALVES if x in by_dtype])
    if halves not in ("–", "?"):
        parts.append(f"in 16 bits: {halves}")
    wide = form(by_dtype.get("float64"))
    if wide is not None and wide.scalars == "float32" and not wrong:
        parts.append("in float64 its scalars are rounded to float32")
    return "; ".join(parts) + "." if parts else "nothing."


def causes(report: Findings) -> Iterator[str]:
    """What is wrong where no form says it: the judge's words, their page, and the dtypes."""
    shared: dict[str, list[str]] = {}
    for result in report.results:
        if result.cause is not None and result.semantics is None:
            page = f"reference/causes/{result.cause.code.value}.md"
            shared.setdefault(f"[{escaped(result.cause.line())}]({page})", []).append(result.dtype)
    for text, dtypes in shared.items():
        yield f"in {', '.join(dtypes)} {text}"


def in_short(judged: Sequence[Findings]) -> Iterator[str]:
    """How many are Lion, and which are not, in the dtypes that most train in."""
    first = {x.port: x for x in reversed(judged)}
    for dtype in ANSWERED[:2]:
        taken = {p: r for p, x in first.items() for r in x.results if r.dtype == dtype}
        # In the order of the table.
        ports = [port for port in dict.fromkeys(x.port for x in judged) if port in taken]
        other = [port for port in ports if not _is_lion(taken[port])]
        share = f"{len(ports) - len(other)} of {len(ports)}"
        told = f"; not {', '.join(other)}" if other else ""
        yield f"- In {dtype} {share} are Lion up to rounding{told}."


def _is_lion(result: DtypeResult) -> bool:
    """Whether it is Lion at ordinary hyperparameters at least."""
    if result.verdict is not Verdict.REJECTED and result.semantics is None:
        return True
    found = form(result)
    return found is not None and not found.is_other_algorithm


def shortly(found: Semantics) -> list[str]:
    """What a form does otherwise than the reference, in a few words each.

    >>> shortly(Semantics())
    []
    >>> shortly(Semantics(sign_fused="gradient", decay="factor", nan_sign="zero"))
    ['fuses multiply and add', 'decays θ before the step', 'takes sign(NaN) as 0']
    """
    lerp = found.sign_interpolation != "weighted"
    fused = found.sign_fused != "none" or found.momentum_fused != "none"
    said = {
        "interpolates as m + (1-β)·(g-m)" + (", fused" if fused else ""): lerp,
        "fuses multiply and add": fused and not lerp,
        "decays θ before the step": found.decay == "factor",
        "subtracts decay and step one after the other": found.decay == "product",
        "decays by λ, not η·λ": found.decay == "unscaled",
        "adds λ·θ to the gradient": found.decay == "coupled",
        "takes sign(NaN) as 0": found.nan_sign == "zero",
        "flushes subnormals to 0": found.subnormals != "keep",
    }
    return [words for words, holds in said.items() if holds]


def outcome(result: DtypeResult) -> str:
    """What became of one dtype, as a mark of the legend."""
    if result.verdict is Verdict.NOT_TAKEN:
        return "–"
    if result.verdict is Verdict.BIT_EXACT:
        return "✓"
    if result.semantics is not None:
        return "✗" if result.semantics.is_other_algorithm else "≈"
    mark = "✗" if result.verdict is Verdict.REJECTED else "≈"
    return mark + ("?" if result.ordinarily is None else "\\*")


def form(result: DtypeResult | None) -> Semantics | None:
    """The semantics that gives the bits, at ordinary hyperparameters at least."""
    if result is None:
        return None
    if result.verdict is Verdict.BIT_EXACT:
        return Semantics()
    return result.semantics or result.ordinarily


def in_half(halves: Sequence[DtypeResult]) -> str:
    """How the narrow dtypes are computed in: in float32, or each operation rounded."""
    said = dict.fromkeys(_rounding(form(x)) for x in halves if x.verdict is not Verdict.NOT_TAKEN)
    return " or ".join(said) or "–"


def _rounding(found: Semantics | None) -> str:
    if found is None:
        return "?"
    narrow = [found.precision != "compute", found.momentum_precision != "compute"]
    if not any(narrow):
        return "computed in float32, rounded once"
    what = "each operation" if all(narrow) else "of c and θ'" if narrow[0] else "of m'"
    rounded = what if all(narrow) else f"each operation {what}"
    return f"{rounded} rounded" + (", scalars too" if found.scalars == "storage" else "")
