"""The scalars as Python's numbers: NumPy's would be strangers to other namespaces (SPEC C4)."""

from __future__ import annotations

from lion_ref.hyperparameters import Hyperparameters, Scalars, round_scalars


def scalars_for(values: Hyperparameters, compute: str) -> Scalars:
    """The six scalars, each rounded once to the compute dtype, so that arrays take them exactly."""
    return round_scalars(values, compute).as_floats()
