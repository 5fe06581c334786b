"""Semantics that give the same bits in given dtypes, whatever the input: one stands for all.

    every dtype the compute dtype: rounding to storage changes nothing, so `precision`,
        `momentum_precision` and `scalars` say by `storage` the same as by `compute`. For m' it is
        enough if those of m and g are, unless a coupled decay brings θ in.
    every θ float32 or float64: the step is in θ's dtype already, so `step_stored` changes nothing.
    no θ float64: the compute dtype is float32, so `scalars="float32"` says the same as `compute`.
    θ float64, scalars kept wide: the compute dtype is binary64, where SPEC C4 forms 1-β; so 1 ⊖ β
        is that number, and a complement of `compute` says the same as `wide`. Not so in
        `lerp-from-nearer`, where it is another formula.

The search of a diagnosis need not tell them apart, and could not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lion_conformance.ports.protocol import Triple
from lion_ref import Semantics
from lion_ref.dtypes import compute_dtype


def simplest_equivalent(semantics: Semantics, triples: Sequence[Triple]) -> Semantics:
    """The semantics with the fewest choices that has the same bits for all dtypes of triples.

    >>> from lion_ref import Semantics
    >>> simplest_equivalent(Semantics(precision="storage"), [("float32",) * 3]) == Semantics()
    True
    >>> stored = Semantics(precision="storage")
    >>> simplest_equivalent(stored, [("float32", "float16", "float32")]) == stored
    True
    """

    def kept(roles: Sequence[int]) -> bool:
        """Whether these of θ, m and g are stored in the compute dtype."""
        return all(triple[i] == compute_dtype(triple[0]).name for triple in triples for i in roles)

    simpler: dict[str, Any] = {}
    if kept((0, 1, 2) if semantics.decay == "coupled" else (1, 2)):
        simpler["momentum_precision"] = "compute"
    if kept((0, 1, 2)):
        simpler["precision"] = "compute"
    if kept((0,)):
        simpler["step_stored"] = False
    scalars = semantics.scalars
    precisions = {
        simpler.get(name, getattr(semantics, name)) for name in ("precision", "momentum_precision")
    }
    if (scalars == "storage" and precisions == {"compute"}) or (
        scalars == "float32" and all(triple[0] != "float64" for triple in triples)
    ):
        scalars = simpler["scalars"] = "compute"
    if scalars == "compute" and all(triple[0] == "float64" for triple in triples):
        for part in ("sign", "momentum"):
            if getattr(semantics, f"{part}_interpolation") != "lerp-from-nearer":
                simpler[f"{part}_complement"] = "wide"
    if all(getattr(semantics, name) == value for name, value in simpler.items()):
        return semantics  # as most are: a search asks about thousands
    return replace(semantics, **simpler)
