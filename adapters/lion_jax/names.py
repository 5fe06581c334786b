"""Names of the leaves of a tree: their paths, joined by "/" (SPEC C34)."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax


class Named(NamedTuple):
    """A leaf of a tree, and where it is."""

    path: Any
    leaf: Any


def by_name(params: Any) -> dict[str, Named]:
    """The leaves of params by name, in the order of the tree; None is none.

    A key of a dict, a field of a NamedTuple or a dataclass, an index of a sequence: each is a part.

    Raises:
        ValueError: two leaves of one name; a tree that is a single leaf, whose path is empty.

    >>> list(by_name({"dense": {"kernel": 1.0, "bias": None}, "scales": [2.0, 3.0]}))
    ['dense/kernel', 'scales/0', 'scales/1']
    >>> by_name({"a": {"b": 1.0}, "a/b": 2.0})
    Traceback (most recent call last):
        ...
    ValueError: params['a']['b'] and params['a/b'] are both named 'a/b'; legal: one name for each, \
a key with '/' only where no path is the same
    """
    found: dict[str, Named] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]:
        if not path:
            raise ValueError(
                "params is a single array, which has no name; legal: a tree of arrays, such as "
                '{"w": array}'
            )
        name = "/".join(map(_part, path))
        if name in found:
            both = " and ".join(
                f"params{jax.tree_util.keystr(x)}" for x in (found[name].path, path)
            )
            raise ValueError(
                f"{both} are both named {name!r}; legal: one name for each, a "
                "key with '/' only where no path is the same"
            )
        found[name] = Named(path, leaf)
    return found


def _part(key: Any) -> str:
    """A key of a path, of whatever kind: JAX has a class for each, and a tree may have its own."""
    for attribute in ("key", "idx", "name"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)
