"""`lion_ref.arithmetic` and `flushing` against exact rationals; the environment they need."""

from __future__ import annotations

import ctypes
import math
import platform
import subprocess
import sys
import threading
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import lion_ref
from lion_ref.arithmetic import Array, bits, fma, require_default_environment, round_to, same_bits
from lion_ref.dtypes import STORAGE_DTYPES
from lion_ref.flushing import Flush
from lion_ref.rational import FORMATS, round_fraction
from lion_ref.semantics import Subnormals
from tests.adversarial import values
from tests.exact import exact_fma, exact_product, rounded

Fma = Any  # fma's signature
WIDE = pytest.mark.parametrize("dtype", ["float32", "float64"])
FEW = settings(max_examples=300, derandomize=True, deadline=None, database=None)


# --- fma --------------------------------------------------------------------------------------


def fma_cases(dtype: str) -> tuple[Array, Array, Array]:
    """Landmarks and random numbers; near cancellations; sums just beside a tie; both ends."""
    rng = np.random.default_rng(7)
    a, b, c = (values(rng, dtype, 4000) for _ in range(3))
    with np.errstate(all="ignore"):
        c[:2000] = -(a * b)[:2000]
        c[500:1000] = np.nextafter(c[500:1000], c.dtype.type(np.inf))
        c[1000:1500] = -np.ldexp(c[1000:1500], rng.integers(-60, 60, 500))
    p, e = FORMATS[dtype].precision, FORMATS[dtype].max_exponent
    ulp = 2.0 ** (1 - p)
    hard = [
        # a·b is half an ulp of c, less a part that two roundings cannot see; and more by it
        (ulp / 2 * (1 + ulp), 1 - ulp, 1 + ulp),
        (ulp / 2 * (1 - ulp), 1 + ulp, 1 + 2 * ulp),
        (ulp / 2 * (1 + ulp), 1 - ulp, -1 - ulp),
        (-ulp / 2 * (1 + ulp), 1 - ulp, 1.0),
        # the product overflows, the result does not; the result overflows by rounding alone
        (2.0**e, 2.0, -(2.0**e)),
        (2.0**e, 2.0, -(2.0**e) * (2 - ulp)),
        (2.0 ** (e - p), 1.0, 2.0**e * (2 - ulp)),
        (2.0 ** (e - p) * (1 - ulp), 1.0, 2.0**e * (2 - ulp)),
        # the product underflows, alone and beside a sum that it tips
        (2.0 ** (1 - e), ulp / 4, 0.0),
        (2.0 ** (1 - e), ulp / 4, 2.0 ** (1 - e) * ulp),
        (2.0 ** (1 - e), 2.0 ** (1 - e), 1 + ulp),
        (-(2.0 ** (1 - e)), 2.0 ** (1 - e), 2.0 ** (1 - e)),
        (2.0 ** (1 - e) * (1 + ulp), 0.5, 2.0 ** (1 - e) * ulp),
        # zeros
        (0.0, -1.0, 0.0),
        (0.0, -1.0, -0.0),
        (2.0 ** (1 - e), -(2.0 ** (1 - e)), -0.0),
        (2.0 ** (1 - e), 2.0 ** (1 - e), -0.0),
        (0.5, 0.5, -0.25),
    ]
    # the product is a tie, or just beside one, and a far smaller addend of either sign decides
    half = 2.0 ** -(p // 2), 2.0 ** -(p - p // 2)
    for n in (p, 2 * p - 2, 2 * p, 100, 110, 119, 120, 121, 122, e):
        for far in (2.0**-n, -(2.0**-n)):
            hard += [(1 + half[0], 1 + half[1], far), (1 + ulp, 1.5 + ulp, far)]
    columns = np.array(hard, dtype=dtype).T
    return tuple(np.concatenate([x, y]) for x, y in zip((a, b, c), columns, strict=True))  # type: ignore[return-value]


def first_wrong(operation: Fma, a: Array, b: Array, c: Array) -> str:
    dtype = a.dtype.name
    with np.errstate(all="ignore"):
        results = operation(a, b, c)
    assert results.dtype == dtype
    expected = [
        rounded(*exact_fma(*numbers), dtype)
        for numbers in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)
    ]
    wrong = np.flatnonzero(~same_bits(results, np.array(expected, dtype=dtype)))
    if not wrong.size:
        return ""
    i = wrong[0]
    return f"fma({a[i]!r}, {b[i]!r}, {c[i]!r}) = {results[i]!r}, expected {expected[i]!r}"


@pytest.mark.clause("C17")
@WIDE
def test_fma_rounds_once(dtype: str) -> None:
    assert first_wrong(fma, *fma_cases(dtype)) == ""


_F32, _F64 = st.floats(width=32), st.floats()


@pytest.mark.clause("C17")
@FEW
@given(st.one_of(st.tuples(_F32, _F32, _F32), st.just(None)), st.tuples(_F64, _F64, _F64))
def test_fma_of_anything(
    narrow: tuple[float, float, float] | None, wide: tuple[float, float, float]
) -> None:
    if narrow is not None:
        assert first_wrong(fma, *(np.array([x], np.float32) for x in narrow)) == ""
    assert first_wrong(fma, *(np.array([x]) for x in wide)) == ""


def _double_rounded(a: Array, b: Array, c: Array) -> Array:
    return (a.astype(np.float64) * b + c).astype(np.float32)


@pytest.mark.parametrize(
    ("wrong", "dtype"),
    [
        (lambda a, b, c: a * b + c, "float32"),
        (lambda a, b, c: a * b + c, "float64"),
        (_double_rounded, "float32"),
        (lambda a, b, c: np.where(fma(a, b, c) == 0, a.dtype.type(0), fma(a, b, c)), "float64"),
    ],
    ids=["two roundings", "two roundings, wide", "by way of float64", "never -0"],
)
def test_a_wrong_fma_is_found(wrong: Fma, dtype: str) -> None:
    assert first_wrong(wrong, *fma_cases(dtype)) != ""


def test_an_addend_that_is_made_too_large_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lion_ref.arithmetic.STICKY", 100)
    assert first_wrong(fma, *fma_cases("float64")) != ""


def test_fma_broadcasts_and_refuses_mixed_dtypes() -> None:
    assert fma(np.ones((2, 1)), np.ones(3), np.ones(())).shape == (2, 3)
    assert fma(np.ones(()), np.ones(()), np.ones(())) == 2.0
    assert fma(np.ones(0), np.ones(0), np.ones(0)).shape == (0,)
    with pytest.raises(TypeError, match="three arrays of float32 or of float64; got float32, f"):
        fma(np.ones(1, np.float32), np.ones(1), np.ones(1))
    half = np.ones(1, np.float16)
    with pytest.raises(TypeError, match="got float16, float16, float16"):
        fma(half, half, half)


# --- bits, same_bits, round_to ----------------------------------------------------------------


@pytest.mark.clause("C11")
@pytest.mark.parametrize("name", STORAGE_DTYPES)
def test_same_bits(name: str) -> None:
    dtype = STORAGE_DTYPES[name]
    width = 8 * dtype.itemsize
    zeros = np.array([0, 1 << (width - 1), 1, 1], dtype=f"u{dtype.itemsize}").view(dtype)
    ones = np.array([0, 0, 1, 2], dtype=f"u{dtype.itemsize}").view(dtype)
    assert same_bits(zeros, ones).tolist() == [True, False, True, False]
    # Quiet and signalling, of either sign, against each other and against infinity
    infinity = int(bits(np.array(np.inf).astype(dtype)))
    nans = [infinity + 1, (infinity + 1) | 1 << (width - 1), (1 << (width - 1)) - 1, infinity]
    patterns = np.array(nans, dtype=f"u{dtype.itemsize}").view(dtype)
    assert same_bits(patterns, patterns[::-1]).tolist() == [False, True, True, False]
    assert same_bits(patterns, patterns).all()


@pytest.mark.clause("C2", "C12")
def test_bits_of_any_layout() -> None:
    array = np.arange(6, dtype=">f4").reshape(2, 3)
    assert bits(array.T).tolist() == bits(np.arange(6, dtype=np.float32).reshape(2, 3)).T.tolist()
    assert bits(array.T).dtype == np.uint32
    assert bits(np.ones(())).shape == ()
    assert bits(np.ones(0)).shape == (0,)
    assert same_bits(array, array.astype("<f4")).all()


@pytest.mark.clause("C9")
@FEW
@given(_F64, st.sampled_from(list(STORAGE_DTYPES)))
def test_round_to_rounds_once(number: float, name: str) -> None:
    exact = Fraction(number) if np.isfinite(number) else number
    expected = np.array(rounded(exact, str(number) == "-0.0", name)).astype(STORAGE_DTYPES[name])
    assert same_bits(round_to(np.array(number), STORAGE_DTYPES[name]), expected)


# --- the environment --------------------------------------------------------------------------

FLUSHES = "this thread flushes subnormals, so no reference bits can be computed in it; legal: the "
ROUNDS = "this thread does not round to nearest, so no reference bits can be computed in it; legal"
X86 = pytest.mark.skipif(
    platform.machine() not in {"x86_64", "AMD64"} or sys.platform != "linux",
    reason="sets MXCSR through glibc's fenv_t, whose layout is known for x86-64",
)


def in_environment(flags: int, work: Callable[[], object]) -> str:
    """What `work` raises in a new thread with these bits of MXCSR set; "" for nothing."""
    said = []

    def run() -> None:
        libm = ctypes.CDLL("libm.so.6")
        environment = (ctypes.c_uint32 * 8)()  # 28 bytes for the x87, then MXCSR
        libm.fegetenv(environment)
        environment[7] |= flags
        libm.fesetenv(environment)
        try:
            work()
        except FloatingPointError as error:
            said.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return "".join(said)


@pytest.mark.clause("C15")
@X86
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (0x8000, FLUSHES),  # flush to zero
        (0x0040, FLUSHES),  # denormals are zero
        (0x2000, ROUNDS),  # down
        (0x4000, ROUNDS),  # up
        (0x6000, ROUNDS),  # toward zero
    ],
    ids=["flush results", "flush operands", "down", "up", "toward zero"],
)
def test_another_environment_is_refused(flags: int, message: str) -> None:
    one = np.ones(1, np.float32)
    assert in_environment(flags, require_default_environment).startswith(message)
    assert in_environment(flags, lambda: lion_ref.step(one, one, one, lr=0.1)).startswith(message)


@pytest.mark.clause("C15")
def test_the_default_environment_is_not() -> None:
    require_default_environment()


@X86
def test_the_flags_of_one_thread_stay_there() -> None:
    """If they leaked, the test of the default above could pass or fail by its place."""
    assert in_environment(0, require_default_environment) == ""
    assert in_environment(0x8000, require_default_environment) != ""
    require_default_environment()


@X86
@pytest.mark.clause("C15")
def test_a_new_thread_is_no_way_out() -> None:
    """It begins as the one that starts it, so that the message names one that began before."""
    found: list[str] = []

    def start_another() -> None:
        found.append(in_environment(0, require_default_environment))

    assert in_environment(0x8000, start_another) == ""
    assert found[0].endswith("compute in a thread that began before")


@pytest.mark.clause("C15")
def test_torch_flushing_is_refused() -> None:
    pytest.importorskip("torch")
    program = (
        "import torch, numpy as np, lion_ref\n"
        "one = np.ones(1, np.float32)\n"
        "lion_ref.step(one, one, one, lr=0.1)\n"
        "if not torch.set_flush_denormal(True): raise SystemExit('unsupported')\n"
        "try: lion_ref.step(one, one, one, lr=0.1)\n"
        "except FloatingPointError as error: print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    if ran.stderr.strip() == "unsupported":
        pytest.skip("torch cannot flush subnormals on this processor")
    assert ran.stdout.startswith(FLUSHES), ran.stderr


# --- flushing ---------------------------------------------------------------------------------

OTHER: dict[Subnormals, Subnormals] = {
    "flush": "flush-before-rounding",
    "flush-before-rounding": "flush",
}
MODES = tuple(OTHER)


def flushed(exact: Fraction, mode: str, dtype: str) -> float:
    """Rounded once, and a zero of its sign where that is tiny (SPEC C18)."""
    smallest = Fraction(2) ** FORMATS[dtype].min_exponent
    # 2**200 higher up the exponent range does not end: rounded there, it is unbounded.
    high = round_fraction(exact * 2**200, dtype)
    compared = abs(exact) if mode == "flush-before-rounding" else abs(Fraction(high)) / 2**200
    return (
        math.copysign(0.0, 1 if exact > 0 else -1)
        if compared < smallest
        else rounded(exact, False, dtype)
    )


def beside_smallest(dtype: str) -> tuple[Array, Array]:
    """Pairs of normal numbers with products within an ulp of the smallest normal number."""
    p, e = FORMATS[dtype].precision, FORMATS[dtype].min_exponent
    rng = np.random.default_rng(5)
    a = (1 + rng.random(400)).astype(dtype)
    b = ((1 - rng.random(400) * 2.0**-p) / a).astype(dtype)
    a, b = np.ldexp(a, e // 2), np.ldexp(b, e - e // 2)
    return np.concatenate([a, a]), np.concatenate([b, -b])


def product_is_right(operation: Callable[[Array, Array], Array], mode: str, dtype: str) -> bool:
    a, b = beside_smallest(dtype)
    exact = [exact_product(*pair)[0] for pair in zip(a.tolist(), b.tolist(), strict=True)]
    expected = [flushed(Fraction(x), mode, dtype) for x in exact]
    return bool(same_bits(operation(a, b), np.array(expected, dtype=dtype)).all())


@pytest.mark.clause("C18")
@WIDE
@pytest.mark.parametrize("mode", MODES)
def test_a_tiny_product_is_flushed(mode: Subnormals, dtype: str) -> None:
    flush = Flush(mode, np.dtype(dtype))
    assert product_is_right(flush.product, mode, dtype)
    # Neither the other rule, nor none, nor flushing what has been rounded passes for this one.
    assert not product_is_right(Flush(OTHER[mode], np.dtype(dtype)).product, mode, dtype)
    assert not product_is_right(np.multiply, mode, dtype)
    assert not product_is_right(lambda a, b: flush.result(a * b), mode, dtype)


def fma_is_right(operation: Fma, mode: str, dtype: str) -> bool:
    """The smallest normal number, and twice it, less or more by far less than an ulp."""
    p, e = FORMATS[dtype].precision, FORMATS[dtype].min_exponent
    k = np.arange(-24, 25)
    a = np.where(k < 0, -1.0, 1.0) * 2.0 ** (e // 2)
    b = np.abs(k) * 2.0 ** (e - e // 2 - p - 3)
    a, b = np.concatenate([a] * 4), np.concatenate([b] * 4)
    c = np.repeat([2.0**e, -(2.0**e), 2.0 ** (e + 1), 0.0], k.size)
    numbers = a.astype(dtype), b.astype(dtype), c.astype(dtype)
    expected = []
    for number in zip(*(x.tolist() for x in numbers), strict=True):
        exact, negative_zero = exact_fma(*number)
        zero = rounded(exact, negative_zero, dtype)
        expected.append(flushed(Fraction(exact), mode, dtype) if exact else zero)
    return bool(same_bits(operation(*numbers), np.array(expected, dtype=dtype)).all())


@pytest.mark.clause("C17", "C18")
@WIDE
@pytest.mark.parametrize("mode", MODES)
def test_a_tiny_fma_is_flushed(mode: Subnormals, dtype: str) -> None:
    flush = Flush(mode, np.dtype(dtype))
    assert fma_is_right(flush.fma, mode, dtype)
    assert not fma_is_right(Flush(OTHER[mode], np.dtype(dtype)).fma, mode, dtype)
    assert not fma_is_right(fma, mode, dtype)


@pytest.mark.clause("C18")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("narrow", ["bfloat16", "float32"])
def test_a_tiny_stored_result_is_flushed(mode: Subnormals, narrow: str) -> None:
    precision = FORMATS[narrow].precision
    near = 2.0**-126 * (1 + np.arange(-40, 40) * 2.0 ** (-precision - 4))
    near = np.concatenate([near, -near, [0.0, -0.0]])
    dtype = STORAGE_DTYPES[narrow]

    def is_right(rule: Subnormals) -> bool:
        expected = [flushed(Fraction(x), mode, narrow) if x else x for x in near.tolist()]
        narrowed = Flush(rule, np.dtype("float64")).narrowed(near, dtype)
        return bool(same_bits(narrowed, np.array(expected).astype(dtype)).all())

    assert is_right(mode)
    assert not is_right(OTHER[mode])
    assert not is_right("keep")


@pytest.mark.clause("C18")
@pytest.mark.parametrize("name", STORAGE_DTYPES)
def test_subnormal_operands(name: str) -> None:
    """float16's are normal numbers of the compute dtype and are kept, all others flushed."""
    dtype = STORAGE_DTYPES[name]
    patterns = [1, 1 << (FORMATS[name].precision - 1), (1 << (FORMATS[name].precision - 1)) - 1]
    array = np.array(patterns, dtype=f"u{dtype.itemsize}").view(dtype)
    compute = np.dtype("float64")
    for sign in (1, -1):
        widened = Flush("flush", compute).widened((sign * array).astype(dtype))
        kept = Flush("keep", compute).widened((sign * array).astype(dtype))
        expected = kept if name == "float16" else np.copysign([0, abs(kept[1]), 0], sign)
        assert same_bits(kept, (sign * array.astype(compute))).all()
        assert same_bits(widened, expected).all()
