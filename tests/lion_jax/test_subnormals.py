"""The choice of a rule for subnormals (SPEC C33): what it gives, costs and refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import lion_jax
from lion_jax import declared, kernel, operations, scalars
from lion_ref import CANONICAL, Semantics, legal_triples, step
from tests.adversarial import Triple, around_underflow, hyperparameters
from tests.lion_jax.doors import (
    DOORS,
    Arrays,
    by_apply_updates,
    by_step,
    difference,
    jitted,
    run,
    run_tree,
)
from tests.lion_jax.keeping import run_by_numpy

pytestmark = pytest.mark.clause("C18", "C33")

FLUSH = Semantics(subnormals="flush")
SINGLE: Triple = ("float32",) * 3
JUST_BELOW = 2.0**-126 - 2.0**-150
"""Tiny in float32, though gradual underflow rounds it up to the smallest normal number."""
SCALARS: dict[str, dict[str, float]] = {
    "drawn": hyperparameters(np.random.default_rng(2)),
    "eta small": {"lr": 1.25 * 2.0**-126, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.0},
    "eta tiny": {"lr": JUST_BELOW, "beta1": 0.9, "beta2": 0.99, "weight_decay": 2.0**-130},
    "betas tiny": {"lr": 2.0**-3, "beta1": JUST_BELOW, "beta2": 1e-40, "weight_decay": 0.5},
    "large": {"lr": 2.0**100, "beta1": 0.5, "beta2": 1 - 2.0**-24, "weight_decay": 1e38},
}


def transformation(values: dict[str, float], **options: Any) -> Any:
    return lion_jax.lion(
        values["lr"],
        values["beta1"],
        values["beta2"],
        weight_decay=values["weight_decay"],
        **{"subnormals": "flush"} | options,
    )


def drawn(triple: Triple, values: dict[str, float], size: int = 2003) -> Arrays:
    factors = [*values.values(), 1 - values["beta1"], 1 - values["beta2"]]
    return around_underflow(np.random.default_rng(len(triple[0])), triple, size, *factors)


def expected(arrays: Arrays, values: dict[str, float]) -> tuple[Any, Any]:
    return step(*arrays, **values, semantics=FLUSH)


def stepping(tx: Any) -> Callable[..., Any]:
    """A step as a function of arrays alone."""

    def train(theta: Any, m: Any, g: Any) -> Any:
        params, state = tx.step(g, lion_jax.LionState(jnp.zeros([], jnp.int32), m), theta)
        return params, state.mu

    return train


def trees(triples: Sequence[Triple], values: dict[str, float]) -> tuple[dict[Any, Arrays], Any]:
    """A leaf for each triple, and the trees of θ, m and g."""
    arrays = {triple: drawn(triple, values) for triple in triples}
    return arrays, tuple({str(key): x[i] for key, x in arrays.items()} for i in range(3))


def unlike_the_reference(values: dict[str, float]) -> dict[Triple, str]:
    """What the program for a platform that keeps subnormals gives, where it is wrong."""
    arrays, (theta, m, g) = trees(legal_triples(), values)
    with jax.enable_x64(True):
        new_theta, new_m = run_by_numpy(stepping(transformation(values)), theta, m, g)
    found = {
        key: difference((new_theta[str(key)], new_m[str(key)]), expected(x, values), x)
        for key, x in arrays.items()
    }
    return {key: words for key, words in found.items() if words}


@contextmanager
def retraced() -> Iterator[None]:
    """What is traced inside is traced there, and not kept."""
    jax.clear_caches()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        jax.clear_caches()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("values", SCALARS.values(), ids=SCALARS)
def test_flushed_as_the_reference_does_on_a_cpu(values: dict[str, float]) -> None:
    triples = legal_triples() if values is SCALARS["drawn"] else legal_triples()[::4]
    arrays = {triple: drawn(triple, values) for triple in triples}
    with jax.enable_x64(True):
        ours = run_tree(jitted(by_step)(transformation(values)), arrays)
    for triple, given in arrays.items():
        assert not difference(ours[triple], expected(given, values), given)


@pytest.mark.parametrize("door", DOORS)
def test_by_every_door(door: str) -> None:
    values = SCALARS["eta tiny"]
    arrays = drawn(("bfloat16", "float32", "float32"), values)
    ours = run(DOORS[door](transformation(values)), arrays)
    assert not difference(ours, expected(arrays, values), arrays)


@pytest.mark.parametrize("values", SCALARS.values(), ids=SCALARS)
def test_flushed_where_the_platform_keeps_them(values: dict[str, float]) -> None:
    assert not unlike_the_reference(values)


def test_the_flush_of_a_platform_that_keeps_changes_nothing_on_a_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (kernel, scalars):
        monkeypatch.setattr(module, "where_flushing", lambda native, flushed, *xs: flushed(*xs))
    values = SCALARS["drawn"]
    arrays = {triple: drawn(triple, values) for triple in legal_triples()[::4]}
    with retraced(), jax.enable_x64(True):
        for door in (by_apply_updates, by_step):
            ours = run_tree(jitted(door)(transformation(values)), arrays)
            for triple, given in arrays.items():
                assert not difference(ours[triple], expected(given, values), given)


KEPT = operations.Operations
FLUSHED = operations.FlushedOperations
WRONG: dict[str, tuple[Any, str, Any]] = {
    "the switch is ignored": (kernel, "where_flushing", lambda native, _, *xs: native(*xs)),
    "operands are kept": (FLUSHED, "load", KEPT.load),
    "products are kept": (FLUSHED, "product", KEPT.product),
    "a product counts as gradual underflow rounds it": (
        FLUSHED,
        "product",
        lambda self, scalar, x: self.add(scalar * x, jnp.zeros_like(x)),
    ),
    "sums are kept": (FLUSHED, "add", KEPT.add),
    "differences are kept": (FLUSHED, "subtract", KEPT.subtract),
    "what is stored is kept": (FLUSHED, "store", KEPT.store),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_flush_is_caught(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*WRONG[wrong])
    with retraced():
        assert any(map(unlike_the_reference, SCALARS.values()))


def traced_scalars(values: dict[str, float], dtype: Any) -> str:
    """What a step differs in whose four scalars are traced, by NumPy."""
    arrays = drawn(SINGLE, values)
    given = {name: jnp.asarray(value, dtype) for name, value in values.items()}

    def train(given: Any, theta: Any, m: Any, g: Any) -> Any:
        return stepping(transformation(given))(theta, m, g)

    ours = run_by_numpy(train, {k: np.asarray(x) for k, x in given.items()}, *arrays)
    binary64 = {name: float(np.asarray(value)) for name, value in given.items()}
    return difference(ours, expected(arrays, binary64), arrays)


@pytest.mark.parametrize("values", SCALARS.values(), ids=SCALARS)
def test_traced_scalars_are_flushed_as_they_are_rounded(values: dict[str, float]) -> None:
    with jax.enable_x64(True):
        assert not traced_scalars(values, jnp.float64)


def test_traced_scalars_that_are_not_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scalars, "_flushed", lambda value, compute: value.astype(compute))
    with retraced(), jax.enable_x64(True):
        assert traced_scalars(SCALARS["eta tiny"], jnp.float64)


def compiled(subnormals: str, door: Any, triple: Triple, traced: bool) -> str:
    """What XLA makes of a step, without names and places in the source."""
    values = SCALARS["large"]

    def train(values: Any, theta: Any, m: Any, g: Any) -> Any:
        state = lion_jax.LionState(jnp.zeros([], jnp.int32), m)
        return door(transformation(values, subnormals=subnormals))(theta, state, g)

    whole = jax.jit(train if traced else partial(train, values))
    given = ({key: jnp.float32(x) for key, x in values.items()},) if traced else ()
    text = whole.lower(*given, *map(jnp.asarray, drawn(triple, values))).compile().as_text() or ""
    names: dict[str, str] = {}
    operations = re.sub(r", metadata=\{[^}]*\}", "", text[text.index("\n%") :])
    return re.sub(r"%[\w.-]+", lambda name: names.setdefault(name[0], f"%{len(names)}"), operations)


@pytest.mark.parametrize("door", [by_apply_updates, by_step])
@pytest.mark.parametrize("traced", [False, True], ids=["numbers", "traced"])
@pytest.mark.parametrize("triple", legal_triples()[::11], ids="-".join)
def test_a_cpu_has_the_program_that_it_has_anyway(triple: Triple, traced: bool, door: Any) -> None:
    """Not an operation of what is compiled differs, so it costs nothing."""
    with jax.enable_x64(True):
        program = compiled("native", door, triple, traced)
        assert compiled("flush", door, triple, traced) == program
        assert "multiply" in program


def test_another_program_is_told_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    program = compiled("native", by_step, SINGLE, False)
    monkeypatch.setattr(kernel, "where_flushing", lambda _, flushed, *xs: flushed(*xs))
    with retraced():
        assert compiled("flush", by_step, SINGLE, False) != program


def test_a_gpu_has_another() -> None:
    def program(subnormals: str, platform: str) -> str:
        train = jax.jit(stepping(transformation(SCALARS["drawn"], subnormals=subnormals)))
        struct: Any = jax.ShapeDtypeStruct
        x = struct((7,), jnp.float32)
        return str(jax.export.export(train, platforms=[platform])(x, x, x).mlir_module())

    for platform in ("cuda", "rocm"):
        assert program("native", platform).count("stablehlo.compare") == 1  # of C7
        assert program("flush", platform).count("stablehlo.compare") == 1 + 3 + 6 + 4


def test_in_vmap_sharded_masked_and_in_thetas_dtype() -> None:
    values = SCALARS["eta tiny"]
    arrays = drawn(SINGLE, values, 16)
    rows: Any = tuple(x.reshape(8, 2) for x in arrays)
    train = stepping(transformation(values))
    wanted = expected(rows, values)
    assert not difference(jax.vmap(train)(*rows), wanted, rows)
    along: Any = PartitionSpec
    sharding = NamedSharding(Mesh(np.asarray(jax.devices()[:8]), "x"), along("x"))
    placed = [jax.device_put(x, sharding) for x in rows]
    assert not difference(jax.jit(train)(*placed), wanted, rows)
    masked = stepping(transformation(values, mask=False))(*rows)
    assert not difference(masked, expected(rows, values | {"weight_decay": 0.0}), rows)
    halves = drawn(("bfloat16",) * 3, SCALARS["drawn"])
    narrow = transformation(SCALARS["drawn"], update_dtype="params")
    ours = run(jitted(by_apply_updates)(narrow), halves)
    semantics = lion_jax.declared_semantics(update_dtype="params", subnormals="flush")
    wanted = step(*halves, **SCALARS["drawn"], semantics=semantics)
    assert not difference(ours, wanted, halves)


def test_in_inject_hyperparams() -> None:
    arrays = drawn(SINGLE, SCALARS["drawn"])
    tx = optax.inject_hyperparams(lion_jax.lion, static_args=("b1", "b2"))(
        learning_rate=1e-40, b1=0.9, b2=0.99, weight_decay=0.5, subnormals="flush"
    )
    theta, m, g = map(jnp.asarray, arrays)
    state = tx.init(theta)
    state = state._replace(inner_state=state.inner_state._replace(mu=m))
    updates, state = jax.jit(tx.update)(g, state, theta)
    ours = optax.apply_updates(theta, updates), state.inner_state.mu
    wanted = expected(arrays, {"lr": 1e-40, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.5})
    assert not difference(ours, wanted, arrays)


def test_what_is_declared() -> None:
    for platform in ("cpu", "cuda", "gpu", "rocm"):
        assert lion_jax.declared_semantics(platform, subnormals="flush") == FLUSH
    assert lion_jax.declared_semantics("gpu", subnormals="keep") == CANONICAL
    assert lion_jax.declared_semantics("cpu", subnormals="native") == FLUSH


def test_what_a_cpu_has_is_found_where_it_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an Arm processor; here it is found for this one."""
    found = declared._on_a_cpu.__wrapped__
    assert found() == FLUSH
    monkeypatch.setattr(declared, "machine", lambda: "aarch64")
    assert found() == FLUSH
    monkeypatch.setattr(declared, "step", lambda *xs, **_: xs[:2])
    with pytest.raises(RuntimeError, match="no declared semantics"):
        found()


def test_what_is_refused() -> None:
    legal = "legal: 'native', 'flush', 'keep'"
    doors: tuple[Any, ...] = (partial(lion_jax.lion, 0.1), lion_jax.declared_semantics)
    for refusing in doors:
        for wrong in ("flushed", None, True, "flush-before-rounding"):
            with pytest.raises(ValueError, match=f"subnormals=.*{wrong}.* is not legal; {legal}"):
                refusing(subnormals=wrong)
        with pytest.raises(ValueError, match="subnormals='keep' is not legal for lion_jax") as said:
            refusing(subnormals="keep")
        assert str(said.value) == (
            "subnormals='keep' is not legal for lion_jax on platform 'cpu': XLA flushes them "
            "there, and has no option not to; legal: 'native', 'flush'"
        )


def test_arrays_on_a_cpu_where_the_default_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    tx = lion_jax.lion(0.1, subnormals="keep")
    params = {"a": jnp.ones(3), "b": None, "c": jnp.ones(2)}
    state = tx.init(params)
    for stepped in (tx.step, tx.update):
        with pytest.raises(ValueError, match=r"'keep' is not legal .* 'cpu'"):
            stepped(params, state, params)
    assert int(state.count) == 0
    assert all(not x.any() for x in jax.tree.leaves(state.mu))
    jax.eval_shape(tx.step, params, state, params)  # traced: taken to be for the GPU


def test_a_sum_that_the_caller_forms_is_not_flushed_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tx, params = lion_jax.lion(0.1, subnormals="flush"), jnp.ones(3)
    state = tx.init(params)
    tx.update(params, state, params)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with pytest.raises(ValueError, match="subnormals='flush' is not legal for update") as said:
        jax.jit(tx.update)(params, state, params)
    assert str(said.value).endswith(
        "legal: step, which forms θ' itself; for update, 'native', 'keep'"
    )
    jax.jit(tx.step)(params, state, params)
