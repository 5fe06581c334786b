"""Which bits an update has, as a point in a space of choices (SPEC C16 to C22)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Final, Literal, get_args, get_type_hints

from lion_ref.checks import shown

Interpolation = Literal["weighted", "lerp-from-momentum", "lerp-from-gradient", "lerp-from-nearer"]
Fused = Literal["none", "momentum", "gradient", "difference"]
Decay = Literal["sum", "factor", "product", "unscaled", "coupled"]
DecayScalar = Literal["wide", "compute", "left-to-right"]
DecayOrder = Literal["decay-first", "step-first"]
Where = Literal["wide", "compute"]
Precision = Literal["compute", "storage", "storage-whole-lerp"]
MomentumPrecision = Literal["compute", "storage"]
Scalars = Literal["compute", "float32", "storage"]
Subnormals = Literal["keep", "flush", "flush-before-rounding"]
ZeroSign = Literal["positive", "kept"]
NanSign = Literal["nan", "zero"]

_FUSIBLE: Final[dict[str, tuple[str, ...]]] = {
    "weighted": ("none", "momentum", "gradient"),
    "lerp-from-momentum": ("none", "difference"),
    "lerp-from-gradient": ("none", "difference"),
    "lerp-from-nearer": ("none", "difference"),
}
_SCALARS_OF: Final[dict[str, tuple[str, ...]]] = {
    "factor": ("wide", "compute"),
    "product": ("wide", "compute", "left-to-right"),
}


@dataclass(frozen=True, slots=True)
class Semantics:
    """One value for each choice that ports of Lion make; SPEC C16 lists and explains them.

    The defaults are the canonical update. A combination in which a choice has no meaning is a
    ValueError, so no two values describe one update alike.

    >>> Semantics() == CANONICAL
    True
    >>> Semantics(subnormals="flush", momentum_fused="gradient").describe()
    "m' = fma(1-β2, g, β2·m); subnormals flushed"
    >>> Semantics(zero_sign="negative")
    Traceback (most recent call last):
        ...
    ValueError: zero_sign='negative' is not legal; legal: 'positive', 'kept'
    """

    sign_interpolation: Interpolation = "weighted"
    sign_fused: Fused = "none"
    momentum_interpolation: Interpolation = "weighted"
    momentum_fused: Fused = "none"
    decay: Decay = "sum"
    decay_scalar: DecayScalar = "wide"
    decay_order: DecayOrder = "decay-first"
    decay_fused: bool = False
    step_fused: bool = False
    step_stored: bool = False
    decay_skipped_at_zero: bool = False
    sign_complement: Where = "wide"
    momentum_complement: Where = "wide"
    precision: Precision = "compute"
    momentum_precision: MomentumPrecision = "compute"
    scalars: Scalars = "compute"
    subnormals: Subnormals = "keep"
    zero_sign: ZeroSign = "positive"
    nan_sign: NanSign = "nan"

    def __post_init__(self) -> None:
        for name, legal in _choices().items():
            _require(name, getattr(self, name), legal)
        for part in ("sign", "momentum"):
            interpolation = getattr(self, f"{part}_interpolation")
            beside = f" with {part}_interpolation={interpolation!r}"
            fused, complement = f"{part}_fused", f"{part}_complement"
            _require(fused, getattr(self, fused), _FUSIBLE[interpolation], beside)
            if interpolation == "lerp-from-gradient":
                _require(complement, getattr(self, complement), ("wide",), beside)
            if part == "sign" and interpolation == "weighted":
                _require("precision", self.precision, ("compute", "storage"), beside)
        beside = f" with decay={self.decay!r}"
        _require("decay_scalar", self.decay_scalar, _SCALARS_OF.get(self.decay, ("wide",)), beside)
        orders: tuple[str, ...] = ("decay-first",)
        if self.decay in ("factor", "product"):
            orders = ("decay-first", "step-first")
        _require("decay_order", self.decay_order, orders, beside)
        if self.decay == "factor" and self.decay_order == "step-first":
            # The factor then comes last: there is no addition left to take its product.
            _require("decay_fused", self.decay_fused, (False,), f"{beside}, 'step-first'")
        if self.precision == self.momentum_precision == "compute":
            beside = " with precision='compute' and momentum_precision='compute'"
            _require("scalars", self.scalars, ("compute", "float32"), beside)
        if self.step_stored:
            _require("decay", self.decay, ("sum",), " with step_stored=True")
            _require("step_fused", self.step_fused, (False,), " with step_stored=True")
            _require("precision", self.precision, ("compute",), " with step_stored=True")

    @property
    def is_other_algorithm(self) -> bool:
        """Whether this differs from SPEC C1 in real arithmetic already, not in roundings alone."""
        return (
            self.decay in ("unscaled", "coupled")
            or (self.decay == "factor" and self.decay_order == "step-first")
            or self.scalars != "compute"
        )

    def differences(self) -> dict[str, Any]:
        """The fields whose value is not the canonical one.

        >>> Semantics(nan_sign="zero").differences()
        {'nan_sign': 'zero'}
        """
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }

    def describe(self) -> str:
        """The differences from the canonical update as a sentence in the clauses' notation."""
        parts = []
        for part, target in (("sign", "c"), ("momentum", "m'")):
            beta, form = _interpolation_text(self, part)
            if form != f"{beta}·m + (1-{beta})·g":
                parts.append(f"{target} = {form}")
        if self.decay != "sum" or self.decay_fused or self.step_fused:
            parts.append(f"θ' = {_decay_text(self)}")
        skipped = ["the decay is skipped at λ = 0"] if self.decay_skipped_at_zero else []
        parts += [*skipped, *_complement_text(self), *_precision_text(self)]
        parts += [text for (name, value), text in _PHRASES.items() if getattr(self, name) == value]
        return "; ".join(parts) or "canonical"


_PHRASES: Final[dict[tuple[str, Any], str]] = {
    ("step_stored", True): "η·(u + λ·θ) rounded to θ's storage dtype",
    ("scalars", "float32"): "scalars rounded to float32",
    ("scalars", "storage"): "scalars rounded to the storage dtype",
    ("subnormals", "flush"): "subnormals flushed",
    ("subnormals", "flush-before-rounding"): "subnormals flushed, tininess before rounding",
    ("zero_sign", "kept"): "sign(-0) = -0",
    ("nan_sign", "zero"): "sign(NaN) = 0",
}


def choices() -> dict[str, tuple[Any, ...]]:
    """Every field of Semantics with its legal values, the canonical one first.

    >>> choices()["subnormals"]
    ('keep', 'flush', 'flush-before-rounding')
    """
    return dict(_choices())


@lru_cache(maxsize=1)
def _choices() -> dict[str, tuple[Any, ...]]:
    hints = get_type_hints(Semantics)
    return {
        field.name: (False, True) if hints[field.name] is bool else get_args(hints[field.name])
        for field in fields(Semantics)
    }


def _require(name: str, value: object, legal: tuple[Any, ...], beside: str = "") -> None:
    if not any(value is option or value == option for option in legal):
        listed = ", ".join(repr(option) for option in legal)
        raise ValueError(f"{name}={shown(value)} is not legal{beside}; legal: {listed}")


def _interpolation_text(semantics: Semantics, part: str) -> tuple[str, str]:
    beta = "β1" if part == "sign" else "β2"
    interpolation = getattr(semantics, f"{part}_interpolation")
    fused = getattr(semantics, f"{part}_fused")
    if interpolation == "weighted":
        form = {
            "none": f"{beta}·m + (1-{beta})·g",
            "momentum": f"fma({beta}, m, (1-{beta})·g)",
            "gradient": f"fma(1-{beta}, g, {beta}·m)",
        }[fused]
    elif interpolation in ("lerp-from-momentum", "lerp-from-nearer"):
        form = f"fma(1-{beta}, g-m, m)" if fused == "difference" else f"m + (1-{beta})·(g-m)"
        if interpolation == "lerp-from-nearer":
            wide = getattr(semantics, f"{part}_complement") == "wide"
            form += f" (from g where {f'1-{beta} >= 1/2' if wide else f'{beta} < 1/2'})"
    else:
        form = f"fma({beta}, m-g, g)" if fused == "difference" else f"g + {beta}·(m-g)"
    return beta, form


def _complement_text(semantics: Semantics) -> list[str]:
    """One phrase where 1-β1 and 1-β2 are formed alike."""
    found = {"1-β1": semantics.sign_complement, "1-β2": semantics.momentum_complement}
    formed = [name for name, where in found.items() if where == "compute"]
    what = "1-β" if len(formed) == len(found) else "".join(formed)
    return [f"{what} formed in the precision of the steps"] if formed else []


def _precision_text(semantics: Semantics) -> list[str]:
    """One phrase where c and θ' are rounded as m' is."""
    found = {"c and θ'": semantics.precision, "m'": semantics.momentum_precision}
    rounded = [f" of {name}" for name, precision in found.items() if precision != "compute"]
    if not rounded:
        return []
    of = "" if len(rounded) == len(found) else rounded[0]
    whole = semantics.precision == "storage-whole-lerp"
    lerp = ", the lerp of c as one operation" if whole else ""
    return [f"every operation{of} rounded to the storage dtype{lerp}"]


def _decay_text(semantics: Semantics) -> str:
    """θ' with its products; fused ones are named behind it, which reads better than nested fma."""
    kind, scalar = semantics.decay, semantics.decay_scalar
    step_first = semantics.decay_order == "step-first"
    if kind == "product":
        product = "η·(λ·θ)" if scalar == "left-to-right" else "(ηλ)·θ"
        form = f"(θ - η·u) - {product}" if step_first else f"(θ - {product}) - η·u"
    else:
        form = {
            "sum": "θ - η·(u + λ·θ)",
            "factor": "(θ - η·u)·(1-ηλ)" if step_first else "θ·(1-ηλ) - η·u",
            "unscaled": "(θ - λ·θ) - η·u",
            "coupled": "θ - η·u with g + λ·θ as the gradient",
        }[kind]
    if kind in _SCALARS_OF and scalar != "left-to-right":
        what = "1-ηλ" if kind == "factor" else "ηλ"
        form += f", {what} formed in " + ("binary64" if scalar == "wide" else "the compute dtype")
    fused = {"the product with θ": semantics.decay_fused, "η·(…)": semantics.step_fused}
    if any(fused.values()):
        form += ", fused: " + " and ".join(name for name, is_fused in fused.items() if is_fused)
    return form


CANONICAL: Final = Semantics()
"""The update as SPEC Part I defines it."""
