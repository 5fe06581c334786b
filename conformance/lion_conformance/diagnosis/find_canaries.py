"""Search the canaries: for each choice and dtype the simplest element on which it alone shows.

    python -m lion_conformance.diagnosis.find_canaries

writes data/canaries.json anew, byte for byte the same. Elements come from the probes; the one that
stirs the fewest other choices is taken, and its values are made shorter for as long as it sings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from lion_conformance.cases.case import Case
from lion_conformance.diagnosis import probes
from lion_conformance.diagnosis.canaries import PATH, Canary, questions
from lion_conformance.verdict.smallest_case import simpler_cases
from lion_ref import CANONICAL, STORAGE_DTYPES, Semantics, step
from lion_ref.arithmetic import Array, bits, same_bits
from lion_ref.semantics import choices

OUTPUTS: Final = ("param", "momentum")


def search() -> Iterator[Canary]:
    """A canary for each question and dtype, where there is one."""
    for beside, choice in questions():
        for dtype in STORAGE_DTYPES:
            found = _first(beside, choice, dtype)
            if found is not None:
                yield found


def single_choices() -> dict[str, Semantics]:
    """Every rounding of Lion that is one choice away from the canonical update."""
    found = {}
    for name, options in choices().items():
        for option in options[1:]:
            try:
                semantics = Semantics(**{name: option})
            except ValueError:
                continue
            if not semantics.is_other_algorithm:
                found[f"{name}={option}"] = semantics
    return found


def stirred(case: Case, output: int, choice: dict[str, Any]) -> tuple[str, ...]:
    """The other single choices that change the output of a case of one element."""
    own = {f"{name}={value}" for name, value in choice.items()}
    canonical = outputs(case, CANONICAL)[output]
    return tuple(
        name
        for name, semantics in single_choices().items()
        if name not in own and not same_bits(outputs(case, semantics)[output], canonical).all()
    )


def outputs(case: Case, semantics: Semantics) -> tuple[Array, Array]:
    """(θ', m') of the reference under a semantics."""
    return step(*case.arrays, **case.scalars, semantics=semantics)


def _first(beside: dict[str, Any], choice: dict[str, Any], dtype: str) -> Canary | None:
    without, with_choice = Semantics(**beside), Semantics(**(beside | choice))
    best: tuple[int, Case, int] | None = None
    for case in probes.cases((dtype, dtype, dtype)):
        pairs = zip(outputs(case, without), outputs(case, with_choice), strict=True)
        others = list(single_choices().items())
        own = {f"{name}={value}" for name, value in choice.items()}
        for output, (a, b) in enumerate(pairs):
            differs = ~same_bits(a, b)
            if not differs.any():
                continue
            canonical = outputs(case, CANONICAL)[output]
            count = sum(
                (~same_bits(outputs(case, s)[output], canonical)).astype(int)
                for name, s in others
                if name not in own
            )
            count = np.where(differs, count, 99) if not beside else np.where(differs, 0, 99)
            index = int(np.argmin(count))
            if best is None or count[index] < best[0]:
                best = int(count[index]), case.at(index), output
        if best is not None and best[0] == 0:
            break
    if best is None:
        return None
    return _canary(beside, choice, dtype, _shortened(best[1], best[2], beside, choice), best[2])


def _shortened(case: Case, output: int, beside: dict[str, Any], choice: dict[str, Any]) -> Case:
    """The case with each value as short as the canary lets it be."""
    limit = 0 if beside else len(stirred(case, output, choice))

    def sings(simpler: Case) -> bool:
        without, with_choice = Semantics(**beside), Semantics(**(beside | choice))
        a, b = (outputs(simpler, s)[output] for s in (without, with_choice))
        if same_bits(a, b).all():
            return False
        return bool(beside) or len(stirred(simpler, output, choice)) <= limit

    progress = True
    while progress:
        progress = False
        for simpler in simpler_cases(case):
            if sings(simpler):
                case, progress = simpler, True
                break
    return case


def _canary(
    beside: dict[str, Any], choice: dict[str, Any], dtype: str, case: Case, output: int
) -> Canary:
    def pattern(array: Array) -> str:
        return f"{int(bits(array)[0]):0{2 * array.dtype.itemsize}x}"

    param, momentum, grad = map(pattern, case.arrays)
    without, with_choice = (
        pattern(outputs(case, s)[output])
        for s in (Semantics(**beside), Semantics(**(beside | choice)))
    )
    return Canary(
        beside,
        choice,
        dtype,
        (param, momentum, grad),
        case.scalars,
        OUTPUTS[output],
        without,
        with_choice,
        () if beside else stirred(case, output, choice),
    )


def dumps(canaries: list[Canary]) -> str:
    """The canaries as JSON, one a line."""
    rows = ",\n".join("    " + json.dumps(asdict(canary)) for canary in canaries)
    return f'{{\n  "version": 1,\n  "canaries": [\n{rows}\n  ]\n}}\n'


def main() -> None:
    """Write the canaries where the package reads them."""
    PATH.write_text(dumps(list(search())), encoding="utf-8")


if __name__ == "__main__":
    main()
