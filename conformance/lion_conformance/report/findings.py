"""What was found of a port, as plain values that travel between processes and into every format."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass, field

from lion_conformance.ports.refusal import Refusal
from lion_conformance.ptx.sass import Assembly
from lion_conformance.report.counterexample import Counterexample
from lion_conformance.report.origin import Origin
from lion_conformance.runs.hand_over import HandOverResult
from lion_conformance.runs.tape import TapeResult
from lion_conformance.verdict.accepted_set import Width
from lion_conformance.verdict.cause import Cause
from lion_conformance.verdict.differences import Difference
from lion_conformance.verdict.verdict import Verdict
from lion_ref import SPEC_VERSION, Semantics, __version__

PACKAGES = (
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
    "llm-foundry",
    "zetascale",
    "flashoptim",
    "dadaptation",
    "deepspeed",
    "mlx",
    "tf_keras",
)


def versions() -> dict[str, str]:
    """The versions of what is installed, Python, the platform and the reference first."""
    found = {
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "lion-ref": __version__,  # of the code that judges, installed or not
        "SPEC.md": str(SPEC_VERSION),
    }
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


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
    example: tuple[str, ...] = ()
    """Where nothing explains the bits, an element at which they part from the nearest form."""
    differences: tuple[Difference, ...] = ()
    """A sample of the elements of θ' that differ, for the picture."""
    events: dict[str, int] = field(default_factory=dict)
    """Events of runs that were judged (SPEC C30), by their kind."""
    width: Width | None = None
    """How wide the accepted sets were."""
    share: float = 1.0
    """Of the cases and runs of a thorough judging, the share that there was time for."""
    triples: tuple[str, ...] = ()
    """The triples (θ, m, g) that were judged, as in bfloat16/float32/bfloat16."""
    not_taken: dict[str, str] = field(default_factory=dict)
    """Triples that the port does not take, with its words: not judged, and no shortfall."""
    refusals: tuple[Refusal, ...] = ()
    """Legal scalars at which the port raises; all else is said of the cases that it answered."""
    undeclared: tuple[Refusal, ...] = ()
    """Those that it does not declare: they are a shortfall."""
    cause: Cause | None = None
    """What is wrong, where it is rejected and that could be named."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found of one port."""

    port: str
    door: str
    device: str
    declared: Semantics | None
    results: tuple[DtypeResult, ...]
    seed: int
    max_examples: int
    versions: dict[str, str]
    tape: TapeResult | None = None
    hand_over: HandOverResult | None = None
    not_offered: tuple[str, ...] = ()
    """Events that the port does not take part in (docs/reference/runs.md), and so not judged."""
    mixed_unasked: bool = False
    """Whether the port says nothing of its dtypes, and no triple of several was asked for."""
    not_run: str = ""
    origin: Origin = field(default_factory=Origin)
    assembly: Assembly | None = None
    """What an assembler made of it, if it is a kernel whose machine code was read."""

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """The verdict for each dtype of θ."""
        return {result.dtype: result.verdict for result in self.results}

    @property
    def verdict(self) -> Verdict:
        """The worst of all that was judged."""
        parts = [result.verdict for result in self.results]
        parts += [part.verdict for part in (self.tape, self.hand_over) if part is not None]
        parts = [verdict for verdict in parts if verdict is not Verdict.NOT_TAKEN]
        if self.not_run or not parts:
            return Verdict.NOT_RUN
        return max(parts, key=lambda verdict: verdict.rank)

    @property
    def fell_short(self) -> bool:
        """Whether its bits fell short, or its machine code does what the port forbids."""
        return self.bits_fell_short or bool(self.assembly and self.assembly.beyond)

    @property
    def bits_fell_short(self) -> bool:
        """Whether some part that was judged does not keep to what the port declares."""
        parts = (*self.results, self.tape, self.hand_over)
        return not all(part.as_promised for part in parts if part is not None)

    @property
    def ok(self) -> bool:
        """Whether something was judged, and all of it keeps to what the port declares."""
        return self.verdict is not Verdict.NOT_RUN and not self.fell_short

    @property
    def counterexample(self) -> Counterexample | None:
        """The smallest case at fault, of the first dtype that has one."""
        return next((r.counterexample for r in self.results if r.counterexample), None)

    @property
    def cause(self) -> Cause | None:
        """What is wrong, of the first dtype in which that has a name."""
        return next((r.cause for r in self.results if r.cause), None)

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
