# ruff: noqa: E501  (a row reads better than a column)
"""For each choice an input on which it changes a bit: SPEC C16 to C22, made visible.

Found by search and frozen. `also` names the other choices, of those that are roundings of Lion and
need no companion, that change the same output of the same input; it is empty wherever the canary
sings for one choice alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from lion_ref import STORAGE_DTYPES, Semantics

if TYPE_CHECKING:
    from numpy.typing import NDArray

_F32, _BF16 = "float32", "bfloat16"


class Canary(NamedTuple):
    """One input, and one output's bits without a choice and with it."""

    beside: dict[str, Any]
    """What the choice needs to have a meaning."""
    choice: dict[str, Any]
    dtype: str
    inputs: str
    """θ, m, g in hexadecimal."""
    scalars: tuple[float, float, float, float]
    """η, β1, β2, λ."""
    output: str
    without: str
    with_choice: str
    also: tuple[str, ...]

    @property
    def semantics(self) -> tuple[Semantics, Semantics]:
        return Semantics(**self.beside), Semantics(**(self.beside | self.choice))

    @property
    def arrays(self) -> list[NDArray[Any]]:
        return [self.decoded(pattern) for pattern in self.inputs.split()]

    @property
    def keywords(self) -> dict[str, Any]:
        return dict(zip(("lr", "beta1", "beta2", "weight_decay"), self.scalars, strict=True))

    def decoded(self, pattern: str) -> NDArray[Any]:
        dtype = STORAGE_DTYPES[self.dtype]
        return np.array([int(pattern, 16)], dtype=f"u{dtype.itemsize}").view(dtype)

    def __str__(self) -> str:
        return ", ".join(f"{k}={v}" for k, v in (self.choice | self.beside).items())


# fmt: off
CANARIES: Final = [
    Canary({}, {"complement": "compute"}, _F32, "ac1ae079 8032a0db 01f07c10", (0.1, 0.95, 0.9, 0.1), "param", "ac1953fd", "bdcccccd", ()),
    Canary({}, {"decay": "coupled"}, _F32, "bfffffff 3c580000 bf12b913", (0.1, 0.95, 0.9, 0.1), "param", "bff0a3d6", "bff33332", ()),
    Canary({}, {"decay": "factor"}, _F32, "732da16d 80000002 bf01660e", (0.1, 0.95, 0.9, 0.1), "param", "732be4ee", "732be4ef", ()),
    Canary({}, {"decay": "product"}, _F32, "3f808001 80177ea8 3d39500c", (0.1, 0.95, 0.9, 0.1), "param", "3f64d47d", "3f64d47c", ()),
    Canary({}, {"decay": "unscaled"}, _F32, "bfffffff 3c580000 bf12b913", (0.1, 0.95, 0.9, 0.1), "param", "bff0a3d6", "bfd99999", ()),
    Canary({}, {"decay_fused": True}, _F32, "bf000002 807b8c0b a77fffff", (0.1, 0.95, 0.9, 0.1), "param", "beca3d75", "beca3d74", ()),
    Canary({"decay": "coupled"}, {"decay_fused": True}, _F32, "00000001 00000000 00000001", (0.5, 0.5, 0.9, 0.5), "param", "00000001", "bf000000", ()),
    Canary({"decay": "factor"}, {"decay_fused": True}, _F32, "c2500000 40cfc3d8 2e9d754c", (0.1, 0.95, 0.9, 0.1), "param", "c24e51eb", "c24e51ec", ()),
    Canary({"decay": "product"}, {"decay_fused": True}, _F32, "c136a59e 3d400000 bf640000", (0.1, 0.95, 0.9, 0.1), "param", "c1333870", "c1333871", ()),
    Canary({"decay": "unscaled"}, {"decay_fused": True}, _F32, "bfffffff 3c580000 bf12b913", (0.1, 0.95, 0.9, 0.1), "param", "bfd99999", "bfd99998", ()),
    Canary({"decay": "factor"}, {"decay_order": "step-first"}, _F32, "bfffffff 3c580000 bf12b913", (0.1, 0.95, 0.9, 0.1), "param", "bff0a3d6", "bff0c49b", ()),
    Canary({"decay": "product"}, {"decay_order": "step-first"}, _F32, "3de72efa 3f05992f 007ffffe", (0.1, 0.95, 0.9, 0.1), "param", "3c4092c8", "3c4092c5", ()),
    Canary({"decay": "factor"}, {"decay_scalar": "compute"}, _F32, "bf0921a1 00000000 3f800000", (0.3, 0.9, 0.99, 0.7), "param", "bf392240", "bf39223f", ()),
    Canary({"decay": "product"}, {"decay_scalar": "compute"}, _F32, "3e5d20c9 277fffff a77ffffe", (0.1, 0.95, 0.9, 0.1), "param", "3de90899", "3de90897", ()),
    Canary({"decay": "product"}, {"decay_scalar": "left-to-right"}, _F32, "bed526ff 3eac5734 c0cca78e", (0.1, 0.95, 0.9, 0.1), "param", "be9fd221", "be9fd220", ()),
    Canary({}, {"decay_skipped_at_zero": True}, _F32, "7f800000 3f800000 7f800000", (1.0, 0.75, 0.9, 0.0), "param", "ffc00000", "7f800000", ("decay=factor",)),
    Canary({"momentum_interpolation": "lerp-from-gradient"}, {"momentum_fused": "difference"}, _F32, "bfffffff 3c580000 bf12b913", (0.1, 0.95, 0.9, 0.1), "momentum", "bd3a2820", "bd3a2822", ()),
    Canary({"momentum_interpolation": "lerp-from-momentum"}, {"momentum_fused": "difference"}, _F32, "00041943 c0344dd7 42561c6f", (0.1, 0.95, 0.9, 0.1), "momentum", "40344dd7", "40344dd6", ()),
    Canary({}, {"momentum_fused": "gradient"}, _F32, "80000000 00000000 80000001", (0.1, 0.95, 0.9, 0.1), "momentum", "00000000", "80000000", ()),
    Canary({}, {"momentum_fused": "momentum"}, _F32, "0044d0d1 3f800002 3eb4a72d", (0.1, 0.95, 0.9, 0.1), "momentum", "3f6f6ec6", "3f6f6ec5", ()),
    Canary({}, {"momentum_interpolation": "lerp-from-gradient"}, _F32, "ae0f1576 bfb00000 3f800002", (0.1, 0.95, 0.9, 0.1), "momentum", "bf919999", "bf919998", ()),
    Canary({}, {"momentum_interpolation": "lerp-from-momentum"}, _F32, "80000001 cb7fffff c024a42c", (0.1, 0.95, 0.9, 0.1), "momentum", "cb666665", "cb666666", ("momentum_interpolation=lerp-from-nearer",)),
    Canary({}, {"momentum_interpolation": "lerp-from-nearer"}, _F32, "c0239004 c006a344 bfb8aea8", (0.1, 0.1, 0.1, 0.1), "momentum", "bfc1243e", "bfc1243f", ()),
    Canary({}, {"nan_sign": "zero"}, _F32, "be3d6f14 3c400000 ff800001", (0.1, 0.95, 0.9, 0.1), "param", "ffc00001", "be3b8a21", ()),
    Canary({}, {"precision": "storage"}, _BF16, "bdb6 3ead 3f0d", (0.1, 0.5, 0.99, 0.0029296875), "param", "be41", "be42", ()),
    Canary({"precision": "storage"}, {"scalars": "storage"}, _BF16, "3d64 8008 0041", (0.5, 0.9, 0.95, 0.1), "param", "3f0e", "3d59", ()),
    Canary({"sign_interpolation": "lerp-from-gradient"}, {"sign_fused": "difference"}, _F32, "0d3e207f 3c680000 be89bfff", (0.1, 0.95, 0.9, 0.1), "param", "0d3c39c5", "3dcccccd", ()),
    Canary({"sign_interpolation": "lerp-from-momentum"}, {"sign_fused": "difference"}, _F32, "00041943 c0344dd7 42561c6f", (0.1, 0.95, 0.9, 0.1), "param", "00040ec5", "3dcccccd", ()),
    Canary({}, {"sign_fused": "gradient"}, _F32, "4b7fffff dd2b7c42 5f4ba38e", (0.5, 0.95, 0.9, 0.5), "param", "4b3fffff", "4b400000", ()),
    Canary({}, {"sign_fused": "momentum"}, _F32, "cb800001 c011b2a7 422d0426", (0.5, 0.95, 0.9, 0.5), "param", "cb400002", "cb400001", ()),
    Canary({}, {"sign_interpolation": "lerp-from-gradient"}, _F32, "bffffffe bb900000 3dab0002", (0.1, 0.95, 0.9, 0.1), "param", "c0051eb7", "bffd70a2", ()),
    Canary({}, {"sign_interpolation": "lerp-from-momentum"}, _F32, "402a43e5 bf8476a8 419d4ce8", (0.1, 0.95, 0.9, 0.1), "param", "4022299e", "40289004", ("sign_interpolation=lerp-from-nearer",)),
    Canary({}, {"sign_interpolation": "lerp-from-nearer"}, _F32, "3fbe96d0 baec0981 3951cf91", (0.1, 0.1, 0.1, 0.1), "param", "3fafe21b", "3fc97bb4", ()),
    Canary({}, {"step_fused": True}, _F32, "bd800000 bec4ca44 e040f7b2", (0.1, 0.95, 0.9, 0.1), "param", "3d1c28f6", "3d1c28f7", ()),
    Canary({}, {"subnormals": "flush"}, _F32, "80000001 80000000 80000001", (0.1, 0.95, 0.9, 0.1), "param", "80000001", "80000000", ("subnormals=flush-before-rounding",)),
    Canary({}, {"subnormals": "flush-before-rounding"}, _F32, "00000000 00b4ca7c 00000000", (0.5, 0.0, 0.708, 0.0), "momentum", "00800000", "00000000", ()),
    Canary({"subnormals": "flush"}, {"subnormals": "flush-before-rounding"}, _F32, "00000000 00b4ca7c 00000000", (0.5, 0.0, 0.708, 0.0), "momentum", "00800000", "00000000", ()),
    Canary({}, {"zero_sign": "kept"}, _F32, "80000000 80000000 80000001", (0.1, 0.95, 0.9, 0.1), "param", "80000000", "00000000", ("decay=product",)),
]
# fmt: on
