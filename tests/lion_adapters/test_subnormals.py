"""`lion_adapters.pick` with a rule for subnormals (SPEC C33)."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import lion_ref
from lion_adapters import pick, preset
from lion_ref import CANONICAL, Semantics
from lion_ref.arithmetic import Array, same_bits
from tests.adversarial import around_underflow

pytestmark = pytest.mark.clause("C33")

FLUSH = Semantics(subnormals="flush")
SCALARS = {"lr": 2.0**-126, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.5}


def drawn() -> tuple[Array, Array, Array]:
    factors = (0.9, 0.99, 0.1, 0.01, 0.5)
    return around_underflow(np.random.default_rng(3), ("float32",) * 3, 999, *factors)


def by_torch(module: ModuleType, theta: Array, m: Array, g: Array) -> tuple[Array, Array]:
    torch: Any = pytest.importorskip("torch")
    param = torch.nn.Parameter(torch.from_numpy(theta.copy()))
    optimizer = module.Lion(
        [param], lr=SCALARS["lr"], betas=(0.9, 0.99), weight_decay=SCALARS["weight_decay"]
    )
    optimizer.state[param]["exp_avg"] = torch.from_numpy(m.copy())
    param.grad = torch.from_numpy(g.copy())
    optimizer.step()
    return param.detach().numpy(), optimizer.state[param]["exp_avg"].numpy()


def by_jax(module: ModuleType, theta: Array, m: Array, g: Array) -> tuple[Array, Array]:
    jnp: Any = pytest.importorskip("jax.numpy")
    tx = module.lion(SCALARS["lr"], 0.9, 0.99, weight_decay=SCALARS["weight_decay"])
    state = module.LionState(jnp.zeros([], jnp.int32), jnp.asarray(m))
    params, state = tx.step(jnp.asarray(g), state, jnp.asarray(theta))
    return np.asarray(params), np.asarray(state.mu)


def by_tensorflow(module: ModuleType, theta: Array, m: Array, g: Array) -> tuple[Array, Array]:
    tf: Any = pytest.importorskip("tensorflow")
    variable = tf.Variable(tf.constant(theta))
    optimizer = module.Lion(SCALARS["lr"], 0.9, 0.99, weight_decay=SCALARS["weight_decay"])
    optimizer.build([variable])
    optimizer.variables[-1].value.assign(tf.constant(m))
    optimizer.apply([tf.constant(g)], [variable])
    return variable.numpy(), optimizer.variables[-1].numpy()


def by_step(module: ModuleType, *arrays: Array) -> tuple[Array, Array]:
    found: tuple[Array, Array] = module.step(*arrays, **SCALARS)
    return found


DOORS: dict[str, Callable[..., tuple[Array, Array]]] = {
    "torch": by_torch,
    "jax": by_jax,
    "tensorflow": by_tensorflow,
    "numpy": by_step,
    "array-api": by_step,
}


def unlike(backend: str, module: ModuleType, semantics: Semantics) -> bool:
    arrays = drawn()
    pairs = zip(
        DOORS[backend](module, *arrays),
        lion_ref.step(*arrays, **SCALARS, semantics=semantics),
        strict=True,
    )
    return not all(same_bits(*pair).all() for pair in pairs)


@pytest.mark.parametrize("backend", DOORS)
def test_all_flush_alike(backend: str) -> None:
    assert not unlike(backend, pick(backend, subnormals="flush"), FLUSH)


@pytest.mark.parametrize("backend", ["torch", "numpy", "array-api"])
def test_those_that_can_keep_do(backend: str) -> None:
    assert not unlike(backend, pick(backend, subnormals="keep"), CANONICAL)


def test_an_adapter_that_has_not_chosen_is_told_from_it() -> None:
    assert unlike("numpy", pick("numpy"), FLUSH)


@pytest.mark.parametrize("backend", DOORS)
def test_the_names_are_the_adapters_own(backend: str) -> None:
    module, chosen = pick(backend), pick(backend, subnormals="flush")
    assert pick(backend, subnormals="native") is module
    assert (chosen.__name__, chosen.__doc__) == (module.__name__, module.__doc__)
    assert chosen.__all__ == list(module.__all__)
    for name in module.__all__:
        own, whole = getattr(chosen, name), getattr(module, name)
        if name in preset._CHOOSING:
            assert (own.func, len(own.keywords)) == (whole, 1)
        else:
            assert own is whole


@pytest.mark.parametrize("backend", ["torch", "jax", "tensorflow"])
def test_what_is_declared_is_that_of_the_choice(backend: str) -> None:
    assert pick(backend, subnormals="flush").declared_semantics() == FLUSH


def test_a_schedule_wrapper_takes_the_chosen_lion() -> None:
    optax: Any = pytest.importorskip("optax")
    lion = pick("jax", subnormals="flush").lion
    with pytest.raises(TypeError, match="mask can be called"):  # as it is of the adapter's own
        optax.inject_hyperparams(lion)(0.1, mask=lambda params: True).init(np.ones(1))


@pytest.mark.parametrize(
    ("backend", "where"),
    [("jax", "lion_jax on platform 'cpu'"), ("tensorflow", "lion_tf on the default device")],
)
def test_keep_is_refused_at_once_on_a_cpu(backend: str, where: str) -> None:
    pick(backend)
    with pytest.raises(ValueError, match="subnormals='keep'") as said:
        pick(backend, subnormals="keep")
    assert str(said.value) == (
        f"subnormals='keep' is not legal for {where}: XLA flushes them there, and has no option "
        "not to; legal: 'native', 'flush'"
    )


def test_keep_is_refused_of_arrays_whose_namespace_flushes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strict = pytest.importorskip("array_api_strict")
    adapter = pick("array-api")
    array = strict.asarray([1.0])
    assert pick([array], subnormals="keep").__name__ == "lion_array_api"
    from lion_array_api import checks

    monkeypatch.setattr(checks, "_KEPT", {})
    monkeypatch.setattr(checks, "_keeps", lambda *_: False)
    assert adapter is pick([array])
    with pytest.raises(ValueError, match="subnormals='keep' is not legal for array_api_strict"):
        pick([array], subnormals="keep")


@pytest.mark.parametrize("wrong", ["flushed", None, 1])
def test_an_illegal_choice_is_refused_before_anything_is_imported(wrong: Any) -> None:
    for backend in ("numpy", "caffe"):
        with pytest.raises(ValueError, match=f"^subnormals={wrong!r} is not legal; legal: "):
            pick(backend, subnormals=wrong)
