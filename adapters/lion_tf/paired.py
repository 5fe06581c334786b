"""Which momentum in Keras's file is which variable's.

An optimizer's variables are numbered in the order of the model's, which a file has by the paths of
layers. So the order of layers is found again as far as the file says it; where several orders are
possible, the shapes must leave one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from lion_tf.stored import Layer, Variable, entry, layers_of, numbered

_UNTRAINED: Final = {"batch_normalization": 2, "normalization": 3}
"""How many of a layer's last variables are statistics, which no optimizer has."""

_ORDER: Final = {
    "multi_head_attention": ("query_dense", "key_dense", "value_dense", "output_dense"),
    "bidirectional": ("forward_layer", "backward_layer"),
}
"""Layers in a layer of Keras's own that have variables, in the order in which it makes them."""

_MOST_ORDERS: Final = 10_000


class Trained(NamedTuple):
    """The variables of a layer that an optimizer has, and the layers in it that have some."""

    variables: tuple[Variable, ...]
    chains: tuple[tuple[Trained, ...], ...]
    size: int


class _Found(NamedTuple):
    """In how many ways, up to 2, momenta fit; and one of them, by path."""

    ways: int
    momenta: tuple[tuple[str, Variable], ...] = ()


def trained(layer: Layer, config: Mapping[str, Any] | None) -> Trained:
    """What of a layer is trained, as far as its class and its config say."""
    if entry(config, "config").get("trainable") is False:
        return Trained((), (), 0)
    stem, _ = numbered(layer.key)
    own = tuple(variable for variable in layer.variables if variable.is_float)
    own = own[: max(len(own) - _UNTRAINED.get(stem, 0), 0)]
    described = layers_of(config)
    chains = []
    for chain in _ordered(layer, stem):
        found = [trained(below, described.get(below.name)) for below in chain]
        chains.append(tuple(below for below in found if below.size))
    size = len(own) + sum(below.size for chain in chains for below in chain)
    return Trained(own, tuple(chain for chain in chains if chain), size)


def _ordered(layer: Layer, stem: str) -> tuple[tuple[Layer, ...], ...]:
    order = _ORDER.get(stem, ())
    each = {chain[0].key: chain[0] for chain in layer.chains if len(chain) == 1}
    with_variables = {
        chain[0].key for chain in layer.chains if any(below.variables for below in chain)
    }
    if order and with_variables <= set(order) and len(each) == len(layer.chains):
        return (tuple(each[key] for key in order if key in each),)
    return layer.chains


def paired(model: Trained, momenta: Sequence[Variable]) -> dict[str, tuple[Variable, Variable]]:
    """θ and m by θ's path, in the optimizer's order.

    Raises:
        ValueError: no order of the layers gives the momenta's shapes and dtypes, or several do.
    """
    if model.size != len(momenta):
        raise ValueError(
            f"its optimizer has {len(momenta)} variables for the momenta of {model.size} that seem "
            f"to be trained; {_WAY_OUT}"
        )
    found = _fit(model, 0, momenta)
    if not found.ways:
        raise ValueError(f"its momenta have other shapes than its variables; {_WAY_OUT}")
    if found.ways > 1:
        raise ValueError(
            "which momentum is whose cannot be told: it does not say the order of its layers, and "
            f"several orders fit; {_WAY_OUT}"
        )
    variables = {variable.path: variable for variable in _all(model)}
    return {path: (variables[path], momentum) for path, momentum in found.momenta}


_WAY_OUT: Final = (
    "legal: a .keras file of a Sequential or Functional model, or a run state that "
    "lion_tf.export_state writes of the optimizer"
)


def _all(layer: Trained) -> list[Variable]:
    below = [x for chain in layer.chains for one in chain for x in _all(one)]
    return [*layer.variables, *below]


def _fit(layer: Trained, start: int, momenta: Sequence[Variable]) -> _Found:
    """How the momenta from a place on are those of a layer: its own, then those of layers in it."""
    own = []
    for variable, momentum in zip(layer.variables, momenta[start:], strict=False):
        if (variable.shape, variable.dtype) != (momentum.shape, momentum.dtype):
            return _Found(0)
        own.append((variable.path, momentum))
    # For each number of layers taken from each chain: in how many ways, and by which.
    reached = {(0,) * len(layer.chains): _Found(1, tuple(own))}
    at = {(0,) * len(layer.chains): start + len(own)}
    for _ in range(sum(map(len, layer.chains))):
        after: dict[tuple[int, ...], _Found] = {}
        for taken, found in reached.items():
            for place, chain in enumerate(layer.chains):
                if taken[place] == len(chain):
                    continue
                below = chain[taken[place]]
                fits = _fit(below, at[taken], momenta)
                if not fits.ways:
                    continue
                new = (*taken[:place], taken[place] + 1, *taken[place + 1 :])
                at[new] = at[taken] + below.size
                before = after.get(new, _Found(0)).ways
                ways = min(before + found.ways * fits.ways, 2)
                after[new] = _Found(ways, found.momenta + fits.momenta)
        if len(after) > _MOST_ORDERS:
            raise ValueError(
                f"it does not say the order of its layers, of which many fit; {_WAY_OUT}"
            )
        reached = after
    return next(iter(reached.values()), _Found(0))
