"""A lion_ref Schedule: η and λ with the bits of C35 in each leaf's compute dtype, jitted or not."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lion_jax
from lion_jax import scalars
from lion_ref.schedules import Schedule
from tests.lion_jax.doors import DOORS, difference, normal, reference

SCHEDULES = {
    "constant": Schedule("constant", first=0.3, warmup=3),
    "linear": Schedule("linear", first=0.3, last=0.1, steps=5, warmup=2),
    "cosine": Schedule("cosine", first=0.3, last=1e-3, steps=6),
    "exponential": Schedule("exponential", first=0.3, last=1e-3, steps=6, warmup=1),
}
DTYPES = ["bfloat16", "float32", "float64"]


def run(train: Any, tx: Any, arrays: dict[str, Any], steps: int) -> tuple[Any, Any]:
    params = {name: jnp.asarray(x[0]) for name, x in arrays.items()}
    grads = {name: jnp.asarray(x[2]) for name, x in arrays.items()}
    state = tx.init(params)
    for _ in range(steps):
        params, state = train(params, state, grads)
    return params, state


def wrong(params: Any, state: Any, arrays: dict[str, Any], numbers: list[dict[str, float]]) -> str:
    """The first difference from lion_ref.step with these numbers, step by step."""
    for name, (start, _, g) in arrays.items():
        theta, m = start, np.zeros_like(start)
        for each in numbers:
            theta, m = reference((theta, m, g), **each)
        ours = np.asarray(params[name]), np.asarray(state.mu[name])
        if found := difference(ours, (theta, m), (start, m, g)):
            return f"{name}: {found}"
    return ""


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.clause("C4", "C35")
def test_a_schedule_is_looked_up_in_every_compute_dtype(name: str, door: str) -> None:
    """Ten steps, which go past the table's end; λ by one, too."""
    lr, decay = SCHEDULES[name], Schedule("linear", first=0.7, last=0.2, steps=4)
    tx = lion_jax.lion(lr, weight_decay=decay)
    arrays = {dtype: normal(i, 99, (dtype,) * 3) for i, dtype in enumerate(DTYPES)}
    with jax.enable_x64(True):
        params, state = run(DOORS[door](tx), tx, arrays, 10)
        numbers = [{"lr": lr(t), "weight_decay": decay(t)} for t in range(10)]
        assert not wrong(params, state, arrays, numbers)


@pytest.mark.clause("C35")
def test_a_number_that_xla_forms_has_other_bits() -> None:
    """What the lookup is for: the same formula in float32, as optax has it."""
    lr = SCHEDULES["linear"]

    def formed(count: Any) -> Any:
        ratio = jnp.minimum((count - lr.warmup) / lr.steps, 1.0)
        return jnp.where(
            count < lr.warmup,
            lr.first * (count + 1) / (lr.warmup + 1),
            lr.first + (lr.last - lr.first) * ratio,
        )

    tx = lion_jax.lion(formed, weight_decay=0.0)
    arrays = {"float32": normal(0, 99)}
    params, state = run(DOORS["jit-step"](tx), tx, arrays, 10)
    numbers = [{"lr": lr(t), "weight_decay": 0.0} for t in range(10)]
    assert "θ' differs" in wrong(params, state, arrays, numbers)


@pytest.mark.clause("C35")
def test_a_table_of_the_wrong_dtype_would_be_found() -> None:
    """A float64 leaf needs the float64 table: float32's, widened, is another number."""
    looked = scalars.LookedUp("learning_rate", SCHEDULES["cosine"], jnp.int32(2))
    with jax.enable_x64(True):
        narrow, wide = (float(looked.rounded(np.dtype(x), "keep")) for x in ("float32", "float64"))
    assert wide == SCHEDULES["cosine"](2) != narrow == float(np.float32(wide))


@pytest.mark.clause("C33", "C35")
def test_a_number_that_rounds_up_to_the_smallest_normal_one_is_flushed_if_asked() -> None:
    tiny = 2.0**-126 * (1 - 0.75 * 2.0**-24)
    schedule, compute = Schedule("constant", first=tiny), np.dtype(np.float32)

    @jax.jit
    def lr(count: Any) -> Any:
        looked = scalars.LookedUp("learning_rate", schedule, count)
        return scalars.scalars_for(looked, 0.9, 0.99, 0.0, compute, flush=True).lr

    assert np.float32(tiny) == 2.0**-126
    assert float(lr(0)) == 0.0


@pytest.mark.clause("C35")
def test_one_program_serves_every_count() -> None:
    tx = lion_jax.lion(SCHEDULES["cosine"])
    train = DOORS["jit-step"](tx)
    run(train, tx, {"float32": normal(0, 9)}, 9)
    assert train._cache_size() == 1  # type: ignore[attr-defined]  # there, but not declared


@pytest.mark.parametrize("door", ["step", "jit-step"])
@pytest.mark.clause("C13", "C35")
def test_a_schedule_that_overflows_the_compute_dtype_is_refused(door: str) -> None:
    """Under jit wherever it does; step by step once it does."""
    tx = lion_jax.lion(Schedule("constant", first=1e300))
    with pytest.raises(ValueError, match=r"learning_rate=.*1e\+300.*finite also in float32"):
        run(DOORS[door](tx), tx, {"float32": normal(0, 9)}, 1)


@pytest.mark.clause("C35")
def test_counts_under_vmap_each_have_their_number() -> None:
    """An ensemble whose members have done different numbers of steps."""
    lr = SCHEDULES["exponential"]
    tx = lion_jax.lion(lr, weight_decay=0.0)
    theta, _, g = normal(0, (4, 9))
    counts = jnp.array([0, 3, 6, 90], jnp.int32)
    state = lion_jax.LionState(counts, jnp.zeros((4, 9)))
    params, after = jax.jit(jax.vmap(tx.step))(jnp.asarray(g), state, jnp.asarray(theta))
    for i, count in enumerate(counts.tolist()):
        arrays = theta[i], np.zeros(9, np.float32), g[i]
        expected = reference(arrays, lr=lr(count), weight_decay=0.0)
        ours = np.asarray(params[i]), np.asarray(after.mu[i])
        assert not difference(ours, expected, arrays)


@pytest.mark.clause("C35")
def test_a_schedule_is_no_formula_for_others_to_trace() -> None:
    """By optax.inject_hyperparams, say: in JAX's arithmetic it would have other bits."""
    lr = SCHEDULES["cosine"]
    assert lr(jnp.int32(2)) == lr(2)  # an array that is an integer
    with pytest.raises(jax.errors.TracerIntegerConversionError):
        jax.eval_shape(lr.__call__, jnp.int32(2))
    with pytest.raises(TypeError, match="as an integer"):
        lr(2.0)  # type: ignore[arg-type]  # what is refused
