"""Eight devices: the bits of one, no collective in the step, the state where its parameter is."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import lion_jax
from lion_jax import transformation
from tests.lion_jax.doors import (
    by_apply_updates,
    by_sharded_step,
    by_step,
    difference,
    normal,
    reference,
)

# JAX declares no types for these two.
P: Any = PartitionSpec
shard_map: Any = jax.shard_map

SHAPES = {"embedding": (64, 16), "kernel": (16, 32), "bias": (32,), "scale": ()}
LAYOUTS: dict[str, dict[str, Any]] = {
    "replicated": dict.fromkeys(SHAPES, P()),
    "fsdp": {
        "embedding": P(("data", "model")),
        "kernel": P(("data", "model")),
        "bias": P(("data", "model")),
        "scale": P(),
    },
    "tensor-parallel": {
        "embedding": P("model"),
        "kernel": P(None, "model"),
        "bias": P("model"),
        "scale": P(),
    },
    "both": {
        "embedding": P("data", "model"),
        "kernel": P("model", "data"),
        "bias": P("data"),
        "scale": P(),
    },
}
COLLECTIVES = re.compile(r"all-(?:reduce|gather|to-all)|reduce-scatter|collective-\w+")
DOOR = pytest.mark.parametrize("door", [by_apply_updates, by_sharded_step])

pytestmark = pytest.mark.skipif(
    len(jax.devices()) < 8, reason="needs eight devices: jax was in use before they could be forced"
)


def lion() -> Any:
    return lion_jax.lion(0.1, weight_decay=0.3)


def on_mesh(axis_type: Any, layout: str) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """The shardings of a layout, (θ, m, g) for each name, and the mesh.

    Specs are spelled as a step's results will spell them; another spelling means another program.
    """
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(axis_type,) * 2)
    shardings = {}
    for name, spec in LAYOUTS[layout].items():
        rest = len(SHAPES[name]) - len(spec) if axis_type == AxisType.Explicit else 0
        shardings[name] = NamedSharding(mesh, P(*spec, *[None] * rest))
    arrays = {k: normal(i, shape) for i, (k, shape) in enumerate(SHAPES.items())}
    return shardings, arrays, mesh


def put(arrays: Any, index: int, shardings: Any) -> Any:
    return {k: jax.device_put(arrays[k][index], shardings[k]) for k in arrays}


def check(params: Any, mu: Any, arrays: Any, steps: int) -> None:
    for name, (start, _, g) in arrays.items():
        theta, m = start, np.zeros_like(start)
        for _ in range(steps):
            theta, m = reference((theta, m, g), lr=0.1, weight_decay=0.3)
        ours = np.asarray(params[name]), np.asarray(mu[name])
        assert not difference(ours, (theta, m), (start, np.zeros_like(start), g)), name


@DOOR
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("axis_type", [AxisType.Auto, AxisType.Explicit], ids=lambda x: x.name)
@pytest.mark.clause("C12")
def test_every_layout(axis_type: Any, layout: str, door: Callable[[Any], Any]) -> None:
    shardings, arrays, _ = on_mesh(axis_type, layout)
    params, grads = put(arrays, 0, shardings), put(arrays, 2, shardings)
    tx = lion()
    state = tx.init(params)
    train = jax.jit(door(tx), donate_argnums=(0, 1))
    hlo = train.lower(params, state, grads).compile().as_text() or ""
    assert not COLLECTIVES.findall(hlo)
    before = jax.tree.map(lambda x: x.sharding, state)
    for _ in range(3):
        params, state = train(params, state, grads)
    assert jax.tree.map(lambda x: x.sharding, state) == before
    for name, sharding in shardings.items():
        assert params[name].sharding == sharding
        assert state.mu[name].sharding == sharding
    assert train._cache_size() == 1  # type: ignore[attr-defined]  # there, but not declared
    check(params, state.mu, arrays, 3)


def test_a_step_that_takes_them_for_one_device_would_send_an_element_around(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transformation, "may_be_sharded", lambda *_: False)
    shardings, arrays, _ = on_mesh(AxisType.Auto, "fsdp")
    params, grads = put(arrays, 0, shardings), put(arrays, 2, shardings)
    tx = lion()
    train = jax.jit(by_sharded_step(tx))
    hlo = train.lower(params, tx.init(params), grads).compile().as_text() or ""
    assert COLLECTIVES.findall(hlo)


@pytest.mark.parametrize("spec", [P(), P("x"), P(None, "x")])
@pytest.mark.clause("C12")
def test_a_mesh_of_one_device(spec: Any) -> None:
    """Its axes are explicit, and JAX refuses to flatten an array along one."""
    mesh = jax.make_mesh((1,), ("x",), (AxisType.Explicit,), devices=jax.devices()[:1])
    arrays = normal(12, (8, 16))
    theta, m, g = (jax.device_put(x, NamedSharding(mesh, spec)) for x in arrays)
    params, state = jax.jit(by_step(lion()))(theta, lion_jax.LionState(jnp.int32(0), m), g)
    expected = reference(arrays, lr=0.1, weight_decay=0.3)
    assert not difference((np.asarray(params), np.asarray(state.mu)), expected, arrays)


def test_a_step_traced_on_one_device_for_a_mesh_has_no_collective() -> None:
    mesh = jax.sharding.AbstractMesh((8,), ("x",), axis_types=(AxisType.Auto,))
    spec = NamedSharding(mesh, P("x"))
    x: Any = jax.ShapeDtypeStruct((64,), "float32", sharding=spec)  # type: ignore[no-untyped-call]
    tx = lion()
    state = lion_jax.LionState(jnp.int32(0), x)
    alone = jax.make_jaxpr(by_step(tx))(x, state, x)
    assert str(alone) == str(jax.make_jaxpr(by_sharded_step(tx))(x, state, x))


@DOOR
@pytest.mark.clause("C12")
def test_shard_map(door: Callable[[Any], Any]) -> None:
    shardings, arrays, mesh = on_mesh(AxisType.Auto, "both")
    params, grads = put(arrays, 0, shardings), put(arrays, 2, shardings)
    tx = lion()
    specs = LAYOUTS["both"]
    state_specs = lion_jax.LionState(count=P(), mu=specs)
    mapped = shard_map(
        door(tx),
        mesh=mesh,
        in_specs=(specs, state_specs, specs),
        out_specs=(specs, state_specs),
    )
    train, state = jax.jit(mapped), tx.init(params)
    for _ in range(3):
        params, state = train(params, state, grads)
    check(params, state.mu, arrays, 3)


@DOOR
@pytest.mark.clause("C12")
def test_pmap(door: Callable[[Any], Any]) -> None:
    theta, m, g = normal(9, (8, 33))
    tx = lion()

    def one(theta: Any, mu: Any, g: Any) -> Any:
        params, state = door(tx)(theta, lion_jax.LionState(jnp.int32(0), mu), g)
        return params, state.mu

    ours = jax.pmap(one)(theta, m, g)
    expected = reference((theta, m, g), lr=0.1, weight_decay=0.3)
    assert not difference((np.asarray(ours[0]), np.asarray(ours[1])), expected, (theta, m, g))


def test_data_parallel_training_ends_in_the_same_bits_on_every_device() -> None:
    """Batches split over eight devices, gradients summed in one order: replicas never part."""
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(AxisType.Auto,))
    x = jax.device_put(normal(10, (64, 16))[0], NamedSharding(mesh, P("batch")))
    params = jax.device_put(normal(11, (16, 4))[0], NamedSharding(mesh, P()))
    tx = lion()
    state = tx.init(params)

    @jax.jit
    def train(params: Any, state: Any, x: Any) -> Any:
        grads = jax.grad(lambda p: jnp.mean((x @ p) ** 2))(params)
        return tx.step(grads, state, params)

    for _ in range(20):
        params, state = train(params, state, x)
    for leaf in (params, state.mu):
        first, *others = (np.asarray(shard.data) for shard in leaf.addressable_shards)
        assert all((first == other).all() for other in others)
