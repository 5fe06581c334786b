"""Judge a port's answers to the vectors, group by group."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

import lion_ref
from lion_conformance.cases.case import Case
from lion_conformance.ports.declaration import not_as_declared, semantics_of
from lion_conformance.ports.hexadecimal import decode
from lion_conformance.vectors.build import NAMES, run_long
from lion_conformance.verdict.verdict import Verdict
from lion_ref import CANONICAL, STORAGE_DTYPES, Semantics, legal_triples
from lion_ref.acceptance import judge
from lion_ref.arithmetic import Array, all_same_bits

Results = list[tuple[Case, tuple[Array, Array]]]

KEYS: Final = ("format", "version", "spec_version", "port", "dtypes", "semantics", "answers")


@dataclass(frozen=True, slots=True)
class GroupResult:
    """The verdict on one group, and what there is to say of it in one line."""

    id: str
    verdict: Verdict
    ok: bool
    """Whether the answers are what was declared, or accepted where nothing was."""
    why: str = ""


def check(vectors: dict[str, Any], answers: dict[str, Any]) -> list[GroupResult]:
    """A result for each group of the dtypes that the answers are about.

    Args:
        vectors: a document as `document.load` gives it.
        answers: {"answers": {group id: [line, …]}}, and optionally the "dtypes" (triples θ, m, g)
            and the "semantics" that the port declares; docs/reference/vectors.md has the lines.

    Raises:
        ValueError: answers that are not of that form; a wrong or malformed line is no error here,
            but makes its group a rejected one.
    """
    declared = _declared(answers)
    triples = _triples(answers)
    given: Any = answers.get("answers")
    if not isinstance(given, dict):
        legal = "an object {group id: [line, ...]}"
        raise ValueError(f'"answers" is not legal; legal: {legal}')  # noqa: TRY004  (the file's fault)
    known = {group["id"] for group in vectors["groups"]}
    for name, lines in given.items():
        if name not in known:
            raise ValueError(
                f"answers: there is no group {name[:80]!r} in the vectors; legal: theirs"
            )
        if not (isinstance(lines, list) and all(isinstance(x, str) for x in lines)):
            raise ValueError(f"answers: group {name!r} is not legal; legal: a list of lines")
    wanted = [g for g in vectors["groups"] if tuple(g["dtypes"].values()) in triples]
    return [_judged(group, given.get(group["id"]), declared) for group in wanted]


def _declared(answers: dict[str, Any]) -> Semantics | None:
    for key in answers:
        if key not in KEYS:
            raise ValueError(
                f"{reprlib.repr(key)} is not legal in answers; legal: {', '.join(KEYS)}"
            )
    fields = answers.get("semantics")
    if fields is None:
        return None
    if not isinstance(fields, dict):
        legal = "an object {choice: value}"
        raise ValueError(f'"semantics" is not legal; legal: {legal}')  # noqa: TRY004  (the file's fault)
    try:
        return semantics_of(fields)
    except ValueError as error:
        raise ValueError(f'"semantics" is not legal: {error}') from error


def _triples(answers: dict[str, Any]) -> set[tuple[str, ...]]:
    given = answers.get("dtypes")
    if given is None:
        return set(legal_triples())
    legal = [list(triple) for triple in legal_triples()]
    if not isinstance(given, list) or not given or any(triple not in legal for triple in given):
        shown = reprlib.repr(given)  # whatever depth or length it has
        raise ValueError(
            f'"dtypes"={shown} is not legal; legal: a list of triples [θ, m, g] of dtypes'
        )
    return {tuple(triple) for triple in given}


def _judged(
    group: dict[str, Any], lines: list[str] | None, declared: Semantics | None
) -> GroupResult:
    def result(verdict: Verdict, why: str = "", *, ok: bool = True) -> GroupResult:
        return GroupResult(group["id"], verdict, ok, why)

    if lines is None:
        return result(Verdict.NOT_RUN, "the file has no answers to this group", ok=False)
    if group["kind"] == "long":
        return _judged_hashes(group, lines, declared)
    try:
        pairs = _results(group, lines)
    except ValueError as error:
        return result(Verdict.REJECTED, str(error), ok=False)
    broken = ""
    if declared is not None and not _all_equal(pairs, declared):
        broken = not_as_declared(declared)
    if _all_equal(pairs, CANONICAL):
        return result(Verdict.BIT_EXACT, broken, ok=not broken)
    if declared is not None and not broken and not declared.is_other_algorithm:
        return result(Verdict.BIT_EXACT_AS, declared.describe())
    outside = _first_outside(pairs)
    if outside:
        return result(Verdict.REJECTED, outside, ok=False)
    return result(Verdict.ACCEPTED, broken or _heard(group, lines), ok=declared is None)


def _results(group: dict[str, Any], lines: list[str]) -> Results:
    """What the port was given at each step, and what it answered."""
    dtypes = [STORAGE_DTYPES[group["dtypes"][name]] for name in NAMES]
    for index, line in enumerate(lines):
        if "\n" in line:
            raise ValueError(f"line {index + 1} is {line[:80]!r}; legal: one answer a string")
    text = "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
    if group["kind"] != "trajectory":
        count = len(group["cases"])
        columns = [
            _array([case[name] for case in group["cases"]], dtype)
            for name, dtype in zip(NAMES, dtypes, strict=True)
        ]
        case = _case(columns, group["scalars"])
        param, momentum = decode(text, dtypes[:2], count)
        return [(case, (param, momentum))]
    elements = len(group["param"])
    answered = decode(text, dtypes[:2], elements * len(group["steps"]))
    before = [_array(group[name], dtype) for name, dtype in zip(NAMES[:2], dtypes[:2], strict=True)]
    found: Results = []
    for t, step in enumerate(group["steps"]):
        after = [x[t * elements : (t + 1) * elements] for x in answered]
        scalars = group["betas"] | {name: step[name] for name in ("lr", "weight_decay")}
        case = _case([*before, _array(step["grad"], dtypes[2])], scalars)
        found.append((case, (after[0], after[1])))
        before = after
    return found


def _array(patterns: Sequence[str], dtype: np.dtype[Any]) -> Array:
    return decode("".join(f"{x}\n" for x in patterns).encode(), [dtype], len(patterns))[0]


def _case(arrays: Sequence[Array], scalars: dict[str, str]) -> Case:
    param, momentum, grad = arrays
    values = {name: float(_array([x], STORAGE_DTYPES["float64"])[0]) for name, x in scalars.items()}
    return Case(param, momentum, grad, **values)


def _all_equal(pairs: Results, semantics: Semantics) -> bool:
    return all(
        all_same_bits(got, expected)
        for case, results in pairs
        for got, expected in zip(
            results,
            lion_ref.step(*case.arrays, **case.scalars, semantics=semantics),
            strict=True,
        )
    )


def _first_outside(pairs: Results) -> str:
    for t, (case, got) in enumerate(pairs):
        judgement = judge(*case.arrays, *got, **case.scalars)
        for name, part in (("θ'", judgement.param), ("m'", judgement.momentum)):
            outside = np.flatnonzero(~part.accepted)
            if outside.size:
                where = f"step {t + 1}, " if len(pairs) > 1 else ""
                return (
                    f"{where}{name}: {outside.size} of {case.param.size} elements lie outside the "
                    f"accepted set, the first at index {outside[0]}"
                )
    return ""


def _heard(group: dict[str, Any], lines: list[str]) -> str:
    """Whose bits a canary has."""
    names = [
        Semantics(**other["semantics"]).describe()
        for other in group.get("others", ())
        if lines[0].lower().split() == [other["new_param"], other["new_momentum"]]
    ]
    return f"has the bits of: {' or of: '.join(names)}" if names else ""


def _judged_hashes(
    group: dict[str, Any], lines: list[str], declared: Semantics | None
) -> GroupResult:
    steps = [checkpoint["step"] for checkpoint in group["checkpoints"]]
    answered = [tuple(line.lower().split()) for line in lines]
    if len(lines) != len(steps) or any([len(x) for x in pair] != [64, 64] for pair in answered):
        why = f"legal: {len(steps)} lines, two SHA-256 each"
        return GroupResult(group["id"], Verdict.REJECTED, ok=False, why=why)
    canonical = [(c["param_sha256"], c["momentum_sha256"]) for c in group["checkpoints"]]
    param, momentum, grad = (group["dtypes"][name] for name in NAMES)
    exact = answered == canonical
    if declared is not None and declared != CANONICAL:
        as_declared = answered == run_long((param, momentum, grad), group["seed"], declared)
    else:
        as_declared = exact
    if exact:
        why = "" if declared is None or as_declared else not_as_declared(declared)
        return GroupResult(group["id"], Verdict.BIT_EXACT, ok=as_declared, why=why)
    if declared is not None and as_declared and not declared.is_other_algorithm:
        return GroupResult(group["id"], Verdict.BIT_EXACT_AS, ok=True, why=declared.describe())
    first = next(t for t, a, c in zip(steps, answered, canonical, strict=True) if a != c)
    why = f"differs at the checkpoint of step {first}"
    if declared is not None:
        return GroupResult(
            group["id"], Verdict.REJECTED, ok=False, why=f"{why} from what was declared"
        )
    # Another rounding of Lion ends in other bits as well; a hash cannot tell it from a wrong port.
    why += "; a hash cannot say whether that is accepted, unless the semantics are declared"
    return GroupResult(group["id"], Verdict.NOT_RUN, ok=False, why=why)


def summary(results: Sequence[GroupResult]) -> Iterator[str]:
    """A line for each group that is not bit-exact, then the counts."""
    for result in results:
        if result.verdict is not Verdict.BIT_EXACT or not result.ok:
            mark = "" if result.ok else " (!)"
            yield f"{result.id}: {result.verdict.value}{mark}" + (result.why and f": {result.why}")
    counts = {v: sum(r.verdict is v for r in results) for v in Verdict}
    parts = [f"{count} {verdict.value}" for verdict, count in counts.items() if count]
    yield f"{len(results)} groups: {', '.join(parts)}"
