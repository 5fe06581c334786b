"""The step in JavaScript that the pages show: every bit is lion_ref's, and a wrong one is told."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lion_ref
from lion_conformance.diagnosis import canaries
from lion_ref import STORAGE_DTYPES, Semantics
from lion_ref.arithmetic import Array, bits, round_to
from lion_ref.dialects import Dialect
from lion_ref.hyperparameters import Hyperparameters
from lion_ref.update import operations
from tests.adversarial import elements, hyperparameters
from tests.site.engines import ENGINES, LION_STEP, Engine, in_node, replaced

pytestmark = pytest.mark.clause("C5", "C16", "C17", "C18", "C19", "C20", "C21", "C22")

SETS = {"float32": 90, "bfloat16": 30}
"""Draws of four scalars, and for each of them..."""
SIZE = 40
"""...so many elements."""

QUIET = {2: "7fc0", 4: "7fc00000", 8: "7ff8000000000000"}
EXCESS = "excess=float64"
NAMES = ("a", "b", "c", "u", "d", "s", "e", "θ'", "x", "y", "m'")

# {choice: [[bits of c, θ' and m'], one an element]}, where the reference has every operation.
ASK = """
const { step, CHOICES, FORMATS } = lionStep;
answer([Object.entries(CHOICES), BATCHES.map((batch) => {
  const { dtype, names } = batch;
  const read = FORMATS[dtype].value;
  const [lr, beta1, beta2, weight_decay] = batch.scalars.map(FORMATS.float64.value);
  return batch.choices.map((choice) => batch.theta.map((theta, i) => {
    const inputs = { theta: read(theta), m: read(batch.m[i]), g: read(batch.g[i]) };
    const done = step({ ...inputs, lr, beta1, beta2, weight_decay, dtype }, choice);
    const seen = choice ? ["c"] : names;
    const stored = [done.param, done.momentum].map(FORMATS[dtype].bits);
    return [...seen.map((name) => done.operations[name].bits), ...stored].join(" ");
  }));
})]);
"""


@dataclass(frozen=True)
class Batch:
    """Elements that share four scalars."""

    dtype: str
    scalars: dict[str, float]
    arrays: tuple[Array, Array, Array]

    def asked(self, choices: list[str]) -> dict[str, Any]:
        theta, m, g = (hexadecimal(x) for x in self.arrays)
        scalars = hexadecimal(np.array(list(self.scalars.values())))
        asked = {"dtype": self.dtype, "names": NAMES, "choices": choices, "scalars": scalars}
        return asked | {"theta": theta, "m": m, "g": g}


def hexadecimal(array: Array) -> list[str]:
    """Bit patterns; of a NaN always the same one, since any NaN equals any NaN."""
    with np.errstate(invalid="ignore"):  # a signalling bfloat16 NaN raises the flag in isnan
        unknown = np.isnan(array)
    width, quiet = array.dtype.itemsize * 2, QUIET[array.dtype.itemsize]
    pairs = zip(bits(array).tolist(), unknown.tolist(), strict=True)
    return [quiet if is_nan else f"{pattern:0{width}x}" for pattern, is_nan in pairs]


@lru_cache(maxsize=1)
def batches() -> list[Batch]:
    rng = np.random.default_rng(20)
    drawn = []
    for dtype, count in SETS.items():
        for _ in range(count):
            scalars = hyperparameters(rng)
            betas = {name: scalars[name] for name in ("beta1", "beta2")}
            arrays = elements(rng, (dtype, dtype, dtype), SIZE, **betas)
            drawn.append(Batch(dtype, scalars, arrays))
        for case in canaries.cases(dtype):
            drawn.append(Batch(dtype, dict(case.scalars), case.arrays))
    return drawn


def choices_for(dtype: str) -> list[str]:
    return [name for name in offered() if dtype == "float32" or name != EXCESS]


@lru_cache(maxsize=1)
def offered() -> list[str]:
    """Every choice that a page may offer, read from the script."""
    table = LION_STEP.split("const CHOICES = {")[1].split("\n  };")[0]
    return re.findall(r'^ {4}"([^"]+)":', table, re.MULTILINE)


def semantics_of(choice: str) -> Semantics:
    pairs = (pair.split("=") for pair in choice.split(", "))
    return Semantics(**{name: True if value == "True" else value for name, value in pairs})


def joined(*columns: Array) -> list[str]:
    return [" ".join(row) for row in zip(*map(hexadecimal, columns), strict=True)]


def expected(batch: Batch, choice: str) -> list[str]:
    """What lion_ref gives."""
    if not choice:
        found = operations(*batch.arrays, **batch.scalars)
        return joined(*found, *lion_ref.step(*batch.arrays, **batch.scalars))
    if choice == EXCESS:
        return _expected_in_float64(batch)
    semantics = semantics_of(choice)
    values = Hyperparameters.checked(**batch.scalars)
    dtype = STORAGE_DTYPES[batch.dtype]
    parts = Dialect(semantics, np.dtype(np.float32), dtype, dtype)
    with np.errstate(all="ignore"):
        c = parts.interpolated(values, *batch.arrays)
    return joined(c, *lion_ref.step(*batch.arrays, **batch.scalars, semantics=semantics))


def _expected_in_float64(batch: Batch) -> list[str]:
    with np.errstate(invalid="ignore"):  # a signalling NaN raises the flag in a cast
        wide = [x.astype(np.float64) for x in batch.arrays]
    c = operations(*wide, **batch.scalars).c
    stored = [round_to(x, np.dtype(np.float32)) for x in lion_ref.step(*wide, **batch.scalars)]
    return joined(c, *stored)


@lru_cache(maxsize=1)
def all_expected() -> list[list[list[str]]]:
    return [[expected(batch, x) for x in ["", *choices_for(batch.dtype)]] for batch in batches()]


def answered(script: str, engine: Engine, folder: Path) -> Any:
    asked = [batch.asked(["", *choices_for(batch.dtype)]) for batch in batches()]
    return engine(f"{script}\nconst BATCHES = {json.dumps(asked)};\n{ASK}", folder)


def differing(answer: Any) -> dict[str, int]:
    """For each choice, in how many elements some bit is not lion_ref's."""
    counts: dict[str, int] = {}
    for batch, got, wanted in zip(batches(), answer[1], all_expected(), strict=True):
        names = ["the reference", *choices_for(batch.dtype)]
        for name, mine, theirs in zip(names, got, wanted, strict=True):
            wrong = sum(a != b for a, b in zip(mine, theirs, strict=True))
            if wrong:
                counts[f"{batch.dtype}: {name}"] = counts.get(f"{batch.dtype}: {name}", 0) + wrong
    return counts


@pytest.mark.parametrize("engine", ENGINES)
def test_every_operation_has_the_bits_of_the_reference_under_every_choice(
    engine: str, tmp_path: Path
) -> None:
    answer = answered(LION_STEP, ENGINES[engine], tmp_path)
    assert differing(answer) == {}
    choices = dict(answer[0])
    assert list(choices) == offered()
    described = {name: semantics_of(name).describe() for name in choices if name != EXCESS}
    assert {name: choices[name] for name in described} == described
