"""`lion_ref.step` against `lion_ref.oracle.step`, bit for bit; and the oracle by itself.

The two share no arithmetic. The oracle decides; SPEC's own examples and a few cases worked out by
hand decide about the oracle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import lion_ref
from lion_ref import Semantics, legal_triples, oracle
from lion_ref.arithmetic import Array, bits, same_bits
from lion_ref.dtypes import STORAGE_DTYPES
from tests.adversarial import elements, hyperparameters

Triple = tuple[str, str, str]
Step = Any  # lion_ref.step's signature
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)

TRIPLES = pytest.mark.parametrize("triple", legal_triples(), ids="-".join)


def difference(step: Step, arrays: tuple[Array, Array, Array], scalars: dict[str, Any]) -> str:
    """The first element in which a step differs from the oracle, with its bits; "" if none does."""
    ours, theirs = oracle.step(*arrays, **scalars), step(*arrays, **scalars)
    for name, our, their in zip(("param", "momentum"), ours, theirs, strict=True):
        if (our.dtype, our.shape) != (their.dtype, their.shape):
            return f"{name}: {their.dtype}{their.shape}, expected {our.dtype}{our.shape}"
        differing = np.flatnonzero(~same_bits(our, their))
        if differing.size:
            i = differing[0]
            inputs = [hex(bits(np.asarray(a)).flat[i]) for a in arrays]
            got, expected = hex(bits(their).flat[i]), hex(bits(our).flat[i])
            return f"{name} of {inputs} at {scalars}: {got}, expected {expected}"
    return ""


def case(
    seed: int, triple: Triple, size: int
) -> tuple[tuple[Array, Array, Array], dict[str, float]]:
    rng = np.random.default_rng(seed)
    scalars = hyperparameters(rng)
    arrays = elements(rng, triple, size, beta1=scalars["beta1"], beta2=scalars["beta2"])
    return arrays, scalars


@pytest.mark.clause("C1", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11")
@TRIPLES
@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 150))
def test_the_reference_is_the_oracle(triple: Triple, seed: int, size: int) -> None:
    assert difference(lion_ref.step, *case(seed, triple, size)) == ""


def _floats(name: str) -> st.SearchStrategy[float]:
    width = {"float16": 16, "float64": 64}.get(name, 32)
    return st.floats(width=width)  # type: ignore[arg-type]  # one of the literals it lists


@pytest.mark.clause("C4", "C5", "C9", "C11")
@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    data=st.data(),
    triple=st.sampled_from(legal_triples()),
    lr=st.floats(0, 3e38),
    beta1=st.floats(0, 1, exclude_max=True),
    beta2=st.floats(0, 1, exclude_max=True),
    weight_decay=st.floats(0, 3e38),
)
def test_the_reference_is_the_oracle_at_any_scalars(
    data: st.DataObject, triple: Triple, lr: float, beta1: float, beta2: float, weight_decay: float
) -> None:
    """Single elements that Hypothesis chooses and shrinks itself."""
    with np.errstate(all="ignore"):
        param, momentum, grad = (
            np.array([data.draw(_floats(name))]).astype(STORAGE_DTYPES[name]) for name in triple
        )
    scalars = {"lr": lr, "beta1": beta1, "beta2": beta2, "weight_decay": weight_decay}
    assert difference(lion_ref.step, (param, momentum, grad), scalars) == ""


@pytest.mark.slow
@pytest.mark.clause("C1", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11")
@TRIPLES
def test_the_reference_is_the_oracle_in_millions_of_elements(triple: Triple) -> None:
    for seed in range(50):
        assert difference(lion_ref.step, *case(10**6 + seed, triple, 1000)) == ""


# --- wrong updates, each of which the comparison above rejects --------------------------------


def _port(**choices: Any) -> Step:
    semantics = Semantics(**choices)
    return lambda *arrays, **scalars: lion_ref.step(*arrays, **scalars, semantics=semantics)


def _rounded_twice(param: Array, momentum: Array, grad: Array, **scalars: Any) -> Any:
    """float64 stored as bfloat16 by way of float32."""
    with np.errstate(all="ignore"):
        new_param, wide = lion_ref.step(param, momentum.astype(np.float64), grad, **scalars)
        return new_param, wide.astype(np.float32).astype(momentum.dtype)


def _new_momentum_in_the_sign(param: Array, momentum: Array, grad: Array, **scalars: Any) -> Any:
    _, new = lion_ref.step(param, momentum, grad, **scalars)
    return lion_ref.step(param, momentum, grad, **{**scalars, "beta1": scalars["beta2"]})[0], new


def _truncating_store(param: Array, momentum: Array, grad: Array, **scalars: Any) -> Any:
    """bfloat16 as the upper half of a float32."""
    new_param, wide = lion_ref.step(param, momentum.astype(np.float32), grad, **scalars)
    return new_param, (bits(wide) >> 16).astype(np.uint16).view(BFLOAT16)


def _narrow_scalars(param: Array, momentum: Array, grad: Array, **scalars: Any) -> Any:
    """float64 updates with scalars that have passed through float32."""
    narrow: Any = {name: min(float(np.float32(x)), 1 - 2**-24) for name, x in scalars.items()}
    return lion_ref.step(param, momentum, grad, **narrow)


F32: Triple = ("float32", "float32", "float32")
WRONG: dict[str, tuple[Step, Triple]] = {
    "c fused over m": (_port(sign_fused="momentum"), F32),
    "c fused over g": (_port(sign_fused="gradient"), F32),
    "c fused over m in float64": (_port(sign_fused="momentum"), ("float64",) * 3),
    "m' fused over m": (_port(momentum_fused="momentum"), F32),
    "m' fused over g": (_port(momentum_fused="gradient"), F32),
    "m' fused over g in float64": (_port(momentum_fused="gradient"), ("float64",) * 3),
    "c as a lerp": (_port(sign_interpolation="lerp-from-momentum"), F32),
    "m' as a lerp": (_port(momentum_interpolation="lerp-from-gradient"), F32),
    "1-β1 in float32": (_port(sign_complement="compute"), F32),
    "1-β2 in float32": (_port(momentum_complement="compute"), F32),
    "decay as a factor": (_port(decay="factor"), F32),
    "decay first": (_port(decay="product"), F32),
    "decay last": (_port(decay="product", decay_order="step-first"), F32),
    "decay fused": (_port(decay_fused=True), F32),
    "decay not scaled by lr": (_port(decay="unscaled"), F32),
    "decay in the gradient": (_port(decay="coupled"), F32),
    "decay skipped at 0": (_port(decay_skipped_at_zero=True), F32),
    "step fused": (_port(step_fused=True), F32),
    "θ' in bfloat16": (_port(precision="storage"), ("bfloat16",) * 3),
    "θ' in float16": (_port(precision="storage"), ("float16",) * 3),
    "m' in bfloat16": (_port(momentum_precision="storage"), ("bfloat16",) * 3),
    "m' in float16": (_port(momentum_precision="storage"), ("float16",) * 3),
    "subnormals flushed": (_port(subnormals="flush"), F32),
    "subnormals flushed in float64": (_port(subnormals="flush"), ("float64",) * 3),
    "sign(-0) = -0": (_port(zero_sign="kept"), F32),
    "sign(NaN) = 0": (_port(nan_sign="zero"), F32),
    "rounded twice to bfloat16": (_rounded_twice, ("float64", "bfloat16", "float64")),
    "truncated to bfloat16": (_truncating_store, ("float32", "bfloat16", "float32")),
    "new momentum in the sign": (_new_momentum_in_the_sign, F32),
    "scalars through float32": (_narrow_scalars, ("float64",) * 3),
}


@pytest.mark.clause("C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11")
@pytest.mark.parametrize(("wrong", "triple"), WRONG.values(), ids=WRONG)
def test_a_wrong_update_is_rejected(wrong: Step, triple: Triple) -> None:
    """By as many elements as one triple gets above, or at most ten times as many."""
    assert any(difference(wrong, *case(seed, triple, 150)) for seed in range(120))


# --- the oracle by itself ---------------------------------------------------------------------


def f32(*values: float) -> Array:
    return np.array(values, dtype=np.float32)


INF, NAN = np.inf, np.nan
KNOWN: dict[str, tuple[tuple[Array, Array, Array], dict[str, float], Array, Array]] = {
    # θ, m, g; scalars; θ', m': worked out by hand, most of them SPEC's examples
    "C1": ((f32(1), f32(0), f32(0.5)), {"lr": 0.25, "weight_decay": 0.5}, f32(0.625), f32(0.005)),
    "C5 exact cancellation": (
        (f32(1), f32(1.0000001), f32(-9.000001)),
        {"lr": 0.5, "beta2": 0.0},
        f32(1),
        f32(-9.000001),
    ),
    "C6": ((f32(1), f32(1e-45), f32(0)), {"lr": 0.5}, f32(0.5), f32(1e-45)),
    "C6 a tie between 0 and the smallest": (
        (f32(1), f32(2.0**-149), f32(0)),
        {"lr": 0.5, "beta1": 0.5, "beta2": 0.5},
        f32(1),
        f32(0),
    ),
    "C7": ((f32(-0.0), f32(0), f32(-0.0)), {"lr": 0.5, "weight_decay": 0.5}, f32(-0.0), f32(0)),
    "C7 sums of zeros": (
        (f32(0, -0.0), f32(-0.0, -0.0), f32(-0.0, 0)),
        {"lr": 0.5},
        f32(0, -0.0),
        f32(-0.0, 0),
    ),
    "C8": ((f32(0), f32(1), f32(-5)), {"lr": 1.0, "beta2": 0.5}, f32(-1), f32(-2)),
    "C9": (
        (np.zeros(1), np.zeros(1, BFLOAT16), np.array([2 * (1 + 2**-8 + 2**-40)])),
        {"lr": 0.0, "beta2": 0.5},
        np.zeros(1),
        np.array([1.0078125]).astype(BFLOAT16),
    ),
    "C9 overflow in float16": (
        (np.array([-65504, 65504], np.float16), f32(0, 65519.996), f32(1, 65519.996)),
        {"lr": 16.0, "beta2": 0.5},
        np.array([-INF, 65504 - 16], np.float16),
        f32(0.5, 65519.996),
    ),
    "C10": ((f32(INF, INF), f32(0, 0), f32(1, 1)), {"lr": 0.5}, f32(NAN, NAN), f32(0.01, 0.01)),
    "C11": ((f32(1, 1), f32(INF, INF), f32(1, -INF)), {"lr": 0.5}, f32(0.5, NAN), f32(INF, NAN)),
    "C11 infinite decay": (
        (f32(INF, -INF, 2), f32(0, 0, NAN), f32(1, 1, 1)),
        {"lr": 0.0, "weight_decay": 0.5, "beta2": 0.5},
        f32(NAN, NAN, NAN),
        f32(0.5, 0.5, NAN),
    ),
    "C4 a learning rate of -0": (
        (f32(0, -0.0), f32(0, 0), f32(1, 1)),
        {"lr": -0.0},
        f32(0, 0),
        f32(0.01, 0.01),
    ),
    "C4 a learning rate of 0": (
        (f32(0, -0.0), f32(0, 0), f32(1, 1)),
        {"lr": 0.0},
        f32(0, -0.0),
        f32(0.01, 0.01),
    ),
}


@pytest.mark.clause("C1", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11")
@pytest.mark.parametrize(("arrays", "scalars", "param", "momentum"), KNOWN.values(), ids=KNOWN)
@pytest.mark.parametrize("step", [oracle.step, lion_ref.step], ids=["oracle", "reference"])
def test_results_worked_out_by_hand(
    step: Step, arrays: Any, scalars: dict[str, float], param: Array, momentum: Array
) -> None:
    new_param, new_momentum = step(*arrays, **scalars)
    assert (new_param.dtype, new_momentum.dtype) == (param.dtype, momentum.dtype)
    assert same_bits(new_param, param).all(), new_param
    assert same_bits(new_momentum, momentum).all(), new_momentum


@pytest.mark.parametrize("count", [5_003, pytest.param(65_536, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", STORAGE_DTYPES)
def test_patterns_are_decoded_and_encoded(name: str, count: int) -> None:
    """So many, evenly spread (65,536 are all of a 16-bit dtype), survive the way there and back:
    with λ = β = 0 and η = 0 the step is the identity on θ and m' = g."""
    width = 8 * STORAGE_DTYPES[name].itemsize
    patterns = np.linspace(0, 2.0**width, count, endpoint=False).astype(np.uint64)
    array = patterns.astype(f"u{width // 8}").view(STORAGE_DTYPES[name])
    with np.errstate(invalid="ignore"):  # signalling bfloat16 NaNs
        finite, nonzero = array[np.isfinite(array)], array != 0
    same_param, _ = oracle.step(finite, finite, finite, lr=0.0)
    _, same_grad = oracle.step(array, np.zeros_like(array), array, lr=0.0, beta2=0.0)
    assert same_bits(same_param, finite).all()
    assert same_bits(same_grad[nonzero], array[nonzero]).all()


@pytest.mark.clause("C2", "C12", "C14")
@pytest.mark.parametrize(
    "view",
    [
        lambda a: a,
        lambda a: a[0, 0, ...],
        lambda a: a[:0],
        lambda a: a[::2, ::-1],
        lambda a: a.T,
        lambda a: a.astype(a.dtype.newbyteorder(">")),
    ],
    ids=["whole", "0-d", "empty", "strided", "transposed", "big-endian"],
)
def test_shapes_strides_and_byte_orders(view: Callable[[Array], Array]) -> None:
    arrays = tuple(view(a.reshape(6, 5)) for a in case(3, F32, 30)[0])
    for array in arrays:
        array.flags.writeable = False
    before = [array.tobytes() for array in arrays]
    assert difference(lion_ref.step, arrays, {"lr": 0.1}) == ""  # type: ignore[arg-type]
    results = oracle.step(*arrays, lr=0.1)
    assert [r.dtype for r in results] == [arrays[0].dtype, arrays[1].dtype]
    assert [r.shape for r in results] == [arrays[0].shape] * 2
    assert all(r.flags.writeable for r in results)
    assert [array.tobytes() for array in arrays] == before


@pytest.mark.clause("C2", "C4")
def test_scalars_and_arrays_of_other_types() -> None:
    """Integers, NumPy's numbers and 0-d arrays are numbers; lists of numbers are float64."""
    scalars: dict[str, Any] = {"lr": np.float16(0.1), "beta1": np.array(0.5), "weight_decay": 3}
    arrays: Any = ([0.1, 0.2], (0.3, -0.4), np.array([0.5, 0.6], np.float32))
    assert difference(lion_ref.step, arrays, scalars) == ""


@pytest.mark.clause("C2", "C3", "C13")
@pytest.mark.parametrize(
    ("arrays", "scalars"),
    [
        ((f32(1), f32(1), f32(1)), {"lr": -0.1}),
        ((f32(1), f32(1), f32(1)), {"lr": NAN}),
        ((f32(1), f32(1), f32(1)), {"lr": 1e39}),
        ((f32(1), f32(1), f32(1)), {"lr": 0.1, "weight_decay": 1e39}),
        ((f32(1), f32(1), f32(1)), {"lr": 0.1, "beta1": 1.0}),
        ((f32(1), f32(1), f32(1)), {"lr": "0.1"}),
        ((f32(1), f32(1, 2), f32(1)), {"lr": 0.1}),
        ((f32(1), f32(1), f32(1, 2)), {"lr": 0.1}),
        ((f32(1), np.ones(1), f32(1)), {"lr": 0.1}),
        ((f32(1), f32(1), np.ones(1, np.int32)), {"lr": 0.1}),
        ((f32(1), 1.0, f32(1)), {"lr": 0.1}),
    ],
)
def test_both_refuse_the_same_with_the_same_words(arrays: Any, scalars: dict[str, Any]) -> None:
    said = []
    for step in (lion_ref.step, oracle.step):
        with pytest.raises((TypeError, ValueError)) as refusal:
            step(*arrays, **scalars)
        said.append((refusal.type, str(refusal.value)))
    assert said[0] == said[1]
