"""Sessions: what is kept, shared, forgotten or mixed up between steps and between tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

import lion_ref
from lion_conformance import Port
from lion_ref.arithmetic import round_to
from tests.lion_conformance.mutants.catalogue import mutant


class Session:
    """A right session, whose pieces the mutants replace."""

    def __init__(self, params: Any, momenta: Any, *, beta1: float, beta2: float) -> None:
        self.betas = {"beta1": beta1, "beta2": beta2}
        self.params, self.momenta = list(params), list(momenta)
        self.steps = 0

    def scalars(self, lr: float, weight_decay: float) -> dict[str, Any]:
        return {"lr": lr, "weight_decay": weight_decay} | self.betas

    def step(self, grads: Any, *, lr: float, weight_decay: float) -> None:
        self.steps += 1
        scalars = self.scalars(lr, weight_decay)
        for i, grad in enumerate(grads):
            self.update(i, grad, scalars)

    def update(self, i: int, grad: Any, scalars: dict[str, Any]) -> None:
        results = lion_ref.step(self.params[i], self.momenta[i], grad, **scalars)
        self.params[i], self.momenta[i] = results

    def read(self) -> Any:
        return self.params, self.momenta


def _port(session: type[Session]) -> Port:
    return Port(name=session.__name__, open=session, triples=lion_ref.legal_triples())


def right_session() -> Port:
    """No mutant: what the others would be without their mistake."""
    return _port(Session)


@mutant(makes=True)
def learning_rate_of_the_step_before() -> Port:
    """A step uses η of the step before: the schedule is off by one."""

    class Late(Session):
        last: float | None = None

        def scalars(self, lr: float, weight_decay: float) -> dict[str, Any]:
            late, self.last = lr if self.last is None else self.last, lr
            return super().scalars(late, weight_decay)

    return _port(Late)


@mutant(makes=True)
def decay_of_the_first_step() -> Port:
    """λ of the first step is kept for ever."""

    class Kept(Session):
        first: float | None = None

        def scalars(self, lr: float, weight_decay: float) -> dict[str, Any]:
            self.first = weight_decay if self.first is None else self.first
            return super().scalars(lr, self.first)

    return _port(Kept)


@mutant(makes=True)
def first_step_special() -> Port:
    """The first step of a session sets m' = (1-β2)·g, whatever m it was given."""

    class First(Session):
        def update(self, i: int, grad: Any, scalars: dict[str, Any]) -> None:
            if self.steps == 1:
                self.momenta[i] = np.zeros_like(self.momenta[i])
            super().update(i, grad, scalars)

    return _port(First)


@mutant(makes=True)
def second_step_special() -> Port:
    """The second step of a session is left out."""

    class Second(Session):
        def update(self, i: int, grad: Any, scalars: dict[str, Any]) -> None:
            if self.steps != 2:
                super().update(i, grad, scalars)

    return _port(Second)


@mutant(makes=True)
def tenth_step_special() -> Port:
    """From the tenth step on η is halved."""

    class Tenth(Session):
        def scalars(self, lr: float, weight_decay: float) -> dict[str, Any]:
            return super().scalars(lr if self.steps < 10 else lr / 2, weight_decay)

    return _port(Tenth)


@mutant(makes=True)
def state_not_saved() -> Port:
    """A step starts from the momentum of the session's beginning."""

    class Forgetful(Session):
        def update(self, i: int, grad: Any, scalars: dict[str, Any]) -> None:
            if self.steps == 1:
                self.begun = {**getattr(self, "begun", {}), i: self.momenta[i]}
            self.momenta[i] = self.begun[i]
            super().update(i, grad, scalars)

    return _port(Forgetful)


@mutant(makes=True)
def momentum_in_half_precision_between_steps() -> Port:
    """m is kept in float16 between the steps and shown in float32."""

    class Narrow(Session):
        def update(self, i: int, grad: Any, scalars: dict[str, Any]) -> None:
            if self.steps > 1:
                with np.errstate(all="ignore"):
                    narrow = self.momenta[i].astype(np.float16)
                self.momenta[i] = narrow.astype(self.momenta[i].dtype)
            super().update(i, grad, scalars)

    return _port(Narrow)


@mutant(makes=True, dtype="bfloat16")
def wide_copy_of_theta() -> Port:
    """A float32 copy of a bfloat16 θ is kept for the steps, and read() shows it rounded."""

    class Wide(Session):
        def update(self, i: int, grad: Any, scalars: dict[str, Any]) -> None:
            wide = self.wide = getattr(self, "wide", {})
            theta = wide.get(i, self.params[i].astype(np.float32))
            wide[i], self.momenta[i] = lion_ref.step(theta, self.momenta[i], grad, **scalars)
            self.params[i] = round_to(wide[i], self.params[i].dtype)

    return _port(Wide)


@mutant(makes=True)
def first_tensor_alone() -> Port:
    """Only the first tensor is updated."""

    class One(Session):
        def update(self, i: int, grad: Any, scalars: dict[str, Any]) -> None:
            if i == 0:
                super().update(i, grad, scalars)

    return _port(One)


@mutant(makes=True)
def last_tensor_left_out() -> Port:
    """The last of several tensors is not updated."""

    class AllButOne(Session):
        def update(self, i: int, grad: Any, scalars: dict[str, Any]) -> None:
            if i == 0 or i < len(self.params) - 1:
                super().update(i, grad, scalars)

    return _port(AllButOne)


@mutant(makes=True)
def momentum_shared_by_shape() -> Port:
    """Tensors of one shape share a momentum."""

    class Shared(Session):
        def update(self, i: int, grad: Any, scalars: dict[str, Any]) -> None:
            alike = [j for j, x in enumerate(self.params[: i + 1]) if x.shape == grad.shape]
            super().update(i, grad, scalars)
            if alike[0] != i:
                self.momenta[alike[0]] = self.momenta[i]

    return _port(Shared)


@mutant(makes=True)
def tensors_of_one_size_swapped() -> Port:
    """The gradients of two tensors of one shape change places."""

    class Swapped(Session):
        def step(self, grads: Any, *, lr: float, weight_decay: float) -> None:
            mixed = list(grads)
            for i, grad in enumerate(grads):
                alike = [j for j, x in enumerate(grads) if x.shape == grad.shape]
                mixed[i] = grads[alike[-1 - alike.index(i)]]
            super().step(mixed, lr=lr, weight_decay=weight_decay)

    return _port(Swapped)


@mutant(makes=True)
def zero_gradient_skips_a_tensor() -> Port:
    """A tensor whose gradient is all zeros is taken for one without a gradient."""

    class Skips(Session):
        def update(self, i: int, grad: Any, scalars: dict[str, Any]) -> None:
            if grad.any() or not grad.size:
                super().update(i, grad, scalars)

    return _port(Skips)


@mutant(makes=True)
def read_shows_the_step_before() -> Port:
    """read() shows the parameters of the step before."""

    class Stale(Session):
        def step(self, grads: Any, *, lr: float, weight_decay: float) -> None:
            self.shown = list(self.params)
            super().step(grads, lr=lr, weight_decay=weight_decay)

        def read(self) -> Any:
            return getattr(self, "shown", self.params), self.momenta

    return _port(Stale)


@mutant(makes=True)
def betas_after_the_first_step() -> Port:
    """From the second step on β2 is used for both."""

    class Drifting(Session):
        def scalars(self, lr: float, weight_decay: float) -> dict[str, Any]:
            scalars = super().scalars(lr, weight_decay)
            return scalars if self.steps == 1 else scalars | {"beta1": scalars["beta2"]}

    return _port(Drifting)


@mutant(makes=True)
def gradients_accumulate() -> Port:
    """The gradient of the step before is still in the buffer."""

    class Accumulates(Session):
        def update(self, i: int, grad: Any, scalars: dict[str, Any]) -> None:
            kept = getattr(self, "kept", {})
            self.kept = kept
            with np.errstate(all="ignore"):
                kept[i] = grad + kept[i] if i in kept else grad
            super().update(i, kept[i], scalars)

    return _port(Accumulates)
