"""Semantics that give the same bits in given dtypes, whatever the input: one stands for all.

    every dtype float32, or every one float64: storage is the compute dtype, so rounding to it
        again changes nothing. `precision="storage"` and `scalars="storage"` say the same as
        `compute`.
    every θ float32 or float64: the step is in θ's dtype already, so `step_stored` changes nothing.
    no θ float64: the compute dtype is float32, so `scalars="float32"` says the same as `compute`.
    θ float64, scalars kept wide: the compute dtype is binary64, where SPEC C4 forms 1-β; so 1 ⊖ β
        is that number, and `complement` says the same as `wide`.

The search of a diagnosis need not tell them apart, and could not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lion_conformance.port import Triple
    from lion_ref import Semantics


def simplest_alike(semantics: Semantics, triples: Sequence[Triple]) -> Semantics:
    """The semantics with the fewest choices that has the same bits for all dtypes of triples.

    >>> from lion_ref import Semantics
    >>> simplest_alike(Semantics(precision="storage"), [("float32",) * 3]) == Semantics()
    True
    >>> stored = Semantics(precision="storage")
    >>> simplest_alike(stored, [("float32", "float16", "float32")]) == stored
    True
    """
    dtypes = {dtype for triple in triples for dtype in triple}
    if dtypes in ({"float32"}, {"float64"}):
        scalars = "compute" if semantics.scalars == "storage" else semantics.scalars
        semantics = replace(semantics, precision="compute", scalars=scalars)
    if all(triple[0] in ("float32", "float64") for triple in triples):
        semantics = replace(semantics, step_stored=False)
    if semantics.scalars == "float32" and all(triple[0] != "float64" for triple in triples):
        semantics = replace(semantics, scalars="compute")
    if semantics.scalars == "compute" and all(triple[0] == "float64" for triple in triples):
        semantics = replace(semantics, complement="wide")
    return semantics
