"""What was found, as plain values that travel between processes and into every format."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lion_conformance.accepted_set import AcceptedSet, Width, accepted_sets
from lion_conformance.judge import Failure, Verdict, first_difference
from lion_conformance.layouts import layout_of
from lion_conformance.report.origin import Origin
from lion_ref import Semantics, step
from lion_ref.arithmetic import bits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lion_conformance.cases import Case, ScalarArguments
    from lion_conformance.differences import Difference
    from lion_conformance.refusal import Refusal
    from lion_conformance.trajectory import RunFailure

    Array = NDArray[Any]

PACKAGES = (
    "lion-ref",
    "numpy",
    "ml_dtypes",
    "torch",
    "triton",
    "jax",
    "jaxlib",
    "optax",
    "tensorflow",
    "keras",
    "array-api-compat",
    "array-api-strict",
    "dask",
    "hypothesis",
    "lion-pytorch",
    "pytorch_optimizer",
    "torch-optimi",
    "timm",
    "bitsandbytes",
    "adv_optm",
    "mlx",
)


def versions() -> dict[str, str]:
    """The versions of what is installed, Python and the platform first."""
    found = {"python": platform.python_version(), "platform": platform.platform(terse=True)}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True, slots=True)
class Value:
    """One number: decimal for the reader, hexadecimal bits for the machine."""

    decimal: str
    hex: str

    @classmethod
    def of(cls, array: Any) -> Value:
        """The array's first element."""
        flat = np.asarray(array).reshape(-1)
        width = 2 * flat.dtype.itemsize
        return cls(decimal=str(flat[0]), hex=f"0x{int(bits(flat)[0]):0{width}x}")


@dataclass(frozen=True, slots=True)
class Accepted:
    """What is accepted of one element's result: any number of an interval, or an outcome."""

    intervals: tuple[tuple[Value, Value], ...]
    outcomes: tuple[str, ...]
    """Of nan, inf and -inf."""

    @classmethod
    def of(cls, accepted: AcceptedSet, index: int) -> Accepted:
        """The set of one element, from the lowest interval."""
        found = accepted.outcomes
        masks = (("nan", found.nan), ("inf", found.positive), ("-inf", found.negative))
        return cls(
            intervals=tuple(
                (Value.of(low), Value.of(high)) for low, high in accepted.intervals(index)
            ),
            outcomes=tuple(name for name, mask in masks if mask[index]),
        )

    def words(self) -> str:
        """The set in one line."""
        parts = [
            f"{low.hex} {low.decimal}"
            if low == high
            else f"{low.hex} {low.decimal} to {high.hex} {high.decimal}"
            for low, high in self.intervals
        ]
        return " or ".join([*parts, *self.outcomes])


@dataclass(frozen=True, slots=True)
class Counterexample:
    """The smallest case found at fault: one element, unless it takes more to fail.

    Where a single step is right and a run of several is not, the case is the last event of a run.
    """

    why: str
    dtypes: dict[str, str]
    scalars: ScalarArguments
    shape: tuple[int, ...]
    inputs: dict[str, Value]
    expected: dict[str, Value]
    """The bits that the port promises, or the reference's."""
    got: dict[str, Value]
    """Empty where the port returned nothing."""
    again: dict[str, Value] = field(default_factory=dict)
    """What a second call with the same inputs returned, where it returned other bits."""
    run: tuple[str, ...] = ()
    """A run as text: where each tensor starts, then each event; empty for a single step."""
    accepted: dict[str, Accepted] = field(default_factory=dict)
    """Empty where the port promises very bits, and breaks that promise alone."""
    index: int = 0
    """Which element of the flat case is shown."""
    layout: dict[str, str] = field(default_factory=dict)
    """How the arrays lie in memory, those that do not in C's order: see LAYOUTS."""
    alone: bool = True
    """Whether the port fails on this case alone, not only after those before it."""
    promised: Semantics | None = None
    """The semantics whose bits are expected, where a promise of bits is what was broken."""
    case: Case | None = field(default=None, compare=False, repr=False)
    """All its elements, for a reproduction."""

    @classmethod
    def of(cls, failure: Failure | RunFailure) -> Counterexample:
        """The failure as plain values, for its first element at fault."""
        if isinstance(failure, Failure):
            return cls._of_step(failure)
        step = cls._of_step(failure.last)
        return replace(step, why=failure.why, run=tuple(failure.run.lines()), alone=False)

    @classmethod
    def _of_step(cls, failure: Failure) -> Counterexample:
        case = failure.case
        names = ("param", "momentum", "grad")
        index = first_difference(failure) or 0
        at = case.at(index) if case.param.size else case
        expected = failure.expected_at(index) or _expected(at, failure.promised)
        accepted = {}
        if failure.promised is None and failure.expected is None and case.param.size:
            sets = zip(names[:2], accepted_sets(at), strict=True)
            accepted = {name: Accepted.of(found, 0) for name, found in sets}
        return cls(
            why=failure.why,
            dtypes=dict(zip(names, case.triple, strict=True)),
            scalars=case.scalars,
            shape=tuple(case.param.shape),
            inputs={n: Value.of(x) for n, x in zip(names, at.arrays, strict=True) if x.size},
            expected={n: Value.of(x) for n, x in zip(names[:2], expected, strict=True) if x.size},
            got=_values(failure.got, index),
            again=_values(failure.again, index),
            accepted=accepted,
            index=index,
            layout=_layout(case),
            alone=failure.alone,
            promised=failure.promised,
            case=case,
        )

    def results(self) -> tuple[Array, Array]:
        """What is expected of every element of the case: (θ', m')."""
        if self.case is None:
            raise ValueError("a counterexample without its case has no results")
        return _expected(self.case, self.promised)

    def layout_words(self) -> list[str]:
        """Which arrays do not lie in C's order, and how they do; nothing if all do."""
        return [f"{name} {LAYOUTS[layout]}" for name, layout in self.layout.items()]

    def lines(self) -> list[str]:
        """The counterexample as text, one fact a line."""
        scalars = ", ".join(f"{name}={value!r}" for name, value in self.scalars.items())
        where = "".join(f", {words}" for words in self.layout_words())
        which = "" if self.shape in ((), (1,)) else f", element {self.index}"
        lines = [self.why, *self.run, f"shape {self.shape}{where}{which}, {scalars}"]
        if not (self.alone or self.again or self.run):
            lines.append(
                "no single call shows it: the port keeps something between calls, or its bits vary"
            )
        for kind, values in (
            ("given", self.inputs),
            ("expected", self.expected),
            ("got", self.got),
            ("then", self.again),
        ):
            for name, value in values.items():
                dtype = self.dtypes[name]
                lines.append(f"{kind:8} {name:8} {dtype:8} {value.hex:18} {value.decimal}")
            if kind == "expected":
                lines += [f"accepted {name:8} {x.words()}" for name, x in self.accepted.items()]
        return lines


LAYOUTS = {
    "transposed": "in Fortran's order",
    "every_second": "with gaps along the last axis",
    "shifted": "one element behind its allocation's beginning",
    "columns": "as the first columns of a wider array",
    "channels_last": "with the second axis innermost",
    "repeated": "with a stride of 0 along the last axis",
    "rows_repeated": "with a stride of 0 along the first axis",
    "one_repeated": "with no stride but 0",
    "read_only": "read-only",
}


def _layout(case: Case) -> dict[str, str]:
    names = zip(("param", "momentum", "grad"), case.arrays, strict=True)
    found = {name: layout_of(array).__name__ for name, array in names}
    return {name: layout for name, layout in found.items() if layout in LAYOUTS}


def _values(results: tuple[Array, Array] | None, index: int) -> dict[str, Value]:
    """θ' and m' of one element; empty where there is none."""
    if results is None:
        return {}
    named = zip(("param", "momentum"), results, strict=True)
    return {name: Value.of(x.reshape(-1)[index : index + 1]) for name, x in named if x.size}


def _expected(case: Case, promised: Semantics | None) -> tuple[Array, Array]:
    return step(*case.arrays, **case.scalars, semantics=promised or Semantics())


@dataclass(frozen=True, slots=True)
class DtypeResult:
    """The verdict on one port for one dtype of θ."""

    dtype: str
    """That of θ."""
    verdict: Verdict
    as_promised: bool
    cases: int
    elements: int
    port_seconds: float
    judge_seconds: float
    reasons: dict[str, int] = field(default_factory=dict)
    counterexample: Counterexample | None = None
    semantics: Semantics | None = None
    """What the diagnosis found, where bits differ; None if nothing explains them."""
    ordinarily: Semantics | None = None
    """What explains them at ordinary hyperparameters, where nothing does at all."""
    sentence: str = ""
    differences: tuple[Difference, ...] = ()
    """A sample of the elements of θ' that differ, for the picture."""
    events: dict[str, int] = field(default_factory=dict)
    """Events of runs that were judged (SPEC C30), by their kind."""
    width: Width | None = None
    """How wide the accepted sets were."""
    triples: tuple[str, ...] = ()
    """The triples (θ, m, g) that were judged, as in bfloat16/float32/bfloat16."""
    not_taken: dict[str, str] = field(default_factory=dict)
    """Triples that the port does not take, with its words: not judged, and no shortfall."""
    refusals: tuple[Refusal, ...] = ()
    """Legal scalars at which the port raises; all else is said of the cases that it answered."""
    undeclared: tuple[Refusal, ...] = ()
    """Those that it does not declare: they are a shortfall."""


@dataclass(frozen=True, slots=True)
class TapeResult:
    """The verdict on one port over the recorded training run."""

    verdict: Verdict
    as_promised: bool
    steps: int
    elements: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` found of one port."""

    port: str
    door: str
    device: str
    declared: Semantics | None
    results: tuple[DtypeResult, ...]
    seed: int
    max_examples: int
    versions: dict[str, str]
    tape: TapeResult | None = None
    not_offered: tuple[str, ...] = ()
    """Events that the port does not take part in (docs/trajectories.md), and so not judged."""
    mixed_unasked: bool = False
    """Whether the port says nothing of its dtypes, and no triple of several was asked for."""
    not_run: str = ""
    origin: Origin = field(default_factory=Origin)

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """The verdict for each dtype of θ."""
        return {result.dtype: result.verdict for result in self.results}

    @property
    def verdict(self) -> Verdict:
        """The worst of all that was judged."""
        parts = [result.verdict for result in self.results]
        parts += [] if self.tape is None else [self.tape.verdict]
        parts = [verdict for verdict in parts if verdict is not Verdict.NOT_TAKEN]
        if self.not_run or not parts:
            return Verdict.NOT_RUN
        return max(parts, key=lambda verdict: verdict.rank)

    @property
    def fell_short(self) -> bool:
        """Whether some part that was judged does not keep to what the port declares."""
        parts: list[DtypeResult | TapeResult] = [*self.results]
        if self.tape is not None:
            parts.append(self.tape)
        return not all(part.as_promised for part in parts)

    @property
    def ok(self) -> bool:
        """Whether something was judged, and all of it keeps to what the port declares."""
        return self.verdict is not Verdict.NOT_RUN and not self.fell_short

    @property
    def counterexample(self) -> Counterexample | None:
        """The smallest case at fault, of the first dtype that has one."""
        return next((r.counterexample for r in self.results if r.counterexample), None)

    @property
    def semantics(self) -> Semantics | None:
        """What explains the port's bits: canonical, declared, diagnosed, or nothing known."""
        if self.verdict is Verdict.BIT_EXACT:
            return Semantics()
        if self.verdict is Verdict.BIT_EXACT_AS and self.declared is not None:
            return self.declared
        differ = [x for x in self.results if x.verdict is not Verdict.BIT_EXACT]
        found = {result.semantics for result in differ if result.sentence}
        return found.pop() if len(found) == 1 else None

    @property
    def sentence(self) -> str:
        """The diagnosis in a sentence, one for each dtype where they differ; may be empty."""
        sentences: dict[str, list[str]] = {}
        for result in self.results:
            if result.sentence:
                sentences.setdefault(result.sentence, []).append(result.dtype)
        if len(sentences) == 1:
            return next(iter(sentences))
        return "; ".join(f"{', '.join(dtypes)}: {text}" for text, dtypes in sentences.items())

    def words(self, verdict: Verdict) -> str:
        """A verdict as SPEC C29 words it."""
        if verdict is Verdict.BIT_EXACT_AS:
            named = self.declared or self.semantics
            return f"bit-exact as {named.describe() if named else 'another semantics a dtype'}"
        if verdict is Verdict.NOT_RUN:
            return f"not run: {self.not_run or 'it takes none of the dtypes asked for'}"
        return str(verdict.value)

    def to_json(self) -> str:
        """This report as JSON."""
        from lion_conformance.report.as_json import dumps

        return dumps([self])

    def to_markdown(self) -> str:
        """This report as Markdown."""
        from lion_conformance.report.as_markdown import render

        return render([self])

    def to_html(self) -> str:
        """This report as one self-contained page."""
        from lion_conformance.report.as_html import render

        return render([self])

    def reproduction(self) -> str:
        """A Python file that exits with 1 while the port is wrong; empty if nothing falls short."""
        from lion_conformance.report.reproduction import reproduction

        return reproduction(self)
