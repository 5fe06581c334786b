"""A damaged state is converted by from_optax, or refused in one line of words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lion_jax
from tests.hostile import VALUES, damaged, examples, said

pytestmark = pytest.mark.clause("C13")

LEAVES = st.sampled_from(
    [
        *(jnp.int32(3), jnp.int32(-1), jnp.zeros(2), jnp.zeros((2,), jnp.int32), np.int64(2**40)),
        *(np.bool_(True), np.float32(1.5), np.array([], np.int32), np.array("x"), np.uint64(2**63)),
        *(
            lion_jax.LionState(0, jnp.ones(2)),
            optax.EmptyState(),
            optax.lion(0.1).init(jnp.ones(2)),
        ),
        *(np.array(["3"], object), np.datetime64("2020-01-01"), np.complex64(1j)),
    ]
)
# As a checkpoint restores them: dicts of fields, lists, a dict of a tuple's places.
RESTORED: list[Any] = [
    {"count": 3, "mu": [1.0]},
    [{"count": 3, "mu": [1.0]}, {"inner_state": {"count": 3}}, {"count": 3}],
    {"0": {"count": 3, "mu": {"w": [1.0]}}, "1": {}, "2": {"count": 3}},
    {"notfinite_count": 0, "inner_state": [[3, [1.0]], [], None]},
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


STATES = st.one_of([damaged(state, VALUES | LEAVES) for state in RESTORED])


@examples(200)
@given(STATES)
def test_a_damaged_state_is_converted_or_refused_in_words(state: Any) -> None:
    said(lambda: lion_jax.from_optax(state))


def test_the_fuzz_finds_what_takes_a_count_for_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lion_jax.state._is_integer", lambda _: True)
    with pytest.raises((Exception, ExceptionGroup)):
        test_a_damaged_state_is_converted_or_refused_in_words()


@pytest.mark.slow
@examples(10_000)
@given(STATES)
def test_many_damaged_states_are_converted_or_refused_in_words(state: Any) -> None:
    said(lambda: lion_jax.from_optax(state))
