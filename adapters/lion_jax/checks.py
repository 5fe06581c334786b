"""What is refused of params, momenta, gradients, mask and options (SPEC C2, C3, C13)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from lion_jax.mask import as_boolean, is_none, spread
from lion_ref.checks import check_shapes
from lion_ref.dtypes import LEGAL_DTYPES, STORAGE_DTYPES, check_dtypes, storage_name

Tree = Any
UpdateDtype = Literal["compute", "params"]
"""The dtype of what `update` returns: the compute dtype, or each parameter's own."""


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
    with_paths, structure = jax.tree_util.tree_flatten_with_path(params, is_leaf=is_none)
    trees = {"state.mu": mu, "grads": grads, "mask": spread(mask, params)}
    columns = (leaves_like(structure, name, tree) for name, tree in trees.items())
    leaves = []
    for (path, theta), m, g, decays in zip(with_paths, *columns, strict=True):
        with naming(path):
            leaves.append(_leaf(theta, m, g, decays))
    return structure, leaves


def leaves_like(structure: Any, name: str, tree: Tree) -> list[Any]:
    """The leaves of a tree that has the structure of params, in its order."""
    try:
        leaves: list[Any] = structure.flatten_up_to(tree)
    except ValueError as error:
        raise ValueError(f"{name} is no tree like params: {error}") from None
    return leaves


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

    Python's own numbers have no width there, and what is passed *through* a jitted function is
    narrowed before it gets here.
    """
    if is_abstract(x):
        raise TypeError(
            f"{argument} is abstract, a {type(x).__name__} without values; "
            "legal: an array, or the same call inside jax.eval_shape"
        )
    if isinstance(x, (np.ndarray, np.generic, jax.Array)):
        check_as_stored(argument, x.dtype)
    return jnp.asarray(x)


def is_abstract(x: Any) -> bool:
    """Whether x says what an array is to be like, and has no values: a jax.ShapeDtypeStruct."""
    described = hasattr(x, "shape") and hasattr(x, "dtype")
    valued = isinstance(x, jax.Array) or hasattr(x, "__array__") or hasattr(x, "__jax_array__")
    return described and not valued


def check_as_stored(argument: str, dtype: Any) -> None:
    """TypeError unless JAX keeps an array of this dtype as it is.

    It narrows NumPy's float64, without a word, while x64 is off, and has no integers for the bits
    of its own.
    """
    name = storage_name(dtype, argument)
    if not dtype.isnative:
        raise TypeError(
            f"{argument} has dtype {dtype.str}, bytes that JAX cannot read; "
            f"legal: {name} in this machine's byte order"
        )
    if jax.dtypes.canonicalize_dtype(dtype) != dtype:
        raise TypeError(
            f"{argument} has dtype float64, which JAX narrows to float32 while jax_enable_x64 "
            "is off; legal: float16, bfloat16, float32"
        )


def momentum_dtype(mu_dtype: Any) -> Any:
    """The dtype that was given for the momentum, or None.

    Raises:
        TypeError: a dtype that SPEC C2 refuses; an array, as optax.inject_hyperparams makes of a
            dtype that can be called.
    """
    if mu_dtype is None:
        return None
    if isinstance(mu_dtype, (jax.Array, np.ndarray, np.generic)):
        raise TypeError(
            "mu_dtype is an array, which is what optax.inject_hyperparams makes of a dtype that "
            f"can be called; legal: {LEGAL_DTYPES} by name, or any such dtype with "
            '"mu_dtype" among its static_args'
        )
    return STORAGE_DTYPES[storage_name(mu_dtype, "mu_dtype")]


def check_update_dtype(value: object) -> None:
    """ValueError unless value is an UpdateDtype."""
    if not isinstance(value, str) or value not in get_args(UpdateDtype):
        legal = ", ".join(map(repr, get_args(UpdateDtype)))
        raise ValueError(f"update_dtype={value!r} is not legal; legal: {legal}")


def _leaf(theta: Any, m: Any, g: Any, decays: Any) -> Leaf:
    if theta is None or g is None:
        return Leaf(theta, m, g, decays=False, compute=None)
    decays = as_boolean(decays)
    theta, m, g = as_array("param", theta), as_array("momentum", m), as_array("grad", g)
    compute = check_dtypes(theta.dtype.name, m.dtype.name, g.dtype.name)
    check_shapes(theta.shape, momentum=m.shape, grad=g.shape)
    return Leaf(theta, m, g, decays, compute)
