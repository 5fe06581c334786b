"""lion_tf, through apply_gradients: eagerly, in tf.function, and under XLA."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import tensorflow as tf

import lion_tf
from lion_conformance.ports.archive import pack, unpack
from lion_conformance.ports.backends import NotRunnable, refusing
from lion_conformance.ports.loops import Loops
from lion_conformance.ports.offers import Offer
from lion_conformance.ports.protocol import Betas, Port, Triple
from lion_conformance.ports.sessions import ListSession
from lion_ref import legal_triples
from lion_ref.arithmetic import Array
from lion_ref.run_state import Group, Header, NameMap
from lion_ref.subnormals import SubnormalsChoice

Key = tuple[tuple[str, tuple[int, ...]], ...]

DOORS: dict[str, Callable[[Callable[..., None]], Callable[..., None]]] = {
    "apply_gradients, eager": lambda function: function,
    "apply_gradients, tf.function": tf.function,
    "apply_gradients, jit_compile": partial(tf.function, jit_compile=True),
}


def ports(device: str, subnormals: SubnormalsChoice = "native") -> list[Port]:
    """One port for each way to run a train step; in Keras m has its variable's dtype."""
    if device != "cpu" and not tf.config.list_physical_devices("GPU"):
        raise NotRunnable(f"tensorflow has no device {device!r} here; legal: cpu")
    # Every case has variables of its own, so the warning that retracing is expensive says nothing.
    tf.get_logger().setLevel("ERROR")
    place = "CPU:0" if device == "cpu" else "GPU:0"
    triples: tuple[Triple, ...] = tuple(x for x in legal_triples() if x[0] == x[1])
    with refusing():
        declared = lion_tf.declared_semantics(place, subnormals=subnormals)
    how: dict[str, Any] = {"place": place, "subnormals": subnormals}
    return [
        Port(
            name="lion_tf",
            door=door,
            open=partial(TensorFlowSession, door=door, **how),
            declared=declared,
            triples=triples,
            device=device,
            compiles=True,
            offers=OFFERS,
            restore=partial(restored, door=door, **how),
        )
        for door in DOORS
    ]


def variables_of(key: Key) -> list[Any]:
    """Variables of these dtypes and shapes, each with a name of its own."""
    return [
        tf.Variable(tf.zeros(shape, dtype), name=f"tensor_{i}")
        for i, (dtype, shape) in enumerate(key)
    ]


class TrainingLoop:
    """Variables, an optimizer and a train step for given shapes and dtypes; built once."""

    def __init__(
        self,
        variables: Key,
        beta1: float,
        beta2: float,
        door: str,
        place: str,
        subnormals: SubnormalsChoice,
    ) -> None:
        with tf.device(place):
            self.variables = variables_of(variables)
            self.learning_rate = tf.Variable(0.0, dtype=tf.float64)
            self.weight_decay = tf.Variable(0.0, dtype=tf.float64)
            self.optimizer = lion_tf.Lion(
                self.learning_rate.read_value,
                beta_1=beta1,
                beta_2=beta2,
                weight_decay=self.weight_decay.read_value,
                subnormals=subnormals,
            )
            self.optimizer.build(self.variables)
        self.train_step = DOORS[door](self._train_step)

    def _train_step(self, grads: list[Any]) -> None:
        pairs = zip(grads, self.variables, strict=True)
        taking_part = [pair for pair in pairs if pair[0] is not None]
        if taking_part:  # Keras has no step of no variable
            self.optimizer.apply_gradients(taking_part)

    @property
    def momenta(self) -> list[Any]:
        """Of the variables, in their order."""
        return [x.value for x in momenta_of(self.optimizer)]


def momenta_of(optimizer: Any) -> list[Any]:
    """An optimizer's own variables, without the iterations and η, which come first."""
    return [x for x in optimizer.variables if "momentum" in x.name]


_loops = Loops(TrainingLoop)


OFFERS = frozenset(
    {
        Offer.NO_GRADIENT,
        Offer.FREEZE,
        Offer.RESTORE,
        Offer.SPLIT,
        Offer.SEVERAL_DTYPES,
        Offer.HAND_OVER,
    }
)


def restored(saved: bytes, **how: Any) -> TensorFlowSession:
    """A training loop that goes on from variables, and from what Keras saves of an optimizer."""
    arrays, facts = unpack(saved)
    params = arrays["params"]
    # Momenta of zeros: the right ones come from the optimizer's own variables.
    session = TensorFlowSession(params, [np.zeros_like(x) for x in params], **facts["betas"], **how)
    session.resume(facts["iterations"], arrays["optimizer"])
    return session


class TensorFlowSession(ListSession):
    """A custom training loop around lion_tf.Lion."""

    def __init__(
        self,
        params: Sequence[Array],
        momenta: Sequence[Array],
        *,
        door: str,
        place: str,
        subnormals: SubnormalsChoice,
        **betas: Unpack[Betas],
    ) -> None:
        self._betas, self._how = betas, (door, place, subnormals)
        self._imported: Any = None
        self._rebuilt(params, momenta)

    def _state_lists(self) -> tuple[list[Array], list[Array]]:
        return self.read()

    def _rebuilt(self, params: Sequence[Array], momenta: Sequence[Array], /) -> None:
        self._key = key = tuple((x.dtype.name, x.shape) for x in params)
        self._loop: TrainingLoop = _loops.lend(
            self, key, self._betas["beta1"], self._betas["beta2"], *self._how
        )
        for variable, value in zip(
            [*self._loop.variables, *self._loop.momenta], [*params, *momenta], strict=True
        ):
            variable.assign(tf.constant(value))

    def step(self, grads: Sequence[Array | None], *, lr: float, weight_decay: float) -> None:
        """Set η and λ as a callback would, then train."""
        self._loop.learning_rate.assign(lr)
        self._loop.weight_decay.assign(weight_decay)
        self._loop.train_step([None if x is None else tf.constant(x) for x in grads])

    def save(self) -> bytes:
        """The variables, and what the optimizer puts into a Keras file."""
        store: dict[str, Any] = {}
        self._loop.optimizer.save_own_variables(store)
        iterations, *own = (store[str(i)] for i in range(len(store)))
        params, _ = self.read()
        return pack(
            {"params": params, "optimizer": own}, betas=self._betas, iterations=int(iterations)
        )

    def resume(self, iterations: int, own: Sequence[Array]) -> None:
        """Give the optimizer back what it saved."""
        variables = enumerate([np.int64(iterations), *own])
        self._loop.optimizer.load_own_variables({str(i): x for i, x in variables})

    def names(self) -> list[str]:
        """The paths of the variables."""
        return [f"tensor_{i}" for i in range(len(self._key))]

    def export_state(self, path: Path, *, step: int, group: Group | None = None) -> None:
        """The optimizer's state, which has the iterations, with the numbers set as for a step."""
        del step
        if group is None:
            lion_tf.export_state(self._imported, path)
            return
        self._loop.learning_rate.assign(group.lr)
        self._loop.weight_decay.assign(group.weight_decay)
        lion_tf.export_state(
            self._loop.optimizer,
            path,
            lr_schedule=group.lr_schedule,
            weight_decay_schedule=group.weight_decay_schedule,
        )

    def import_state(self, path: Path, *, mapping: NameMap) -> Header:
        """Into a new optimizer; then into the loop, whose traced step serves many runs."""
        with tf.device(self._how[1]):
            variables = variables_of(self._key)
            optimizer = self._imported = lion_tf.Lion(subnormals=self._how[2])
            header = lion_tf.import_state(optimizer, path, variables=variables, mapping=mapping)
        params = [np.asarray(x.numpy()) for x in variables]
        momenta = [np.asarray(x.value.numpy()) for x in momenta_of(optimizer)]
        self._betas = {"beta1": optimizer.beta_1, "beta2": optimizer.beta_2}
        self._rebuilt(params, momenta)
        self._loop.optimizer.iterations.assign(optimizer.iterations)
        return header

    def read(self) -> tuple[list[Array], list[Array]]:
        """Variables and momenta."""
        return [np.asarray(x.numpy()) for x in self._loop.variables], [
            np.asarray(x.numpy()) for x in self._loop.momenta
        ]
