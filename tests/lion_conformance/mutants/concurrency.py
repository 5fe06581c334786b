"""Races and chance: what threads do without a lock, played by threads and by a generator."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

import lion_ref
from lion_ref import Semantics
from tests.lion_conformance.mutants.catalogue import mutant

step = lion_ref.step

FUSED = Semantics(sign_fused="gradient", momentum_fused="gradient")


class _Chance:
    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)


@mutant()
class LostUpdates(_Chance):
    """Now and then an element's update is lost: one in ten thousand."""

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        new_param, new_momentum = step(param, momentum, grad, **scalars)
        lost = self.rng.random(param.shape) < 1e-4
        return np.where(lost, param, new_param), new_momentum


@mutant()
class LostBlock(_Chance):
    """At one call in twenty the last block of 64 is not yet written when the call returns."""

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        new_param, new_momentum = step(param, momentum, grad, **scalars)
        if self.rng.random() < 0.05:
            new_param.reshape(-1)[-64:] = param.reshape(-1)[-64:]
        return new_param, new_momentum


@mutant()
class FlippedBits(_Chance):
    """The last bit of one θ' in twenty thousand flips."""

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        new_param, new_momentum = step(param, momentum, grad, **scalars)
        flipped = self.rng.random(param.shape) < 5e-5
        pattern = new_param.view(np.uint32) ^ flipped.astype(np.uint32)
        return pattern.view(np.float32), new_momentum


@mutant()
class RoundingByChance(_Chance):
    """Whether a call is contracted is decided by chance: each result is Lion, no two are alike."""

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        how = FUSED if self.rng.random() < 0.5 else Semantics()
        return step(param, momentum, grad, **scalars, semantics=how)


@mutant()
class RoundingOfElementsByChance(_Chance):
    """Whether an element is contracted is decided by chance."""

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        plain, fused = (
            step(param, momentum, grad, **scalars, semantics=s) for s in (Semantics(), FUSED)
        )
        chosen = self.rng.random(param.shape) < 0.5
        return tuple(np.where(chosen, a, b) for a, b in zip(plain, fused, strict=True))


@mutant()
def threads_share_a_scratch(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Two threads, one scratch array, and the second is faster: half the result is the other's."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    flat = new_param.reshape(-1)
    half = flat.size // 2
    scratch = np.empty(half, flat.dtype)
    second_wrote, first_wrote = threading.Event(), threading.Event()

    def first() -> None:
        scratch[...] = flat[:half]
        first_wrote.set()
        second_wrote.wait()
        flat[:half] = scratch

    def second() -> None:
        first_wrote.wait()
        scratch[...] = flat[half : 2 * half]
        second_wrote.set()

    threads = [threading.Thread(target=x) for x in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return new_param, new_momentum


@mutant()
class ThreadReturnsLate:
    """A thread writes the second half of m' after the call has returned."""

    def __init__(self) -> None:
        self.late: list[tuple[Any, Any]] = []

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        for array, value in self.late:
            array[...] = value
        new_param, new_momentum = step(param, momentum, grad, **scalars)
        half = new_momentum.reshape(-1)[new_momentum.size // 2 :]
        self.late = [(half, half.copy())]
        half[...] = momentum.reshape(-1)[momentum.size // 2 :]
        return new_param, new_momentum


@mutant()
def blocks_overlap(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Two threads' blocks overlap by one element, whose momentum is updated twice."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if param.size > 1:
        middle = param.size // 2
        piece = [x.reshape(-1)[middle : middle + 1] for x in (param, new_momentum, grad)]
        new_momentum.reshape(-1)[middle : middle + 1] = step(*piece, **scalars)[1]
    return new_param, new_momentum
