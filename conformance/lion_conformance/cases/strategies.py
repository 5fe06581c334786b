"""Cases as a Hypothesis strategy, and the loop that runs a judge under it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from lion_conformance.cases.case import Case, build
from lion_conformance.ports.protocol import Triple
from lion_ref import legal_triples

T = TypeVar("T")


class _Drawn:
    """Decisions by Hypothesis."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def pick(self, options: Sequence[T]) -> T:
        """Shrinks towards the first option."""
        return self._draw(st.sampled_from(options))

    def integer(self, below: int) -> int:
        """Shrinks towards 0."""
        return self._draw(st.integers(0, below - 1))


@st.composite
def cases(draw: st.DrawFn, triples: Sequence[Triple] | None = None) -> Case:
    """One step's inputs for any of the triples of dtypes (θ, m, g); all 43 if omitted."""
    return build(_Drawn(draw), triples if triples is not None else legal_triples())


class _Stop(Exception):
    """The case just judged is rejected: no further examples."""


def feed_by_hypothesis(
    judge_case: Callable[[Case], bool],
    triples: Sequence[Triple],
    *,
    max_examples: int,
    seed: int,
) -> None:
    """Judge max_examples cases, or stop at the first that is rejected.

    Hypothesis generates; it does not shrink, because the elements of a rejected case are known one
    by one: `smallest_case` simplifies them with far fewer calls of the port.
    """

    stopped = False

    @seeded(seed)
    @settings(
        max_examples=max_examples,
        database=None,
        deadline=None,  # the first call of a compiled port compiles
        phases=[Phase.generate],
        # A case is expanded to tens of thousands of elements after drawing; that is no slow draw.
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
    )
    @given(cases(triples))
    def run(case: Case) -> None:
        nonlocal stopped
        # Hypothesis replays the example that failed; a port that is not deterministic might pass
        # then, and is rejected all the same.
        stopped = stopped or not judge_case(case)
        if stopped:
            raise _Stop

    try:
        run()
    except _Stop:
        return
