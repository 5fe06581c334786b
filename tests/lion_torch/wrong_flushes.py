"""Operations that flush subnormals wrongly on purpose, in the place of lion_ref.flushed's."""

from __future__ import annotations

from typing import Any

import torch

from lion_ref.flushed import Flushed

_SMALLEST = {"float32": 2.0**-126, "float64": 2.0**-1022}


class _Wrong(Flushed):
    def __init__(self, compute: str, *rest: Any, **named: Any) -> None:
        super().__init__(compute, *rest, **named)
        self.smallest = _SMALLEST[compute]

    def zeroed(self, x: Any) -> Any:
        return torch.where(x.abs() < self.smallest, x * 0.0, x)


class _OperandsKept(_Wrong):
    def operand(self, x: Any, dtype: str) -> Any:
        return x


class _OperandsOfTheComputeDtypeAlone(_Wrong):
    def operand(self, x: Any, dtype: str) -> Any:
        return self.zeroed(x)


class _HalvesFlushed(_Wrong):
    def operand(self, x: Any, dtype: str) -> Any:
        return x * (x.abs() >= 2.0**-14) if dtype == "float16" else super().operand(x, dtype)


class _ProductsKept(_Wrong):
    def product(self, scalar: Any, x: Any) -> Any:
        return scalar * x


class _TinyInGradualUnderflow(_Wrong):
    """As is tempting: a product that gradual underflow rounds up to a normal number stays."""

    def product(self, scalar: Any, x: Any) -> Any:
        return self.zeroed(scalar * x)


class _TinyBeforeRounding(_Wrong):
    """As Arm's processors do."""

    def product(self, scalar: Any, x: Any) -> Any:
        product = super().product(scalar, x)
        if x.dtype == torch.float64:  # has no dtype in which its products are exact
            return product
        return torch.where((x.double() * scalar).abs() < self.smallest, product * 0.0, product)


class _SumsKept(_Wrong):
    def add(self, a: Any, b: Any) -> Any:
        return a + b


class _DifferencesKept(_Wrong):
    def subtract(self, a: Any, b: Any) -> Any:
        return a - b


class _StoredAsTheyAre(_Wrong):
    def storable(self, x: Any, dtype: str) -> Any:
        return x


class _ZerosLoseTheirSign(_Wrong):
    def operand(self, x: Any, dtype: str) -> Any:
        return super().operand(x, dtype) + 0.0


WRONG_FLUSHES: dict[str, type[Flushed]] = {
    "operands are kept": _OperandsKept,
    "operands are flushed only below the compute dtype's range": _OperandsOfTheComputeDtypeAlone,
    "float16's subnormals are flushed": _HalvesFlushed,
    "products are kept": _ProductsKept,
    "tiny as gradual underflow has it": _TinyInGradualUnderflow,
    "tiny before rounding": _TinyBeforeRounding,
    "sums are kept": _SumsKept,
    "differences are kept": _DifferencesKept,
    "stored as they are": _StoredAsTheyAre,
    "zeros lose their sign": _ZerosLoseTheirSign,
}
