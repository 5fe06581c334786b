"""The flush that adapters step with has the bits of the reference's (SPEC C18, C33)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lion_ref import STORAGE_DTYPES, Semantics, legal_triples, step
from lion_ref.arithmetic import Array, round_to
from lion_ref.dtypes import compute_dtype
from lion_ref.flushed import Flushed
from lion_ref.hyperparameters import (
    Hyperparameters,
    Scalars,
    _rounded_floats,
    round_scalars,
    rounded_floats,
)
from lion_ref.rational import FORMATS
from lion_ref.subnormals import check_subnormals
from tests.adversarial import around_underflow, elements, hyperparameters
from tests.comparison import compared

FLUSH = Semantics(subnormals="flush")
Triple = tuple[str, str, str]
Operations = Callable[[str], Flushed]

pytestmark = pytest.mark.clause("C18", "C33")


def updated(ops: Flushed, triple: Triple, arrays: Any, scalars: Scalars) -> tuple[Array, Array]:
    """The update of C5 by these operations, as every adapter composes it."""
    compute = compute_dtype(triple[0])
    with np.errstate(all="ignore"):
        theta, m, g = (
            ops.operand(x.astype(compute), name) for x, name in zip(arrays, triple, strict=True)
        )
        c = ops.add(ops.product(scalars.beta1, m), ops.product(scalars.one_minus_beta1, g))
        s = ops.add(np.sign(c), ops.product(scalars.weight_decay, theta))
        new_theta = ops.subtract(theta, ops.product(scalars.lr, s))
        x, y = ops.product(scalars.beta2, m), ops.product(scalars.one_minus_beta2, g)
        results = (new_theta, ops.add(x, y))
        stored = [
            round_to(ops.storable(result, name), STORAGE_DTYPES[name])
            for result, name in zip(results, triple, strict=False)
        ]
    return stored[0], stored[1]


def wrong(
    operations: Operations,
    triple: Triple,
    seed: int = 0,
    *,
    scalars_flushed: bool = True,
    **fixed: float,
) -> list[str]:
    """Where an update by these operations is not the reference's."""
    rng = np.random.default_rng(seed)
    values = hyperparameters(rng) | fixed
    betas = [values[name] for name in ("beta1", "beta2")]
    factors = [*values.values(), *(1 - beta for beta in betas)]
    compute = compute_dtype(triple[0]).name
    scalars = rounded_floats(
        Hyperparameters.checked(**values), compute, "flush" if scalars_flushed else "keep"
    )
    found = []
    for arrays in (
        around_underflow(rng, triple, 600, *factors),
        elements(rng, triple, 200, beta1=betas[0], beta2=betas[1]),
    ):
        got = updated(operations(compute), triple, arrays, scalars)
        expected = step(*arrays, **values, semantics=FLUSH)
        for name, *pair in zip(("θ'", "m'"), got, expected, strict=True):
            found += compared(f"{triple}, {values}, {name}", *pair)
    return found


def by_comparisons(compute: str) -> Flushed:
    return Flushed(compute, np.where)


@pytest.mark.parametrize("triple", legal_triples(), ids="-".join)
def test_an_update_by_its_operations_has_the_reference_s_bits(triple: Triple) -> None:
    for seed in range(12):
        assert wrong(by_comparisons, triple, seed) == []


class OperandsKept(Flushed):
    """Takes subnormal inputs as they are."""

    def operand(self, x: Any, dtype: str) -> Any:
        return x


class OfTheComputeDtypeAlone(Flushed):
    """Takes float32's subnormals, in float64, for the normal numbers that they are there."""

    def operand(self, x: Any, dtype: str) -> Any:
        return super().operand(x, self._compute)


class Float16Flushed(Flushed):
    """Flushes float16's subnormals as well."""

    def operand(self, x: Any, dtype: str) -> Any:
        return self._zeroed(x, x, 2.0 ** FORMATS[dtype].min_exponent)


class AfterUnderflow(Flushed):
    """Takes a product that gradual underflow rounds up for a normal one."""

    def product(self, scalar: Any, x: Any) -> Any:
        return self._sum(scalar * x)


class BeforeRounding(Flushed):
    """As Arm's processors do it."""

    def product(self, scalar: Any, x: Any) -> Any:
        exact = np.abs(np.float64(scalar) * np.float64(x))
        return self._zeroed(scalar * x, exact, 2.0 ** FORMATS[self._compute].min_exponent)


class SumsKept(Flushed):
    """Flushes products alone."""

    def _sum(self, result: Any) -> Any:
        return result


class StoredAfterUnderflow(Flushed):
    """Stores as gradual underflow does."""

    def storable(self, x: Any, dtype: str) -> Any:
        return x


class StoredBeforeRounding(Flushed):
    """Decides on the result that is not rounded yet."""

    def storable(self, x: Any, dtype: str) -> Any:
        if dtype in ("float16", self._compute) or self._compute == "float32":
            return x
        return self._zeroed(x, x, 2.0 ** FORMATS[dtype].min_exponent)


@pytest.mark.parametrize(
    ("operations", "triple"),
    [
        (OperandsKept, ("float32", "float32", "float32")),
        (OfTheComputeDtypeAlone, ("float64", "bfloat16", "float32")),
        (Float16Flushed, ("float32", "float16", "float16")),
        (AfterUnderflow, ("float32", "float32", "float32")),
        (AfterUnderflow, ("float64", "float64", "float64")),
        (BeforeRounding, ("float32", "float32", "float32")),
        (SumsKept, ("float32", "float32", "float32")),
        (StoredAfterUnderflow, ("float64", "float32", "float64")),
        (StoredAfterUnderflow, ("float64", "bfloat16", "float64")),
        (StoredBeforeRounding, ("float64", "float32", "float64")),
        (StoredBeforeRounding, ("float64", "bfloat16", "float64")),
    ],
)
def test_operations_that_flush_otherwise_are_found(
    operations: type[Flushed], triple: Triple
) -> None:
    def wrongly(compute: str) -> Flushed:
        return operations(compute, np.where)

    assert any(wrong(wrongly, triple, seed) for seed in range(12))


@pytest.mark.parametrize("param", ["float32", "float64"])
def test_a_scalar_that_is_not_flushed_is_found(param: str) -> None:
    """η is subnormal, and λ so large that it would show."""
    triple, form = (param, param, param), FORMATS[param]
    lr, weight_decay = 2.0 ** (form.min_exponent - 1), 2.0 ** (form.max_exponent - 10)
    for flushed in (True, False):
        found = wrong(
            by_comparisons, triple, scalars_flushed=flushed, lr=lr, weight_decay=weight_decay
        )
        assert bool(found) is not flushed


@pytest.mark.parametrize("lr", [2.0**-126 * (1 - 2.0**-25), 2.0**-126 * (1 - 0.75 * 2.0**-24)])
def test_a_scalar_is_tiny_after_rounding_with_unbounded_range(lr: float) -> None:
    """Both round up to the smallest normal float32 in gradual underflow; the second is tiny."""
    values = Hyperparameters(lr, 0.9, 0.99, 0.0)
    assert rounded_floats(values, "float32").lr == 2.0**-126
    is_tiny = lr < 2.0**-126 * (1 - 2.0**-25)
    assert rounded_floats(values, "float32", "flush").lr == (0.0 if is_tiny else 2.0**-126)


@pytest.mark.clause("C4", "C15")
@pytest.mark.parametrize("compute", ["float32", "float64"])
@pytest.mark.parametrize("rule", ["keep", "flush"])
def test_a_thread_s_environment_is_not_remembered_with_its_scalars(
    rule: Any, compute: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step elsewhere with the same numbers would have the scalars of this thread."""
    environments = pytest.importorskip("tests.lion_cpu.environments", exc_type=ImportError)
    rng = np.random.default_rng(0)
    below = [2.0**-126 * (1 - k * 2.0**-27) for k in range(9)]
    rates = [0.0, -0.0, 1e-40, 2.0**-1022, 5e-324, 0.1, 1e38, *below]
    betas = [1e-40, 0.9, 0.99, 1 - 2.0**-25, *(rng.random(8) * 1e-3).tolist()]
    every = [Hyperparameters(lr, b, 1 - b, lr) for lr in rates for b in betas]

    def differing() -> list[Hyperparameters]:
        found = []
        for around in (environments.flushing, environments.Rounding().upward):
            _rounded_floats.cache_clear()
            with around():
                for values in every:
                    rounded_floats(values, compute, rule)
            remembered = [rounded_floats(values, compute, rule) for values in every]
            pairs = zip(every, remembered, strict=True)
            expected = [round_scalars(x, compute, rule).as_floats() for x in every]
            found += [x for (x, a), b in zip(pairs, expected, strict=True) if repr(a) != repr(b)]
        _rounded_floats.cache_clear()
        return found

    assert differing() == []
    # Rounded by the thread's own operations, they are found.
    monkeypatch.setattr("lion_ref.hyperparameters.require_default_environment", lambda: None)
    assert differing()


@pytest.mark.parametrize("value", ["native", "flush", "keep"])
def test_a_choice_is_legal(value: str) -> None:
    assert check_subnormals(value) == value


@pytest.mark.parametrize("value", ["", "Flush", "flush-before-rounding", None, True, ["flush"]])
def test_another_is_refused(value: object) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - all of the message is below
        check_subnormals(value)
    legal = "'native', 'flush', 'keep'"
    assert str(error.value) == f"subnormals={value!r} is not legal; legal: {legal}"
