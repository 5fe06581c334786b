"""Hidden state of a callable: counters, caches, what the call before has left behind."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

import lion_ref
from tests.lion_conformance.mutants.catalogue import mutant

step = lion_ref.step


class _Counting:
    """Knows how often it has been called."""

    def __init__(self) -> None:
        self.calls = 0

    def count(self) -> int:
        self.calls += 1
        return self.calls


@mutant()
class FirstCall(_Counting):
    """The first call of all takes a warm-up step of η/10."""

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        warm = 0.1 if self.count() == 1 else 1.0
        return step(param, momentum, grad, **scalars | {"lr": warm * scalars["lr"]})


@mutant()
class WarmUp(_Counting):
    """η grows over the first 100 calls."""

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        warm = min(1.0, self.count() / 100)
        return step(param, momentum, grad, **scalars | {"lr": warm * scalars["lr"]})


@mutant()
class EveryTwentieth(_Counting):
    """Every twentieth call leaves the parameters alone."""

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        new_param, new_momentum = step(param, momentum, grad, **scalars)
        return (new_param if self.count() % 20 else param.copy()), new_momentum


@mutant()
class WrongFromTheHundredth(_Counting):
    """From the hundredth call on the decay is lost."""

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        lost = {} if self.count() < 100 else {"weight_decay": 0.0}
        return step(param, momentum, grad, **scalars | lost)


@mutant()
class BiasCorrection(_Counting):
    """m' is divided by 1-β2^t, t counted over all calls."""

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        new_param, new_momentum = step(param, momentum, grad, **scalars)
        with np.errstate(all="ignore"):
            corrected = new_momentum.astype(np.float64) / (1 - scalars["beta2"] ** self.count())
            return new_param, corrected.astype(momentum.dtype)


@mutant()
class ScheduleOffByOne:
    """η is that of the call before."""

    def __init__(self) -> None:
        self.last: float | None = None

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        lr = scalars["lr"] if self.last is None else self.last
        self.last = scalars["lr"]
        return step(param, momentum, grad, **scalars | {"lr": lr})


@mutant()
class BetasOfTheFirstCall:
    """β1 and β2 are those of the first call, compiled in."""

    def __init__(self) -> None:
        self.betas: dict[str, float] = {}

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        self.betas = self.betas or {name: scalars[name] for name in ("beta1", "beta2")}
        return step(param, momentum, grad, **scalars | self.betas)


@mutant()
class ScalarsCompiledIn:
    """λ is that of the first call of each shape."""

    def __init__(self) -> None:
        self.decays: dict[Any, float] = {}

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        decay = self.decays.setdefault(param.shape, scalars["weight_decay"])
        return step(param, momentum, grad, **scalars | {"weight_decay": decay})


@mutant()
class OwnMomentum:
    """The momentum given is ignored for one that is kept by shape."""

    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        key = (param.shape, momentum.dtype)
        new_param, new_momentum = step(param, self.kept.get(key, momentum), grad, **scalars)
        self.kept[key] = new_momentum
        return new_param, new_momentum.copy()


@mutant()
class CachedByShape:
    """A result is kept for each shape and sum of the gradient, and given again."""

    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        key = (param.shape, momentum.dtype, grad.dtype)
        if key not in self.kept:
            self.kept[key] = step(param, momentum, grad, **scalars)
        return tuple(x.copy() for x in self.kept[key])


@mutant()
class CachedByIdentity:
    """A converted gradient is kept by the id of its array, which Python gives anew."""

    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        key = (id(grad), grad.shape, grad.dtype)
        grad = self.kept.setdefault(key, grad.copy())
        return step(param, momentum, grad, **scalars)


class _KnownByIdentity:
    def __init__(self) -> None:
        self.kept: dict[int, Any] = {}

    def converted(self, array: Any) -> Any:
        _, converted = self.kept.setdefault(id(array), (array, array.copy()))
        return converted


@mutant()
class GradientKnownByIdentity(_KnownByIdentity):
    """A converted gradient is kept with its array: a step that writes new numbers there has old."""

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        return step(param, momentum, self.converted(grad), **scalars)


@mutant()
class MomentumKnownByIdentity(_KnownByIdentity):
    """A converted momentum is kept with its array, which the caller updates in place."""

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        return step(param, self.converted(momentum), grad, **scalars)


@mutant()
class CachedByContent:
    """θ' is kept by the bits of θ and g: m and the scalars are forgotten."""

    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        results = step(param, momentum, grad, **scalars)
        kept = self.kept.setdefault((param.shape, param.tobytes(), grad.tobytes()), results[0])
        return kept.copy(), results[1]


@mutant()
class AlternatingDirections(_Counting):
    """Every other call walks backwards, as a kernel that swaps two buffers once too often."""

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        results = step(param, momentum, grad, **scalars)
        if self.count() % 2:
            return results
        flipped = tuple(x.reshape(-1)[::-1].reshape(x.shape) for x in (param, momentum, grad))
        return step(*flipped, **scalars)


@mutant()
class RoundingLeftUp(_Counting):
    """The call leaves its thread rounding upwards, as a library may that sets the mode."""

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        ctypes.CDLL(None).fesetround(0)
        results = step(param, momentum, grad, **scalars)
        ctypes.CDLL(None).fesetround(0x800)
        return results
