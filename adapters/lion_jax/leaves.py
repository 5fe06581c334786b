"""The leaves of params, momenta, gradients and mask, side by side, checked (SPEC C2, C3, C13)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lion_ref.dtypes import check_dtypes, storage_name
from lion_ref.update import check_shapes

if TYPE_CHECKING:
    from collections.abc import Iterator

Tree = Any


class Leaf(NamedTuple):
    """One parameter with what belongs to it; absent where θ or g is None."""

    theta: Any
    m: Any
    g: Any
    decays: bool
    compute: np.dtype[Any] | None

    @property
    def absent(self) -> bool:
        """Whether there is nothing to update."""
        return self.compute is None


def aligned(params: Tree, mu: Tree, grads: Tree, mask: Tree) -> tuple[Any, list[Leaf]]:
    """The structure of params, None counted as a leaf, and the leaves in its order.

    Every leaf is checked before any is updated; an error names the leaf by its path.
    """
    with_paths, structure = jax.tree_util.tree_flatten_with_path(params, is_leaf=_is_none)
    trees = {"state.mu": mu, "grads": grads, "mask": _spread(mask, params)}
    columns = (_leaves_like(structure, name, tree) for name, tree in trees.items())
    leaves = []
    for (path, theta), m, g, decays in zip(with_paths, *columns, strict=True):
        with naming(path):
            leaves.append(_leaf(theta, m, g, decays))
    return structure, leaves


@contextmanager
def naming(path: Any) -> Iterator[None]:
    """An error inside says at which parameter."""
    try:
        yield
    except (TypeError, ValueError) as error:
        where = jax.tree_util.keystr(path)
        raise type(error)(f"at params{where}: {error}") from None


def as_array(argument: str, x: Any) -> jax.Array:
    """x as JAX has it, unless JAX would narrow it on the way (SPEC C3).

    It does so, without a word, to NumPy's float64 while x64 is off, and has no integers for the
    bits of its own. Python's own numbers have no width there, and what is passed *through* a
    jitted function is narrowed before it gets here.
    """
    if isinstance(x, (np.ndarray, np.generic, jax.Array)):
        name = storage_name(x.dtype, argument)
        if not x.dtype.isnative:
            raise TypeError(
                f"{argument} has dtype {x.dtype.str}, bytes that JAX cannot read; "
                f"legal: {name} in this machine's byte order"
            )
        if jax.dtypes.canonicalize_dtype(x.dtype) != x.dtype:
            raise TypeError(
                f"{argument} has dtype float64, which JAX narrows to float32 while jax_enable_x64 "
                "is off; legal: float16, bfloat16, float32"
            )
    return jnp.asarray(x)


def _leaves_like(structure: Any, name: str, tree: Tree) -> list[Any]:
    try:
        leaves: list[Any] = structure.flatten_up_to(tree)
    except ValueError as error:
        raise ValueError(f"{name} is no tree like params: {error}") from None
    return leaves


def _leaf(theta: Any, m: Any, g: Any, decays: Any) -> Leaf:
    if theta is None or g is None:
        return Leaf(theta, m, g, decays=False, compute=None)
    if isinstance(decays, (jax.Array, np.ndarray)):
        if decays.ndim:
            raise TypeError(f"mask has a leaf of shape {decays.shape}; legal: True, False")
        if not isinstance(decays, jax.core.Tracer):
            decays = np.asarray(decays)[()]
    if not isinstance(decays, (bool, np.bool_)):
        raise TypeError(f"mask has the leaf {decays!r}; legal: True, False")
    theta, m, g = as_array("param", theta), as_array("momentum", m), as_array("grad", g)
    compute = check_dtypes(theta.dtype.name, m.dtype.name, g.dtype.name)
    check_shapes(theta.shape, m.shape, g.shape)
    return Leaf(theta, m, g, bool(decays), compute)


def _spread(mask: Tree, params: Tree) -> Tree:
    """A boolean for every parameter, from a mask that may be None, a prefix or a callable."""
    if mask is None:
        mask = True
    elif callable(mask):
        mask = mask(params)
    try:
        return jax.tree.map(
            lambda decays, part: jax.tree.map(lambda _: decays, part, is_leaf=_is_none),
            mask,
            params,
        )
    except ValueError as error:
        raise ValueError(f"mask is no prefix of params: {error}") from None


def _is_none(x: Any) -> bool:
    return x is None
