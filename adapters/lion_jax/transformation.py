"""Lion as an optax transformation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Self

import jax
import optax

from lion_jax import kernel
from lion_jax.checks import Leaf, aligned, check_update_dtype, momentum_dtype
from lion_jax.declared import check_kept, check_summed, declared_semantics, platforms_of
from lion_jax.mask import guarding_mask, mask_given
from lion_jax.scalars import beta, rate, rate_at, scalars_for
from lion_jax.state import LionState, initial_state, lion_state
from lion_ref import Semantics
from lion_ref.subnormals import check_subnormals

Tree = Any
Kernel = Callable[[Any, Any, Any, Any], tuple[Any, Any]]


class Given(NamedTuple):
    """What a transformation was made of, checked, and its semantics on a platform."""

    learning_rate: Any
    b1: Any
    b2: Any
    weight_decay: Any
    mask: Any
    semantics: Callable[[str], Semantics]


class LionTransformation(optax.GradientTransformationExtraArgs):  # type: ignore[misc]  # Any to mypy
    """An optax transformation (init, update) that also offers the whole step in one function."""

    step: Callable[..., tuple[Tree, Any]]
    given: Given

    def __new__(cls, init: Any, update: Any, step: Any, given: Given) -> Self:
        """The pair that optax knows, which unpacks as one, with the step and the numbers beside."""
        transformation: Self = super().__new__(cls, init, update)
        transformation.step = step
        transformation.given = given
        return transformation


@guarding_mask
def lion(
    learning_rate: Any,
    b1: Any = 0.9,
    b2: Any = 0.99,
    mu_dtype: Any = None,
    weight_decay: Any = 1e-3,
    mask: Any = None,
    *,
    update_dtype: Any = "compute",
    subnormals: Any = "native",
) -> LionTransformation:
    r"""Lion, with optax.lion's arguments and lion_ref's bits, inside jit and outside.

        u  = sign(β1·m + (1-β1)·g)
        θ' = θ - η·(u + λ·θ)
        m' = β2·m + (1-β2)·g

    Rounding order (SPEC C5): a = β1⊗m, b = (1-β1)⊗g, c = a⊕b, u = sign(c); d = λ⊗θ, s = u⊕d,
    e = η⊗s, θ' = θ⊖e; x = β2⊗m, y = (1-β2)⊗g, m' = x⊕y, each one IEEE 754 operation in float64
    if θ is float64, else in float32, contracted with no other; θ' and m' are rounded once more, to
    their dtypes. XLA flushes subnormals on a CPU (see `declared_semantics`), and keeps them on a
    GPU; with `subnormals="flush"` they are flushed on both, as by every adapter (SPEC C33).

    `update` returns -e in the compute dtype, so float32 for a bfloat16 or float16 parameter:
    `optax.apply_updates` then rounds θ' once. `step(grads, state, params) -> (params, state)` forms
    θ' itself: the same bits, in about half the time on a CPU, when params and state are
    donated. With `update_dtype="params"` updates have their parameters' dtypes, as optax asks, and
    θ' is rounded twice (SPEC C31); `step` is as before.

    Args:
        learning_rate: η: a number, a schedule (called with the count of steps done), or a traced
            scalar as inject_hyperparams passes it. A `lion_ref.schedules.Schedule` is looked up,
            with the bits that it has everywhere (SPEC C35); optax's are formed in float32.
        b1: β1 in [0, 1). A traced β is the number of its dtype: float32's 0.9 is not 0.9. Name the
            betas in inject_hyperparams' static_args to keep binary64's.
        b2: β2, likewise.
        mu_dtype: dtype of the momentum; each parameter's own if None.
        weight_decay: λ: like learning_rate. It is multiplied by η.
        mask: a tree of booleans, a prefix of the parameters', or a callable that gives one for the
            parameters; False means λ = 0 for that leaf. Name it in inject_hyperparams' static_args.
        update_dtype: "compute": exact updates, float32 for 16-bit parameters; "params": each of its
            parameter's dtype, for `optax.apply_if_finite`, a `lax.cond` that skips a step, strict
            promotion, `equinox.apply_updates`.
        subnormals: "native": as XLA treats them on the platform; "flush": flushed on every platform
            (SPEC C18, C33), at no cost on a CPU; "keep": kept, not on a CPU. Where XLA keeps them,
            only `step` can flush: θ' of `update` is the caller's sum.

    Returns:
        A transformation whose state is a `LionState(count, mu)`, or optax.lion's, continued. Leaves
        may be of any shape; None leaves are passed over.

    Raises:
        TypeError: a dtype that SPEC C2 and C3 refuse, a scalar that is no real number, a mask that
            optax.inject_hyperparams calls, a mu_dtype that it has made a number of.
        ValueError: a scalar outside its range, unless it is traced; shapes that differ; no params;
            an update_dtype or a choice of subnormals that there is not; "keep" where the default
            backend is a CPU, or for arrays on one; `update` with "flush" where XLA keeps them.
            What is traced is taken to be for the default backend.

    Source: Chen et al., "Symbolic Discovery of Optimization Algorithms", arXiv 2302.06675.

    >>> import jax, jax.numpy as jnp, optax
    >>> tx = lion(0.5, weight_decay=0.25)
    >>> params = jnp.array([1.0, 2.0])
    >>> state = tx.init(params)
    >>> updates, state = jax.jit(tx.update)(jnp.array([-3.0, -0.5]), state, params)
    >>> optax.apply_updates(params, updates)
    Array([1.375, 2.25 ], dtype=float32)
    >>> tx.step(jnp.array([-3.0, -0.5]), tx.init(params), params)[0]
    Array([1.375, 2.25 ], dtype=float32)
    """
    lr_given, decay_given = rate("learning_rate", learning_rate), rate("weight_decay", weight_decay)
    beta1, beta2 = beta("b1", b1), beta("b2", b2)
    mu_dtype = momentum_dtype(mu_dtype)
    mask = mask_given(mask)
    check_update_dtype(update_dtype)
    check_subnormals(subnormals)
    if subnormals == "keep":  # else nothing asks for the platform: it would start JAX's devices
        check_kept(subnormals, jax.default_backend())
    flush = subnormals == "flush"

    def init(params: Tree) -> Any:
        return initial_state(params, mu_dtype)

    def over_leaves(
        run: Kernel, skipped: Any, grads: Tree, state: Any, params: Tree, *, refuse: Any
    ) -> tuple[Tree, Any]:
        if params is None:
            raise ValueError(
                "params is None, but Lion needs them; legal: the parameters, as in "
                "update(grads, state, params)"
            )
        state = lion_state(state)
        structure, leaves = aligned(params, state.mu, grads, mask)
        if refuse is not None:
            arrays = [x for leaf in leaves if not leaf.absent for x in (leaf.theta, leaf.m, leaf.g)]
            for platform in platforms_of(arrays):
                refuse(subnormals, platform)
        lr = rate_at("learning_rate", lr_given, state.count)
        decay = rate_at("weight_decay", decay_given, state.count)

        def results(leaf: Leaf) -> tuple[Any, Any]:
            if leaf.absent:
                return skipped(leaf), leaf.m
            own_decay = decay if leaf.decays else 0.0
            scalars = scalars_for(lr, beta1, beta2, own_decay, leaf.compute, flush=flush)
            return run(leaf.theta, leaf.m, leaf.g, scalars)

        pairs = [results(leaf) for leaf in leaves]
        mu = structure.unflatten([m for _, m in pairs])
        return (
            structure.unflatten([first for first, _ in pairs]),
            LionState(optax.safe_increment(state.count), mu),
        )

    # Named as optax names them, for who passes them by name; what is theirs is no extra argument.
    def update(updates: Tree, state: Any, params: Tree = None, **_: Any) -> tuple[Tree, Any]:
        run = partial(kernel.update, stored=update_dtype == "params", flush=flush)
        refuse = None if subnormals == "native" else check_summed
        return over_leaves(run, lambda _: None, updates, state, params, refuse=refuse)

    def step(grads: Tree, state: Any, params: Tree) -> tuple[Tree, Any]:
        def run(theta: Any, m: Any, g: Any, scalars: Any) -> Any:
            sharded = may_be_sharded(theta, m, g)
            return kernel.step(theta, m, g, scalars, sharded=sharded, flush=flush)

        refuse = check_kept if subnormals == "keep" else None
        return over_leaves(run, lambda leaf: leaf.theta, grads, state, params, refuse=refuse)

    semantics = partial(declared_semantics, update_dtype=update_dtype, subnormals=subnormals)
    given = Given(lr_given, beta1, beta2, decay_given, mask, semantics)
    return LionTransformation(init, update, step, given)


def may_be_sharded(*arrays: jax.Array) -> bool:
    """Whether arrays could lie on several devices, here or where an exported program will run.

    Of a traced array little is known: with several devices it may, and so it may with a mesh.
    """
    return jax.device_count() > 1 or not all(jax.typeof(x).sharding.mesh.empty for x in arrays)
