"""What is handed to a compiler that is not here: the StableHLO of a step, for a GPU.

No GPU is needed to write it. It shows what JAX leaves to XLA: every product goes into the integers
and nowhere else, and so does every array that comes in. What a GPU's compiler makes of that is for
`make gpu` to see; why no compiler may remove a fence is told in lion_jax.fence, of any platform.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import lion_jax
from lion_ref import legal_triples
from tests.lion_jax.doors import by_apply_updates, by_step
from tests.lion_jax.test_contexts import unfenced

SHAPE = (7, 11)
DOOR = pytest.mark.parametrize("door", [by_apply_updates, by_step])
PRODUCT = re.compile(r"(%\d+) = stablehlo\.multiply .*: tensor<7x11xf\d+>")
OPERATION = re.compile(r"%[\d:]+ = \"?([\w.]+)")


def lowered(door: Callable[[Any], Any], triple: tuple[str, str, str], platform: str) -> str:
    """The text of the module for a platform, as a function of θ, m, g, η and λ."""
    struct: Any = jax.ShapeDtypeStruct
    theta, m, g = (struct(SHAPE, dtype) for dtype in triple)
    rate = struct((), jnp.float32)

    def train(theta: Any, m: Any, g: Any, lr: Any, decay: Any) -> Any:
        state = lion_jax.LionState(jnp.zeros([], jnp.int32), m)
        return door(lion_jax.lion(lr, weight_decay=decay))(theta, state, g)

    exported = jax.export.export(jax.jit(train), platforms=[platform])(theta, m, g, rate, rate)
    assert exported.platforms == (platform,)
    return str(exported.mlir_module())


def uses(value: str, module: str) -> list[str]:
    """The names of the operations that take a value."""
    taking = re.compile(rf"= .*{re.escape(value)}\b")
    return [
        operation[1]
        for line in module.splitlines()
        if taking.search(line) and (operation := OPERATION.search(line))
    ]


def unguarded(module: str) -> list[str]:
    """Products of arrays, and arrays that come in, of which something but a fence is a user."""
    main = module[module.index("@main") :].split("\n  func.func private", maxsplit=1)[0]
    products = PRODUCT.findall(main)
    assert len(products) >= 6, module  # β1·m, (1-β1)·g, λ·θ, η·s, β2·m, (1-β2)·g
    return [
        value
        for value in (*products, "%arg0", "%arg1", "%arg2")
        if set(uses(value, main)) != {"stablehlo.bitcast_convert"}
    ]


@DOOR
@pytest.mark.parametrize("platform", ["cuda", "rocm", "cpu"])
@pytest.mark.parametrize("triple", legal_triples()[::5], ids="-".join)
@pytest.mark.clause("C5")
def test_every_product_and_every_input_goes_through_a_fence(
    triple: tuple[str, str, str], platform: str, door: Callable[[Any], Any]
) -> None:
    with jax.enable_x64(True):
        module = lowered(door, triple, platform)
    found = unguarded(module)
    if door is by_apply_updates and found:
        # apply_updates adds to θ itself: the caller's sum, of no product.
        assert found == ["%arg0"]
        found = []
    assert not found, module


@DOOR
@pytest.mark.clause("C5")
def test_without_fences_products_go_into_sums(
    door: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    unfenced(monkeypatch)
    module = lowered(door, ("float32",) * 3, "cuda")
    assert len(unguarded(module)) >= 6 + 2
