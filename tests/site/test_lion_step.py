"""The step in JavaScript that the pages show: every bit is lion_ref's, and a wrong one is told."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lion_conformance.cases.case import Case
from lion_conformance.diagnosis import canaries
from lion_ref.arithmetic import Array
from tests.adversarial import elements, hyperparameters
from tests.site.engines import ENGINES, LION_STEP, Engine, in_node, replaced
from tests.site.steps import EXCESS, NAMES, expected, hexadecimal, offered, semantics_of

pytestmark = pytest.mark.clause("C5", "C16", "C17", "C18", "C19", "C20", "C21", "C22")

SETS = {"float32": 60, "bfloat16": 20}
"""Draws of four scalars, and for each of them..."""
SIZE = 40
"""...so many elements."""


def f32(value: float) -> Array:
    return np.array([value], np.float32)


BELOW_ONE = 1 - 2.0**-23
TIE = Case(
    *(f32(2**24 + 2), f32(1 + 2.0**-23), f32(2**47 + 2**24)),
    lr=BELOW_ONE,
    beta1=BELOW_ONE,
    beta2=BELOW_ONE,
    weight_decay=2.0**-47,
)
"""Fused, a product just short of half an ulp: in double that is lost, and the sum becomes a tie."""

COUNT = """
function differing(cases, told) {
  const { step, FORMATS } = globalThis.lionStep;
  const counts = {};
  for (const { dtype, names, choices, scalars, theta, m, g, expected } of cases) {
    const read = FORMATS[dtype].value;
    const [lr, beta1, beta2, weight_decay] = scalars.map(FORMATS.float64.value);
    const inputs = { lr, beta1, beta2, weight_decay, dtype };
    const asked = choices.filter((choice) => told === null || told.includes(choice));
    asked.forEach((choice) => theta.forEach((_, i) => {
      [inputs.theta, inputs.m, inputs.g] = [theta[i], m[i], g[i]].map(read);
      const done = step(inputs, choice);
      const seen = (choice ? ["c"] : names).map((name) => done.operations[name].bits);
      seen.push(...[done.param, done.momentum].map(FORMATS[dtype].bits));
      if (seen.join(" ") !== expected[choice][i]) {
        const name = `${dtype}: ${choice}`;
        counts[name] = (counts[name] || 0) + 1;
      }
    }));
  }
  return counts;
}
answer(SCRIPTS.map(([script, told]) => {
  (0, eval)(script);
  return [Object.entries(globalThis.lionStep.CHOICES), differing(CASES, told)];
}));
"""
"""For each script its choices with their words, and in how many elements what is not lion_ref's.

A script comes with the choices to ask it for, the reference as ""; null is all of them.
"""


def asked_of(case: Case) -> list[str]:
    """The reference, and every choice that has a meaning in its dtype."""
    left_out = [] if case.param.dtype == np.float32 else [EXCESS]
    return ["", *(name for name in offered() if name not in left_out)]


@lru_cache(maxsize=1)
def cases() -> list[Case]:
    """Adversarial elements, and the canaries of every choice."""
    rng = np.random.default_rng(20)
    drawn = [TIE]
    for dtype, count in SETS.items():
        drawn += canaries.cases(dtype)
        for _ in range(count):
            scalars = hyperparameters(rng)
            betas = {name: scalars[name] for name in ("beta1", "beta2")}
            theta, m, g = elements(rng, (dtype, dtype, dtype), SIZE, **betas)
            drawn.append(Case(theta, m, g, **scalars))
    return drawn


@lru_cache(maxsize=1)
def questions() -> list[dict[str, Any]]:
    """The cases as JSON has them, and what lion_ref gives."""
    everything = []
    for case in cases():
        asked: dict[str, Any] = {"dtype": case.param.dtype.name, "names": NAMES}
        asked["theta"], asked["m"], asked["g"] = map(hexadecimal, case.arrays)
        asked["scalars"] = hexadecimal(np.array([*case.scalars.values()]))
        asked["choices"] = asked_of(case)
        asked["expected"] = {choice: expected(case, choice) for choice in asked["choices"]}
        everything.append(asked)
    return everything


def judged(
    scripts: list[tuple[str, list[str] | None]], engine: Engine, folder: Path, every: int
) -> list[Any]:
    """What COUNT answers, by one in so many of the cases."""
    given = {"SCRIPTS": scripts, "CASES": questions()[::every]}
    constants = [f"const {name} = {json.dumps(value)};\n" for name, value in given.items()]
    answer = engine("".join(constants) + COUNT, folder)
    assert isinstance(answer, list), answer
    return answer


# A browser takes longer to start, and runs the same language.
@pytest.mark.parametrize(("engine", "every"), [("node", 1), ("browser", 4)])
def test_every_operation_has_the_bits_of_the_reference_under_every_choice(
    engine: str, every: int, tmp_path: Path
) -> None:
    ((words, counts),) = judged([(LION_STEP, None)], ENGINES[engine], tmp_path, every)
    assert counts == {}
    choices = dict(words)
    assert list(choices) == offered()
    described = {name: semantics_of(name).describe() for name in choices if name != EXCESS}
    assert {name: choices[name] for name in described} == described


WRONG = {
    "an fma rounds twice": (
        "const result = sumToOdd(a * b, c);",
        "const result = a * b + c;",
        {"sign_fused=momentum", "momentum_fused=momentum", "step_fused=True"},
    ),
    "an fma is a product and a sum": (
        "const result = sumToOdd(a * b, c);",
        "const result = fround(a * b) + c;",
        {"sign_fused=momentum", "momentum_fused=gradient", "decay_fused=True", "step_fused=True"},
    ),
    "rounding to odd goes the wrong way": (
        "error > 0 === sum > 0 ? 1n : -1n",
        "error > 0 === sum > 0 ? -1n : 1n",
        {"sign_fused=momentum", "momentum_fused=momentum", "step_fused=True"},
    ),
    "subnormal inputs are not flushed": (
        "load: flushed,",
        "load: (x) => x,",
        {"subnormals=flush", "subnormals=flush-before-rounding"},
    ),
    "subnormal sums are not flushed": (
        "const sum = (a, b) => flushed(a + b);",
        "const sum = (a, b) => a + b;",
        {"subnormals=flush", "subnormals=flush-before-rounding"},
    ),
    "subnormal products are not flushed": (
        "return Math.abs(exact) < limit ? zeroLike(exact) : exact;",
        "return exact;",
        {"subnormals=flush", "subnormals=flush-before-rounding"},
    ),
    "subnormal scalars are not flushed": (
        "scalar: (x) => (Math.abs(x) < limit ? zeroLike(x) : fround(x)),",
        "scalar: fround,",
        {"subnormals=flush", "subnormals=flush-before-rounding"},
    ),
    "a flushed number loses its sign": (
        "(value < 0 || Object.is(value, -0) ? -0 : 0);",
        "(value !== value ? -0 : 0);",
        {"subnormals=flush", "subnormals=flush-before-rounding"},
    ),
    "tininess is seen before rounding": (
        "flush: SMALLEST_NORMAL * (1 - 2 ** -25),",
        "flush: SMALLEST_NORMAL,",
        {"subnormals=flush"},
    ),
    "the complement is always formed in binary64": (
        "? ops.complement(scalar)",
        "? ops.scalar(1 - beta)",
        {"sign_complement=compute", "momentum_complement=compute"},
    ),
    "ηλ is always formed in binary64": (
        "? ops.scalarProduct(lr, weight)",
        "? ops.scalar(scalars.lr * scalars.weight_decay)",
        {"decay=product, decay_scalar=compute", "decay=factor, decay_scalar=compute"},
    ),
    "the sign of NaN is 0": (
        'semantics.nan_sign === "zero" ? 0 : NaN',
        "0",
        {"", "zero_sign=kept"},
    ),
    "the sign of -0 is -0": (
        'semantics.zero_sign === "kept" ? c : 0',
        "c",
        {"", "nan_sign=zero"},
    ),
    "bfloat16 is cut off": (
        "0x7fff + ((pattern >>> 16) & 1)",
        "0",
        {"precision=storage", "momentum_precision=storage"},
    ),
    "ties go away from even": (
        "0x7fff + ((pattern >>> 16) & 1)",
        "0x8000",
        {"precision=storage", "momentum_precision=storage"},
    ),
    "a sum in float64 is rounded to float32": (
        "    add: (a, b) => a + b,",
        "    add: (a, b) => fround(a + b),",
        {EXCESS},
    ),
    "products are not rounded": (
        "multiply: (a, b) => held.round(product(a, b)),",
        "multiply: product,",
        {""},
    ),
    "λ = 0 is never skipped": (
        "scalars.weight_decay === 0",
        "false",
        {"decay_skipped_at_zero=True"},
    ),
}
"""What is written otherwise in the script, and some of the choices that this has to be told in.

The reference is the choice "".
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    """What is told of each wrong script, all in one process."""
    scripts: list[tuple[str, list[str] | None]] = [
        (replaced(LION_STEP, old, new), sorted(choices)) for old, new, choices in WRONG.values()
    ]
    answers = judged(scripts, in_node, tmp_path_factory.mktemp("wrong"), every=1)
    return {name: counts for name, (_, counts) in zip(WRONG, answers, strict=True)}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_script_is_told(name: str, found: dict[str, dict[str, int]]) -> None:
    *_, choices = WRONG[name]
    assert choices == {told.split(": ")[1] for told in found[name]}
