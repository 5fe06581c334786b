"""A project for the pytest plugin: an empty folder beside a module of ports."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import lion_conformance
import lion_ref

if TYPE_CHECKING:
    import pytest

PLUGIN = (
    *("-p", "no:lion-conformance"),  # where it is installed, pytest has it from there too
    *("-p", "lion_conformance.pytest_plugin"),
    *("-p", "no:cacheprovider"),
)
QUICK = ("--lion-dtype", "float32", "--lion-max-examples", "2")

PORTS = """
import numpy as np
import lion_ref
from lion_conformance import from_callable

right = lion_ref.step

def unmoved_momentum(param, momentum, grad, **s):
    return lion_ref.step(param, momentum, grad, **s)[0], momentum.copy()

def unmoved_param(param, momentum, grad, **s):
    return param.copy(), lion_ref.step(param, momentum, grad, **s)[1]

def writes(param, momentum, grad, **s):
    results = lion_ref.step(param, momentum, grad, **s)
    grad *= 2
    return results

kept = {}
def shares(param, momentum, grad, **s):
    results = lion_ref.step(param, momentum, grad, **s)
    for name, x in zip("pm", results):
        kept.setdefault((name, x.shape, x.dtype), x.copy())[...] = x
    return tuple(kept[name, x.shape, x.dtype] for name, x in zip("pm", results))

chance = np.random.default_rng(0)
def by_chance(param, momentum, grad, **s):
    p, m = lion_ref.step(param, momentum, grad, **s)
    up = chance.random(p.shape) < 0.5
    return np.where(up & (abs(p) < 1e30), np.float32(1.001) * p, p), m

def by_chance_and_unmoved(param, momentum, grad, **s):
    return by_chance(param, momentum, grad, **s)[0], momentum.copy()

def mute(*_, **__):
    raise RuntimeError("no kernel")

def unscaled(*a, **s):
    return lion_ref.step(*a, **s, semantics=lion_ref.Semantics(decay="unscaled"))

def fused(*a, **s):
    return lion_ref.step(*a, **s, semantics=lion_ref.Semantics(momentum_fused="gradient"))

declared = from_callable(fused, declared=lion_ref.CANONICAL)

def forgets(param, momentum, grad, *, lr, **s):
    # Right in a single step from any state, and when asked twice; wrong once it is given the
    # momentum that it moved to (one that stays would be known at the second call already).
    known = momentum.tobytes() == forgets.returned
    p, m = lion_ref.step(param, momentum * 0 if known else momentum, grad, lr=lr, **s)
    forgets.returned = None if m.tobytes() == momentum.tobytes() else m.tobytes()
    return p, m
forgets.returned = None
"""


def prepared(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """The folder, in which warnings are errors."""
    checkout = [Path(lion_ref.__file__).parents[1], Path(lion_conformance.__file__).parents[1]]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, checkout)))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    pytester.makepyfile(ports=PORTS)
    return pytester
