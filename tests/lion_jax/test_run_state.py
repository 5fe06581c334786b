"""A run state written from JAX and read into it: bits, names, numbers, refusals (SPEC C34)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import equinox
import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import lion_jax
import lion_ref
from lion_jax import run_state as ours
from lion_ref import run_state
from lion_ref.arithmetic import same_bits
from lion_ref.run_state import Group, Header
from lion_ref.schedules import Schedule
from tests.lion_jax.doors import by_step, normal
from tests.lion_jax.runs import equal, grads_of, in_numpy, params_of

LR = Schedule("cosine", first=0.3, last=1e-2, steps=8, warmup=2)
Struct: Any = jax.ShapeDtypeStruct  # JAX declares no types for it


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.safetensors"


@pytest.mark.parametrize("mu_dtype", [None, "bfloat16"])
@pytest.mark.clause("C34", "C35")
def test_numpy_then_jax_then_numpy_is_one_run(mu_dtype: Any, path: Path) -> None:
    """Three steps each, with a schedule, a mask and a momentum of another dtype."""
    names = lion_jax.names.by_name(params_of())
    dtype = "float32" if mu_dtype is None else mu_dtype
    zero = {
        name: (np.asarray(at.leaf), np.zeros(at.leaf.shape, lion_ref.STORAGE_DTYPES[dtype]))
        for name, at in names.items()
    }
    groups = (
        Group(LR(0), 0.8, 0.97, 0.3, names=("dense/kernel",), lr_schedule=LR),
        Group(LR(0), 0.8, 0.97, names=("dense/bias", "scale"), lr_schedule=LR),
    )
    start = Header(0, groups, lion_jax.declared_semantics())
    uninterrupted = in_numpy(dict(zero), start, range(9))

    run_state.save(path, in_numpy(dict(zero), start, range(3)), step=3, groups=groups)
    params, state, header = lion_jax.import_state(path, params=params_of())
    assert {x.dtype.name for x in jax.tree.leaves(state.mu)} == {dtype}
    tx = lion_jax.from_header(header, params)
    train = jax.jit(by_step(tx))
    for step in range(3, 6):
        params, state = train(params, state, grads_of(step))
    lion_jax.export_state(state, path, params=params, tx=tx)

    back = run_state.load(path)
    assert back.header.step == 6
    assert back.header.semantics == lion_jax.declared_semantics()
    assert [x.lr for x in back.header.groups] == [LR(6)] * 2
    assert back.header.group_of("scale").weight_decay == 0.0
    assert back.header.group_of("dense/kernel").weight_decay == 0.3
    assert set(back.header.versions) == {"jax", "optax", "lion_ref"}
    went_on = in_numpy({n: tuple(back.tensors[n]) for n in names}, back.header, range(6, 9))
    assert equal(went_on, uninterrupted)


@pytest.mark.clause("C34")
def test_a_run_that_lost_its_momentum_or_its_step_has_other_bits(path: Path) -> None:
    """What the test before has to see."""
    tx = lion_jax.lion(LR, b1=0.8, b2=0.97)
    params, state = params_of(), tx.init(params_of())
    for step in range(3):
        params, state = by_step(tx)(params, state, grads_of(step))
    on = by_step(tx)(params, state, grads_of(3))
    for wrong in (
        state._replace(mu=jax.tree.map(jnp.zeros_like, state.mu)),
        state._replace(count=jnp.int32(0)),
    ):
        assert not equal(by_step(tx)(params, wrong, grads_of(3)), on)


class Layer(NamedTuple):
    weight: Any
    bias: Any


class Linen(flax.linen.Module):
    @flax.linen.compact
    def __call__(self, x: Any) -> Any:
        return flax.linen.Dense(2)(x)


TREES: dict[str, tuple[Any, list[str]]] = {
    "dict": ({"a": {"b": jnp.ones(1)}}, ["a/b"]),
    "named tuple": ([Layer(jnp.ones(1), None)], ["0/weight"]),
    "haiku": ({"mlp/~/linear": {"w": jnp.ones(1)}}, ["mlp/~/linear/w"]),
    "flax": (
        Linen().init(jax.random.key(0), jnp.ones((1, 3))),
        ["params/Dense_0/bias", "params/Dense_0/kernel"],
    ),
    "nnx": (
        nnx.state(nnx.Linear(2, 3, rngs=nnx.Rngs(0)), nnx.Param),
        ["bias/value", "kernel/value"],
    ),
    "equinox": (
        equinox.filter(equinox.nn.MLP(2, 2, 3, 1, key=jax.random.key(0)), equinox.is_inexact_array),
        ["layers/0/bias", "layers/0/weight", "layers/1/bias", "layers/1/weight"],
    ),
}


@pytest.mark.parametrize("kind", TREES)
@pytest.mark.clause("C34")
def test_names_are_paths_and_trees_come_back_as_they_were(kind: str, path: Path) -> None:
    params, names = TREES[kind]
    tx = lion_jax.lion(0.1)
    state = tx.init(params)._replace(count=jnp.int32(5))
    lion_jax.export_state(state, path, params=params, tx=tx)
    assert sorted(run_state.load(path).tensors) == names
    template = jax.tree.map(lambda x: Struct(x.shape, x.dtype), params)
    assert equal(lion_jax.import_state(path, params=template)[:2], (params, state))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.clause("C34")
def test_every_dtype_bit_for_bit(dtype: str, path: Path) -> None:
    with jax.enable_x64(True):
        params = params_of(dtype)
        params["dense"]["bias"] = jnp.asarray(
            np.array([np.nan, -0.0], lion_ref.STORAGE_DTYPES[dtype])
        )
        tx = lion_jax.lion(0.1)
        state = lion_jax.LionState(jnp.int32(4), jax.tree.map(lambda x: -x, params))
        lion_jax.export_state(state, path, params=params, tx=tx)
        assert equal(lion_jax.import_state(path, params=params)[:2], (params, state))
        inside = run_state.load(path).tensors["dense/kernel"]
        assert same_bits(inside.momentum, np.asarray(state.mu["dense"]["kernel"])).all()


@pytest.mark.clause("C34")
def test_names_and_axes_are_mapped(path: Path) -> None:
    """As from PyTorch, which has the kernel transposed; the header has the names here."""
    weight = normal(0, (2, 3))[:2]
    groups = Group(lr=0.1, names=("fc.weight",))
    run_state.save(path, {"fc.weight": weight}, step=3, groups=groups)
    template = {"fc": {"kernel": jnp.zeros((3, 2))}}
    mapping = {"fc.weight": ("fc/kernel", (1, 0))}
    params, state, header = lion_jax.import_state(path, params=template, mapping=mapping)
    assert same_bits(np.asarray(params["fc"]["kernel"]), weight[0].T).all()
    assert same_bits(np.asarray(state.mu["fc"]["kernel"]), weight[1].T).all()
    assert header.groups[0].names == ("fc/kernel",)
    with pytest.raises(ValueError, match=r"left over in the file: 'fc.weight'; missing"):
        lion_jax.import_state(path, params=template)


@pytest.mark.clause("C34")
def test_axes_are_never_guessed(path: Path) -> None:
    """A square kernel fits either way: without a mapping it stays as it is."""
    square = normal(0, (3, 3))[:2]
    run_state.save(path, {"w": square}, step=0, groups=Group(lr=0.1))
    params, _, _ = lion_jax.import_state(path, params={"w": jnp.zeros((3, 3))})
    assert same_bits(np.asarray(params["w"]), square[0]).all()
    assert not same_bits(np.asarray(params["w"]), square[0].T).all()


@pytest.mark.clause("C34")
def test_what_was_imported_is_no_view_of_the_file(path: Path) -> None:
    """Of 64-byte aligned memory JAX makes an array on a CPU without a copy."""
    theta = np.ones(4096, np.float32)
    run_state.save(path, {"w": (theta, theta)}, step=0, groups=Group(lr=0.1))
    params, state, _ = lion_jax.import_state(path, params={"w": theta})
    path.write_bytes(bytes(path.stat().st_size))
    assert (np.asarray(params["w"]) == 1).all()
    assert (np.asarray(state.mu["w"]) == 1).all()


@pytest.mark.clause("C34")
def test_states_of_optax_and_of_empty_chains_are_taken(path: Path) -> None:
    params = params_of()
    tx = lion_jax.lion(0.1)
    theirs = optax.lion(optax.constant_schedule(0.1)).init(params)
    chained = optax.chain(optax.clip_by_global_norm(1.0), tx).init(params)
    for state in (theirs, chained, {"count": 0, "mu": tx.init(params).mu}):
        lion_jax.export_state(state, path, params=params, tx=tx)
        assert equal(lion_jax.import_state(path, params=params)[1], tx.init(params))


@pytest.mark.clause("C34", "C35")
def test_numbers_are_those_of_the_step_that_comes_next(path: Path) -> None:
    """η of an optax schedule is evaluated at the count; only a schedule with a name is written."""
    params = {"w": jnp.ones(2), "b": jnp.ones(2)}
    state = lion_jax.LionState(jnp.int32(2), params)
    theirs = optax.linear_schedule(0.5, 0.0, 4)

    def groups(tx: Any, **named: Any) -> Any:
        lion_jax.export_state(state, path, params=params, tx=tx, **named)
        return run_state.load(path).header.groups

    tx = lion_jax.lion(theirs, weight_decay=0.1, mask={"w": True, "b": False})
    decaying, other = groups(tx)
    assert (decaying.lr, decaying.lr_schedule, decaying.names) == (0.25, None, ("w",))
    assert (other.lr, other.weight_decay, other.names) == (0.25, 0.0, ("b",))
    ours = Schedule("linear", first=0.5, last=0.0, steps=4)
    assert groups(tx, lr_schedule=ours)[0].lr_schedule == ours
    (group,) = groups(lion_jax.lion(0.1, weight_decay=ours))
    assert (group.weight_decay, group.weight_decay_schedule) == (0.25, ours)
    (group,) = groups(lion_jax.lion(0.1, mask=lambda tree: jax.tree.map(lambda _: False, tree)))
    assert (group.weight_decay, group.names) == (0.0, ("b", "w"))
    other_run = Schedule("linear", first=0.5, last=0.1, steps=4)
    for wrong in (tx, lion_jax.lion(ours)):
        with pytest.raises(
            ValueError, match=r"lr_schedule=Schedule.*gives 0\.3\d* after 2 steps, but"
        ):
            groups(wrong, lr_schedule=other_run)


@pytest.mark.clause("C34")
def test_semantics_are_those_of_the_transformation(path: Path) -> None:
    params = {"w": jnp.ones(2, jnp.bfloat16)}
    tx = lion_jax.lion(0.1, update_dtype="params")
    lion_jax.export_state(tx.init(params), path, params=params, tx=tx)
    expected = lion_jax.declared_semantics(update_dtype="params")
    assert run_state.load(path).header.semantics == expected


@pytest.mark.clause("C34")
def test_a_header_makes_a_transformation() -> None:
    params = {"w": 0.0, "b": 0.0}

    def made(*groups: Group) -> Any:
        return lion_jax.from_header(Header(3, groups), params, mu_dtype="bfloat16").given

    decaying = Group(LR(3), 0.8, 0.97, 0.1, ("w",), LR)
    plain = Group(LR(3), 0.8, 0.97, 0.0, ("b",), LR)
    given = made(decaying, plain)
    assert given[:5] == (LR, 0.8, 0.97, 0.1, {"w": True, "b": False})
    assert made(Group(0.1, names=("w", "b")))[:5] == (0.1, 0.9, 0.99, 0.0, None)
    for other in (
        Group(LR(3), 0.9, 0.97, 0.0, ("b",), LR),
        Group(LR(3), 0.8, 0.97, 0.2, ("b",), LR),
        Group(LR(3), 0.8, 0.97, 0.0, ("b",)),
    ):
        with pytest.raises(ValueError, match="2 groups, which differ in more than λ = 0; legal: "):
            made(decaying, other)


@pytest.mark.clause("C34")
def test_a_header_of_other_parameters_makes_none() -> None:
    """Their λ would be 0, and nobody would see it."""
    params = {"w": 0.0, "b": 0.0}
    for names in (("weight", "bias"), ("w",), ("w", "b", "c")):
        with pytest.raises(ValueError, match=r"is in no group|is no parameter"):
            lion_jax.from_header(Header(3, (Group(0.1, weight_decay=0.1, names=names),)), params)
    every = Header(3, (Group(0.1, weight_decay=0.1),))
    assert lion_jax.from_header(every, params).given.mask is None


W = {"w": jnp.ones(2)}
TX = lion_jax.lion(0.1)


def inside_jit(path: Path) -> None:
    def traced(params: Any) -> Any:
        ours.export_state(TX.init(params), path, params=params, tx=TX)

    jax.jit(traced)(W)


def traced_number(path: Path) -> None:
    state = TX.init(W)

    def traced(lr: Any) -> Any:
        ours.export_state(state, path, params=W, tx=lion_jax.lion(lr))

    jax.jit(traced)(0.1)


def exported(params: Any, state: Any = None, tx: Any = TX, **schedules: Any) -> Any:
    def export(path: Path) -> None:
        own = TX.init(params) if state is None else state
        ours.export_state(own, path, params=params, tx=tx, **schedules)

    return export


def injected() -> Any:
    return optax.inject_hyperparams(lion_jax.lion, static_args=("b1", "b2"))(0.1).init(W)


REFUSED_EXPORTS: dict[str, tuple[Any, str]] = {
    "inside jit": (inside_jit, "has no values"),
    "a traced number": (traced_number, "learning_rate of tx is traced; legal: a number that is"),
    "optax's transformation": (
        exported(W, tx=optax.lion(0.1)),
        "tx is of type optax.*; legal: what lion_jax.lion gives",
    ),
    "a momentum of another tree": (
        exported(W, lion_jax.LionState(jnp.int32(0), {"v": jnp.ones(2)})),
        "state.mu is no tree like params",
    ),
    "a momentum in another order": (
        exported(
            {"a": jnp.ones(2), "b": jnp.ones(3)}, TX.init({"a": jnp.ones(3), "b": jnp.ones(2)})
        ),
        r"at params\['a'\]: momentum has shape \(3,\), but param has shape \(2,\)",
    ),
    "a momentum of a None": (
        exported({"w": jnp.ones(2), "b": None}, TX.init({"w": jnp.ones(2), "b": jnp.ones(2)})),
        "state.mu is no tree like params",
    ),
    "values that are not there": (
        exported({"w": Struct((2,), jnp.float32)}, lion_jax.LionState(jnp.int32(0), W)),
        r"at params\['w'\]: param has no values, a jax.*ShapeDtypeStruct; legal: an array, outside",
    ),
    "integers": (
        exported({"w": jnp.ones(2, jnp.int32)}, lion_jax.LionState(jnp.int32(0), W)),
        r"at params\['w'\]: param has dtype int32; legal: float16",
    ),
    "a function": (
        exported({"w": jnp.tanh}, lion_jax.LionState(jnp.int32(0), W)),
        r"at params\['w'\]: param is of type .*; legal: an array, None. Of a tree that has others",
    ),
    "one array": (exported(jnp.ones(2)), "params is a single array, which has no name; legal: "),
    "two of a name": (
        exported({"a": {"b": jnp.ones(2)}, "a/b": jnp.ones(2)}),
        r"params\['a'\]\['b'\] and params\['a/b'\] are both named 'a/b'; legal: one name for each",
    ),
    "a name that climbs": (
        exported({"..": jnp.ones(2)}),
        r"the name '\.\.' is not legal; legal: 1 to 1000 printable characters",
    ),
    "Adam's state": (exported(W, optax.adam(0.1).init(W)), "state is of type tuple; legal: the st"),
    "two states": (
        exported(W, optax.chain(TX, TX).init(W)),
        "holds 2 states of Lion; legal: the state of one lion_jax.lion or optax.lion",
    ),
    "what would be lost": (
        exported(W, injected()),
        r"holds also the tensor state\.count; legal: .* nothing else, which would be lost",
    ),
    "optax's schedule as one with a name": (
        exported(W, lr_schedule=optax.constant_schedule(0.1)),
        "lr_schedule=<function .* is not legal; legal: a lion_ref.schedules.Schedule, None",
    ),
    "the name of a schedule": (
        exported(W, weight_decay_schedule="cosine"),
        "weight_decay_schedule='cosine' is not legal; legal: a lion_ref.schedules.Schedule, None",
    ),
    "several counts": (
        exported(W, lion_jax.LionState(jnp.zeros(2, jnp.int32), W)),
        "state.count=.* is not legal; legal: an integer",
    ),
}


@pytest.mark.parametrize("kind", REFUSED_EXPORTS)
@pytest.mark.clause("C34")
def test_what_no_file_can_have_is_refused_and_the_old_file_stays(kind: str, path: Path) -> None:
    path.write_text("what was there")
    export, message = REFUSED_EXPORTS[kind]
    with pytest.raises((TypeError, ValueError), match=message) as refusal:
        export(path)
    assert "\n" not in str(refusal.value) or "no tree like" in message
    assert [x.read_text() for x in path.parent.iterdir()] == ["what was there"]


@pytest.mark.clause("C34")
def test_an_export_that_fails_midway_leaves_the_old_file(path: Path) -> None:
    params = params_of()
    state = TX.init(params)
    params["scale"].delete()  # as a donated buffer is, the last of the tree
    path.write_text("what was there")
    with pytest.raises(RuntimeError, match="deleted"):
        lion_jax.export_state(state, path, params=params, tx=TX)
    assert [x.read_text() for x in path.parent.iterdir()] == ["what was there"]


@pytest.mark.clause("C34")
def test_what_does_not_fit_is_refused_by_name(path: Path) -> None:
    wide = np.ones(2)
    run_state.save(path, {"w": (wide, wide)}, step=3, groups=Group(lr=0.1))
    with pytest.raises(ValueError, match="another dtype: 'w' θ float64 in the file, float32 here"):
        lion_jax.import_state(path, params=W)
    abstract = {"w": Struct((2,), np.dtype("float64"))}
    message = r"at params\['w'\]: param has dtype float64, which JAX narrows to float32 while jax_e"
    with pytest.raises(TypeError, match=message):
        lion_jax.import_state(path, params=abstract)
    with jax.enable_x64(True):
        assert lion_jax.import_state(path, params=abstract)[0]["w"].dtype == jnp.float64
    with pytest.raises(TypeError, match=r"at params\['w'\]: param is of type float; legal: an arr"):
        lion_jax.import_state(path, params={"w": 1.0})
    run_state.save(path, {"w": (wide, wide)}, step=2**31, groups=Group(lr=0.1))
    with pytest.raises(ValueError, match="2147483648 steps are done; legal: up to 2147483647"):
        lion_jax.import_state(path, params=abstract)
