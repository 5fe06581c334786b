"""Real gradients: a recorded training run, replayed through a port's own session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lion_conformance.cases.pace import Pace
from lion_conformance.ports.protocol import Port
from lion_conformance.ports.state import State
from lion_conformance.runs.events import Step
from lion_conformance.runs.follow import answers, judged
from lion_conformance.runs.trajectory import Trajectory
from lion_conformance.verdict.tally import Tally
from lion_conformance.verdict.verdict import Verdict
from lion_ref.arithmetic import Array

PATH: Final = Path(__file__).parents[1] / "data" / "digits.npz"
STRETCH: Final = 20
"""Steps between two looks at the clock."""

TRIPLE: Final = ("float32", "float32", "float32")


@dataclass(frozen=True, slots=True)
class Tape:
    """A recorded run: the first parameters, and for each step every gradient and both scalars."""

    params: tuple[Array, ...]
    grads: tuple[Array, ...]
    """One array a parameter, the step as its first axis."""
    lr: NDArray[np.float64]
    weight_decay: NDArray[np.float64]
    beta1: float
    beta2: float

    def __len__(self) -> int:
        return len(self.lr)

    @property
    def size(self) -> int:
        """Parameters in all."""
        return sum(x.size for x in self.params)

    def steps(self) -> Iterator[tuple[list[Array], float, float]]:
        """(gradients, lr, weight decay) of one step after another."""
        for t, (lr, weight_decay) in enumerate(zip(self.lr, self.weight_decay, strict=True)):
            yield [x[t] for x in self.grads], float(lr), float(weight_decay)

    def as_run(self) -> Trajectory:
        """The run that was recorded; momenta start as zeros."""
        start = State(self.params, tuple(np.zeros_like(x) for x in self.params))
        events = tuple(Step(tuple(grads), lr, decay) for grads, lr, decay in self.steps())
        return Trajectory(start, self.beta1, self.beta2, events)

    def save(self, path: Path) -> None:
        """Write the tape as a compressed npz."""
        named = {f"param{i}": x for i, x in enumerate(self.params)}
        named |= {f"grads{i}": x for i, x in enumerate(self.grads)}
        np.savez_compressed(
            path,
            lr=self.lr,
            weight_decay=self.weight_decay,
            betas=np.array([self.beta1, self.beta2]),
            **named,  # type: ignore[arg-type]  # the stub takes the names for allow_pickle
        )


@dataclass(frozen=True, slots=True)
class TapeResult:
    """The verdict on one port over the recorded training run."""

    verdict: Verdict
    as_promised: bool
    steps: int
    """Those that there was time for, or up to what was rejected."""
    recorded: int
    """Steps that the tape has."""
    elements: int
    why: str = ""


def load(path: Path = PATH) -> Tape:
    """The tape in the package, or another.

    >>> tape = load()
    >>> len(tape), tape.size
    (300, 610)
    """
    with np.load(path) as stored:
        count = sum(name.startswith("param") for name in stored.files)
        beta1, beta2 = stored["betas"].tolist()
        return Tape(
            params=tuple(stored[f"param{i}"] for i in range(count)),
            grads=tuple(stored[f"grads{i}"] for i in range(count)),
            lr=stored["lr"],
            weight_decay=stored["weight_decay"],
            beta1=beta1,
            beta2=beta2,
        )


def replay(port: Port, tape: Tape, pace: Pace | None = None) -> TapeResult:
    """Run the tape through one session of the port and judge every step that there is time for.

    It is not made once more, as other runs are: those have shown what a session keeps.
    """
    tally, run, pace = Tally(port.declared), tape.as_run(), pace or Pace()
    answered = answers(port, run)
    pace.plan(len(tape))
    steps = 0
    while steps < len(tape) and tally.failure is None and pace.goes_on(STRETCH):
        begin, steps = steps, min(steps + STRETCH, len(tape))
        tally.failure = judged(run.until(steps - 1), answered, tally, first=begin)
    failure = tally.failure
    return TapeResult(
        verdict=tally.verdict,
        as_promised=tally.as_promised,
        steps=steps,
        recorded=len(tape),
        elements=tally.elements,
        why="" if failure is None else failure.why,
    )
