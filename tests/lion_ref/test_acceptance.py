"""Soundness of the accepted set, its reasons and its edges: SPEC Part III.

test_rejections.py holds that what is wrong is refused.
"""

from __future__ import annotations

import functools
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from ml_dtypes import bfloat16

from lion_ref import CANONICAL, STORAGE_DTYPES, Semantics, accepts, bounds, legal_triples, step
from lion_ref.acceptance import Reason, judge, sign_set
from lion_ref.arithmetic import Array, bits, round_to
from lion_ref.bounds import Problem
from lion_ref.hyperparameters import Hyperparameters
from lion_ref.rational import FORMATS
from tests.adversarial import elements, hyperparameters
from tests.lion_ref.drawn import random_semantics

Triple = tuple[str, str, str]


def f32(*values: float) -> Array:
    return np.array(values, dtype=np.float32)


# --- every rounding of Lion is accepted (C23, C27) ---------------------------------------------


def near_overflow(rng: np.random.Generator, triple: Triple, size: int) -> list[Array]:
    """Finite numbers within a few ulps of the largest, or a power of two below it."""
    arrays = []
    for name in triple:
        dtype = STORAGE_DTYPES[name]
        infinity = int(bits(np.array([np.inf], dtype))[0])
        pattern = infinity - rng.integers(1, 5, size)
        largest = pattern.astype(f"u{dtype.itemsize}").view(dtype).astype(np.float64)
        scaled = largest * 2.0 ** -rng.choice([0, 0, 0, 1, 2, 30], size) * rng.choice([-1, 1], size)
        arrays.append(round_to(scaled, dtype))
    return arrays


def large_hyperparameters(rng: np.random.Generator, triple: Triple) -> dict[str, float]:
    """η near the largest number, and ηλ anywhere between 2^-60 and beyond the range."""
    limit = 2.0 ** FORMATS["float64" if triple[0] == "float64" else "float32"].max_exponent
    lr = limit * 2.0 ** -float(rng.integers(0, 60)) * rng.random()
    options = (0.0, 2.0 ** -float(rng.integers(0, 60)) / lr * rng.random(), limit * rng.random())
    return {
        "lr": lr,
        "beta1": float(rng.random()),
        "beta2": float(rng.random()),
        "weight_decay": min(float(rng.choice(options)), limit),
    }


def refused_of(seed: int, **fixed: Any) -> str:
    """The first element of some port's result that is not accepted; "" if all are."""
    rng = np.random.default_rng(seed)
    triple = legal_triples()[rng.integers(len(legal_triples()))]
    semantics = Semantics(**fixed) if fixed else random_semantics(rng)
    if rng.random() < 0.25:
        scalars = large_hyperparameters(rng, triple)
        arrays = near_overflow(rng, triple, 60)
    else:
        scalars = hyperparameters(rng)
        arrays = [*elements(rng, triple, 300, beta1=scalars["beta1"], beta2=scalars["beta2"])]
    keywords: dict[str, Any] = scalars
    port = step(*arrays, **keywords, semantics=semantics)
    given_and_got: Any = (*arrays, *port)
    for name, new, accepted in zip(
        ("param", "momentum"), port, accepts(*given_and_got, **keywords), strict=True
    ):
        if not accepted.all():
            i = np.flatnonzero(~accepted)[0]
            inputs = [hex(bits(x)[i]) for x in arrays]
            what = f"{triple} {inputs} {scalars} {semantics.differences()}"
            return f"{name}: {what} gave {hex(bits(new)[i])}"
    return ""


@pytest.mark.clause("C23", "C27")
@settings(max_examples=250, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_rounding_of_lion_is_accepted(seed: int) -> None:
    assert refused_of(seed) == ""


@pytest.mark.slow
@pytest.mark.clause("C23", "C27")
@settings(max_examples=10_000, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**64 - 1))
def test_every_rounding_of_lion_is_accepted_widely(seed: int) -> None:
    assert refused_of(seed) == ""


@pytest.mark.clause("C23")
@pytest.mark.parametrize(
    "other",
    [
        {"decay": "unscaled"},
        {"decay": "coupled"},
        {"decay": "factor", "decay_order": "step-first"},
        {"precision": "storage", "scalars": "storage"},
    ],
    ids=str,
)
def test_other_algorithms_are_not_all_accepted(other: dict[str, Any]) -> None:
    """The search above can fail: the same search finds these."""
    assert any(refused_of(seed, **other) for seed in range(100))


# Where the derivation found an earlier version of the bounds too narrow.
FOUND: dict[str, tuple[list[Array], dict[str, float], dict[str, Any]]] = {
    "η rounded to float32 is a tie in float64": (
        [np.array([1.5]), f32(0.0), f32(1.0)],
        {"lr": 2.0**-53 * (1 + 2.0**-25)},
        {"precision": "storage", "decay_skipped_at_zero": True},
    ),
    "η is stored in a θ that is narrower than m and g": (
        [np.array([1.0], bfloat16), f32(0.0), f32(1.0)],
        {"lr": 0.00196},
        {"step_stored": True},
    ),
    "ηλ overflows binary64": (
        [np.array([1e-300]), np.array([0.0]), np.array([1.0])],
        {"lr": 1e200, "weight_decay": 1e200},
        {"decay_fused": True, "step_fused": True},
    ),
    "a fused product does not overflow by itself": (
        [f32(-3.4028235e38), f32(3.4028235e38), f32(3.4028235e38)],
        {"lr": 2e31, "weight_decay": 4.6e-25},
        {"decay": "product", "decay_order": "step-first", "decay_fused": True},
    ),
}


@pytest.mark.clause("C23", "C27", "C31")
@pytest.mark.parametrize("name", FOUND)
def test_what_an_earlier_bound_refused(name: str) -> None:
    arrays, scalars, choice = FOUND[name]
    keywords: dict[str, Any] = scalars
    port = step(*arrays, **keywords, semantics=Semantics(**choice))
    given_and_got: Any = (*arrays, *port)
    assert all(x.all() for x in accepts(*given_and_got, **keywords))


# --- the sign set, and a union of intervals (C24, C25) -----------------------------------------


def problem(theta: Array, m: Array, g: Array, **scalars: float) -> Problem:
    values = Hyperparameters(
        **({"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.0} | scalars)
    )
    fields: Any = [x.astype(np.float64) for x in (theta, m, g)]
    fields += [theta.dtype, m.dtype, g.dtype, values]
    return Problem(*fields)


@pytest.mark.clause("C24")
@pytest.mark.parametrize("name", STORAGE_DTYPES)
def test_the_sign_set_is_one_sign_almost_everywhere(name: str) -> None:
    rng = np.random.default_rng(0)
    m, g = (rng.standard_normal(20_000).astype(STORAGE_DTYPES[name]) for _ in range(2))
    held = sign_set(problem(0 * m, m, g))
    several = np.sum(list(held.values()), axis=0) > 1
    # c has a standard deviation near 1, so a band of ±4u·(|m| + |g|) holds few of its values.
    assert several.mean() < 16 * bounds.unit(STORAGE_DTYPES[name])
    exact = 0.9 * m.astype(np.float64) + 0.1 * g.astype(np.float64)
    assert np.choose(np.sign(exact).astype(int) + 1, [held[-1], held[0], held[1]]).all()


@pytest.mark.clause("C24")
def test_zeros_and_numbers_of_one_sign_have_one_sign() -> None:
    held = sign_set(problem(f32(0, 0, 0, 0), f32(0, -0.0, 1, -1), f32(0, 0, 1e30, -0.0)))
    assert [s for s in (-1, 0, 1) if held[s][0]] == [0]
    assert [s for s in (-1, 0, 1) if held[s][1]] == [0]
    assert [s for s in (-1, 0, 1) if held[s][2]] == [1]
    assert [s for s in (-1, 0, 1) if held[s][3]] == [-1]


@pytest.mark.clause("C25")
def test_between_two_intervals_nothing_is_accepted() -> None:
    theta, m, g = f32(1.0), f32(1.0000001), f32(-9.000001)
    momentum = step(theta, m, g, lr=0.5)[1]
    candidates = np.linspace(0, 2, 4097, dtype=np.float32)
    one = np.ones_like(candidates)
    accepted, _ = accepts(theta * one, m * one, g * one, candidates, momentum * one, lr=0.5)
    assert candidates[accepted].tolist() == [0.5, 1.0, 1.5]


@pytest.mark.clause("C25")
@pytest.mark.parametrize(
    ("name", "ties"), [("float64", 0.0), ("float32", 0.0), ("float16", 0.05), ("bfloat16", 0.05)]
)
def test_without_decay_an_interval_is_one_number(name: str, ties: float) -> None:
    """θ - η·s is one operation in every row, so its neighbours are refused.

    In half precision two roundings follow it, and either side of a tie is accepted.
    """
    dtype = STORAGE_DTYPES[name]
    rng = np.random.default_rng(2)
    theta, m, g = (rng.standard_normal(500).astype(dtype) for _ in range(3))
    new = step(theta, m, m, lr=2.0**-6)  # of one sign: S is one sign
    for direction in (-np.inf, np.inf):
        beside = np.nextafter(new[0], dtype.type(direction))
        assert accepts(theta, m, m, beside, new[1], lr=2.0**-6)[0].mean() <= ties
        beside = np.nextafter(theta, dtype.type(direction))
        assert not accepts(theta, m, g, beside, m, lr=0.0)[0].any()


# --- the ends of the intervals (C25, C26) ------------------------------------------------------


@pytest.mark.clause("C25", "C26")
@pytest.mark.parametrize("triple", [(x,) * 3 for x in STORAGE_DTYPES], ids="-".join)
def test_an_interval_ends_where_the_bound_does(triple: Triple) -> None:
    rng = np.random.default_rng(4)
    theta, m, g = (rng.standard_normal(300).astype(STORAGE_DTYPES[x]) for x in triple)
    g = np.abs(g) * np.sign(m)  # S is one sign
    scalars: dict[str, Any] = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1}
    expected = step(theta, m, g, **scalars)
    posed = problem(theta, m, g, **scalars)
    by_sign = {s: bounds.parameter(posed, s, flushing=True) for s in (-1, 1)}
    # Two values of η·u in half precision, so near that their intervals overlap.
    ends = {
        side: np.where(m > 0, *(outermost([getattr(x, side) for x in by_sign[s]]) for s in (1, -1)))
        for side, outermost in (
            ("low", functools.partial(np.min, axis=0)),
            ("high", functools.partial(np.max, axis=0)),
        )
    }
    of_m = bounds.momentum(posed, flushing=True)
    for side, outward in (("low", -np.inf), ("high", np.inf)):
        for output, end in ((0, ends[side]), (1, getattr(of_m, side))):
            last = round_to(end, expected[output].dtype)
            for value, wanted in (
                (last, True),
                (np.nextafter(last, last.dtype.type(outward)), False),
            ):
                new = list(expected)
                new[output] = value
                assert (accepts(theta, m, g, *new, **scalars)[output] == wanted).all()


@pytest.mark.clause("C27")
def test_what_is_accepted_at_infinity_is_what_some_row_gives() -> None:
    inf, nan = float("inf"), float("nan")
    theta, zero = f32(1.0), f32(0.0)
    for m, g, wanted in [(inf, 1.0, [inf, nan]), (-inf, 1.0, [-inf, nan]), (inf, -inf, [nan])]:
        got = [
            x
            for x in (inf, -inf, nan, 0.0, 3e38)
            if accepts(theta, f32(m), f32(g), theta, f32(x), lr=0.5)[1][0]
        ]
        assert str(got) == str(wanted)
    # A sign that is NaN: NaN in the reference, no step at all where sign(NaN) is 0; never a step.
    held = [
        x
        for x in (nan, 1.0, 0.5, 1.5)
        if accepts(theta, zero, f32(nan), f32(x), f32(nan), lr=0.5)[0][0]
    ]
    assert str(held) == "[nan, 1.0]"


# --- reasons (C28) -----------------------------------------------------------------------------

INF = float("inf")
REASONS: list[tuple[Reason, str, tuple[float, float, float], dict[str, float], float]] = [
    # the reason, the output, θ, m, g, the scalars, and what the port returned
    (Reason.SAME, "param", (1, 0, 1), {"lr": 0.5}, 0.5),
    (Reason.ROUNDING, "momentum", (0, 1, 1), {"lr": 0.5}, 1 - 2.0**-24),
    (Reason.ROUNDING, "param", (3, 0, 1), {"lr": 0.1, "weight_decay": 0.1}, 2.8700001),
    (Reason.SIGN_AMBIGUOUS, "param", (1, 1.0000001, -9.000001), {"lr": 0.5}, 1.5),
    (Reason.SUBNORMAL, "momentum", (0, 1e-40, 0), {"lr": 0.5}, 0.0),
    (Reason.SUBNORMAL, "param", (1, 1e-40, 0), {"lr": 0.5}, 1.0),
    (Reason.DECAY_SKIP, "param", (INF, 0, 1), {"lr": 0.5}, INF),
    (Reason.ZERO_SIGN, "param", (-0.0, -0.0, -0.0), {"lr": 0.5}, 0.0),
    (Reason.ZERO_SIGN, "momentum", (0, -0.0, -0.0), {"lr": 0.5}, 0.0),
    (Reason.NAN, "param", (1, float("nan"), 1), {"lr": 0.5}, 1.0),
    (Reason.NAN, "momentum", (1, INF, 1), {"lr": 0.5}, float("nan")),
    (Reason.OVERFLOW, "momentum", (0, 3e38, -3e38), {"lr": 0.5}, -INF),
    (Reason.OUTSIDE, "param", (1, 0, 1), {"lr": 0.5}, 0.75),
    (Reason.OUTSIDE, "momentum", (0, 1, 1), {"lr": 0.5}, 1.001),
    (Reason.OUTSIDE, "momentum", (0, 1, 1), {"lr": 0.5}, float("nan")),
]


@pytest.mark.clause("C28")
@pytest.mark.parametrize(("reason", "output", "inputs", "scalars", "returned"), REASONS, ids=str)
def test_each_reason(
    reason: Reason,
    output: str,
    inputs: tuple[float, float, float],
    scalars: dict[str, Any],
    returned: float,
) -> None:
    arrays: Any = tuple(f32(x) for x in inputs)
    new = dict(zip(("param", "momentum"), step(*arrays, **scalars), strict=True))
    new[output] = f32(returned)
    judged = getattr(judge(*(*arrays, new["param"], new["momentum"]), **scalars), output)
    assert judged.reasons == [reason]
    assert judged.codes[0] == list(Reason).index(reason)
    assert judged.accepted[0] == (reason is not Reason.OUTSIDE)
    assert judged.counts() == ({} if reason is Reason.SAME else {reason: 1})


@pytest.mark.clause("C28")
def test_every_reason_is_reached() -> None:
    assert {row[0] for row in REASONS} == set(Reason)


# --- the contract ------------------------------------------------------------------------------


@pytest.mark.clause("C23")
@pytest.mark.parametrize("triple", legal_triples(), ids="-".join)
def test_equal_bits_are_accepted_in_any_layout(triple: Triple) -> None:
    rng = np.random.default_rng(1)
    arrays = [x.reshape(5, 8).T for x in elements(rng, triple, 40, beta1=0.9, beta2=0.99)]
    new = step(*arrays, lr=0.1, weight_decay=0.1, semantics=CANONICAL)
    given_and_got: Any = (*arrays, *new)
    judgement = judge(*given_and_got, lr=0.1, weight_decay=0.1)
    assert judgement.param.codes.shape == judgement.momentum.codes.shape == (8, 5)
    assert not judgement.param.codes.any()
    assert not judgement.momentum.codes.any()


@pytest.mark.clause("C23")
def test_results_of_another_dtype_or_shape_are_refused() -> None:
    one = f32(1.0)
    half = one.astype(np.float16)
    with pytest.raises(TypeError, match="new_param has dtype float16; legal: float32, its input's"):
        accepts(one, one, one, half, one, lr=0.1)
    with pytest.raises(TypeError, match="new_momentum has dtype float64; legal: float32, its inp"):
        accepts(one, one, one, one, one.astype(np.float64), lr=0.1)
    with pytest.raises(ValueError, match=r"new_param has shape \(2,\); legal: \(1,\), its input's"):
        accepts(one, one, one, f32(1, 1), one, lr=0.1)
    with pytest.raises(ValueError, match=r"lr=-1 is not legal"):
        accepts(one, one, one, one, one, lr=-1)


# --- what a bound that is too wide would take (found by trying to break it) ---------------------


BFLOAT16_MAX = 255 * 2.0**120


@pytest.mark.clause("C24", "C25")
@pytest.mark.parametrize(
    ("dtypes", "theta", "lr", "decay", "refused"),
    [
        # η·u in float16 is η rounded to float16, or η: nothing between, nothing beyond.
        ("float64 float16 float16", 0.0, 1e-8, 0.0, [-5e-9, 1e-8, -2e-8]),
        ("float32 float16 float16", 0.0, 3e-8, 0.0, [0.0, -1.5e-8, 3e-8]),
        ("bfloat16 float16 float16", 0.0, 1e-8, 0.0, [1e-8, -2e-8]),
        # float16's subnormals are kept, so a step of one or two of them is made.
        ("float16 float32 float32", 0.0, 1e-7, 0.0, [0.0, 1e-7, -2.4e-7]),
        ("float16 float16 float16", 0.0, 2e-7, 0.0, [0.0, 2e-7, -4e-7]),
        # A product with θ = 0 is exact, however large λ is.
        ("float16 float32 float32", 0.0, 1e-3, 1e7, [0.0, 1e-3, -5e-4]),
        ("float16 float16 float16", 0.0, 1e-4, 1e10, [0.0, 1e-4, -2e-4]),
        # A large decay of a normal parameter is no rounding error.
        ("float16 float32 float32", 1.0, 1e-8, 1e10, [1.0, 0.0]),
        ("float16 float32 float32", 100.0, 1e-8, 1e10, [100.0, 0.0]),
        # Beyond the largest number and the tie there is infinity alone.
        ("bfloat16 bfloat16 bfloat16", -BFLOAT16_MAX, 1.5 * 2.0**119, 0.0, [-BFLOAT16_MAX]),
        ("bfloat16 float32 float16", -BFLOAT16_MAX, 1.5 * 2.0**119, 0.0, [-BFLOAT16_MAX]),
        ("float16 float16 float16", -65504.0, 24.0, 0.0, [-65504.0]),
    ],
)
def test_wrong_steps_at_the_ends_of_the_range_are_refused(
    dtypes: str, theta: float, lr: float, decay: float, refused: list[float]
) -> None:
    param, momentum, grad = (
        np.array([x]).astype(STORAGE_DTYPES[name])
        for x, name in zip((theta, 0.3, 0.2), dtypes.split(), strict=True)
    )
    new_param, new_momentum = step(param, momentum, grad, lr=lr, weight_decay=decay)
    for value in refused:
        wrong = np.array([value]).astype(param.dtype)
        assert wrong.tobytes() != new_param.tobytes(), "the case does not tell"
        taken = accepts(param, momentum, grad, wrong, new_momentum, lr=lr, weight_decay=decay)[0]
        assert not taken.any(), value
