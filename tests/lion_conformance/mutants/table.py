"""docs/reference/mutants.md: every wrong port with its verdict, the cases it took, and the reason.

python -m tests.lion_conformance.mutants.table    # writes it anew: some minutes
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lion_conformance import Verdict, verify
from tests.lion_conformance.mutants.catalogue import Mutant, load

PATH: Final = Path(__file__).parents[3] / "docs" / "reference" / "mutants.md"

WORDS: Final = {
    "algebra": "Another formula",
    "decay": "The decay",
    "sign": "The sign",
    "scalars": "The scalars",
    "rounding": "Roundings",
    "values": "Values of one kind",
    "memory": "Sizes, strides, memory",
    "layout": "Layouts of several axes",
    "dtypes": "Dtypes",
    "state": "Hidden state of a callable",
    "sessions": "Sessions: between steps, between tensors",
    "runs": "Runs: read seldom, side by side, saved, frozen, long",
    "lists": "Lists of tensors",
    "kept": "Kept beside θ and m",
    "crossed": "Where two events meet; long lists; near scalars",
    "concurrency": "Races and chance",
}

BEFORE: Final = """# Wrong ports, and what the judge says

{count} ports with one mistake each, all judged by `lion_conformance.verify` in its default budget
and in every triple of dtypes with the θ that is named. {rejected} are rejected. {exact} are no
mistakes but other roundings that have a name, and are told by it. {accepted} are roundings of Lion
that no row of [SPEC C16](../../SPEC.md) has: each of their elements is one that some row gives,
so C23 accepts it. {refusing} is right wherever it answers, and falls short for the legal scalars
that it refuses.

*said to be wrong* is what `verify` prints first, `Report.cause`; {named} of the {rejected} that are
rejected have a cause. *cases* is how many it took until the first rejection; a case has up to
262,145 elements. The ports are in
`tests/lion_conformance/mutants`, and `make test` judges them
all. This page is written by

<!-- not run: it judges them all, which takes minutes -->
```console
$ python -m tests.lion_conformance.mutants.table
```

What cannot be had in the large is tried in small: an index that wraps at 2³¹ is played by ones that
wrap at 2¹⁶, 2¹⁷ and 2¹⁸. No array of the default budget has more than 262,145 elements, so a port
whose first wrong element lies behind that is not caught. A mistake that needs one element in ten
million, or one number of a whole binade, is caught by luck alone; so is one that happens once in a
thousand calls.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What the judge said of one mutant."""

    name: str
    wrong: str
    dtype: str
    verdict: str
    said: str
    cases: str
    reason: str

    @classmethod
    def of(cls, mutant: Mutant) -> Row:
        """Judge it, and name what is wrong with it."""
        report = verify(mutant.port(), dtypes=[mutant.dtype])
        (result,) = report.results
        rejected = report.verdict is Verdict.REJECTED
        return cls(
            mutant.name,
            mutant.wrong,
            mutant.dtype,
            report.verdict.value,
            said=report.cause.line() if report.cause else "–" if rejected else report.sentence,
            cases=str(result.cases) if rejected else "–",
            reason=result.counterexample.why if result.counterexample else "",
        )

    def __str__(self) -> str:
        cells = (
            self.name,
            self.wrong,
            self.dtype,
            self.verdict,
            self.said,
            self.cases,
            self.reason,
        )
        return f"| {' | '.join(map(escaped, cells))} |"


def escaped(text: str) -> str:
    """Text as a cell of a table in Markdown."""
    return text.replace("|", r"\|")


def page(rows: dict[str, list[Row]]) -> str:
    """The whole page: a table for each theme."""
    counts = Counter(row.verdict for theme in rows.values() for row in theme)
    parts = [
        BEFORE.format(
            count=counts.total(),
            rejected=counts[Verdict.REJECTED.value],
            named=sum(x.said != "–" for theme in rows.values() for x in theme if x.cases != "–"),
            exact=counts[Verdict.BIT_EXACT_AS.value],
            accepted=counts[Verdict.ACCEPTED.value],
            refusing=counts[Verdict.BIT_EXACT.value],
        )
    ]
    for theme, found in rows.items():
        lines = [
            "| port | what is wrong | θ | verdict | said to be wrong | cases | counterexample |",
            "|---|---|---|---|---|---|---|",
        ]
        parts.append(f"\n## {WORDS[theme]}\n\n" + "\n".join([*lines, *map(str, found)]) + "\n")
    return "".join(parts)


def main() -> None:
    """Judge all and write the page."""
    rows: dict[str, list[Row]] = {}
    for mutant in load():
        rows.setdefault(mutant.theme, []).append(Row.of(mutant))
        print(f"{mutant.theme}: {mutant}: {rows[mutant.theme][-1].verdict}", flush=True)  # noqa: T201
    PATH.write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
