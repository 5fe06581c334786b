"""Real gradients: a recorded training run, replayed through a port's own session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

import lion_ref
from lion_conformance.judge import Verdict
from lion_conformance.port import Port, PortError
from lion_conformance.report.model import TapeResult
from lion_conformance.walk import State, Walk
from lion_ref import Semantics
from lion_ref.acceptance import judge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lion_conformance.cases import ScalarArguments

Array = NDArray[Any]

PATH: Final = Path(__file__).parent / "data" / "digits.npz"
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


def replay(port: Port, tape: Tape) -> TapeResult:
    """Run the tape through one session of the port and judge every step.

    Each step is judged from the state that the port itself was in. By induction, a port that is
    bit-exact at every step has gone through the reference's run bit for bit.
    """
    start = State(tape.params, tuple(np.zeros_like(x) for x in tape.params))
    canonical = as_declared = True
    elements = 0
    why = ""
    try:
        walk = Walk(port, start, beta1=tape.beta1, beta2=tape.beta2)
        for t, (grads, lr, weight_decay) in enumerate(tape.steps()):
            before = walk.state
            after = walk.step(grads, lr=lr, weight_decay=weight_decay)
            scalars: ScalarArguments = {
                "lr": lr,
                "beta1": tape.beta1,
                "beta2": tape.beta2,
                "weight_decay": weight_decay,
            }
            elements += tape.size
            if not _follows(before, grads, scalars, lion_ref.CANONICAL, after):
                canonical = False
                outside = _outside(before, grads, scalars, after)
                if outside:
                    why = f"step {t}: {outside} elements lie outside the accepted set"
                    break
            if port.declared is not None:
                as_declared &= _follows(before, grads, scalars, port.declared, after)
    except PortError as error:
        why = str(error)
    verdict = Verdict.BIT_EXACT
    if why:
        verdict = Verdict.REJECTED
    elif not canonical:
        declared = port.declared is not None and as_declared
        verdict = Verdict.BIT_EXACT_AS if declared else Verdict.ACCEPTED
    return TapeResult(
        verdict=verdict,
        as_promised=not why and (port.declared is None or as_declared),
        steps=len(tape),
        elements=elements,
        why=why,
    )


def _follows(
    before: State, grads: list[Array], scalars: ScalarArguments, how: Semantics, after: State
) -> bool:
    pairs = [
        lion_ref.step(*tensor, grad, **scalars, semantics=how)
        for tensor, grad in zip(before.tensors, grads, strict=True)
    ]
    return after.equals(State(*zip(*pairs, strict=True)))


def _outside(before: State, grads: list[Array], scalars: ScalarArguments, after: State) -> int:
    judgements = [
        judge(*old, grad, *new, **scalars)
        for old, grad, new in zip(before.tensors, grads, after.tensors, strict=True)
    ]
    return sum(
        int((~part.accepted).sum())
        for judged in judgements
        for part in (judged.param, judged.momentum)
    )
