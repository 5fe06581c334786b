"""lion_jax, through tx.update with optax.apply_updates and through tx.step, in jit and outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lion_jax
from lion_conformance.operations.traced import Traced
from lion_conformance.ports.archive import pack, unpack
from lion_conformance.ports.backends import NotRunnable, refusing
from lion_conformance.ports.jaxprs.scalars import in_jax
from lion_conformance.ports.jaxprs.tracing import traced_by_jax
from lion_conformance.ports.offers import Offer
from lion_conformance.ports.protocol import Betas, Port, Triple
from lion_conformance.ports.sessions import ListSession
from lion_ref import legal_triples
from lion_ref.arithmetic import Array
from lion_ref.run_state import Group, Header, NameMap
from lion_ref.subnormals import SubnormalsChoice

TrainStep = Callable[..., Any]


def ports(device: str, subnormals: SubnormalsChoice = "native") -> list[Port]:
    """One port for each door; float64 is judged with x64 enabled, the rest without."""
    platform = "gpu" if device == "cuda" else device
    try:
        devices = jax.devices(platform)
    except RuntimeError as error:
        raise NotRunnable(f"jax has no device {device!r} here; legal: cpu") from error
    chosen = devices[0]
    with refusing():
        declared = {
            update_dtype: lion_jax.declared_semantics(
                chosen.platform, update_dtype=update_dtype, subnormals=subnormals
            )
            for update_dtype in UPDATE_DTYPES
        }
    return [
        Port(
            name="lion_jax",
            door=door,
            open=partial(
                JaxSession,
                train_step=train_step,
                device=chosen,
                options=options_of(door, subnormals),
            ),
            declared=declared["params" if door in NARROWED else "compute"],
            triples=legal_triples(),
            device=device,
            compiles=True,
            offers=OFFERS | ({Offer.DEVICE} if len(devices) > 1 else set()),
            restore=partial(restored, door=door, device=device, subnormals=subnormals),
            devices=tuple(str(i) for i in range(len(devices))),
            unavailable=_refusal(train_step) if subnormals == "flush" else "",
            trace=partial(_traced, _programs(subnormals)[door], chosen.platform),
        )
        for door, train_step in doors(subnormals).items()
    ]


def _refusal(train_step: TrainStep) -> str:
    """Why a door is closed: where a GPU keeps subnormals, `update` cannot flush θ', a sum."""
    one, betas = [jnp.ones(1)], {"beta1": 0.5, "beta2": 0.5}
    state = lion_jax.LionState(jnp.zeros([], jnp.int32), one)
    try:
        jax.eval_shape(partial(train_step, **betas), one, state, one, 0.5, 0.5)
    except ValueError as error:
        return str(error)
    return ""


def _through_update(
    params: Any,
    state: Any,
    grads: Any,
    lr: Any,
    weight_decay: Any,
    beta1: float,
    beta2: float,
    **options: Any,
) -> Any:
    tx = lion_jax.lion(lr, b1=beta1, b2=beta2, weight_decay=weight_decay, **options)
    # optax's apply_updates passes a parameter over only if that is None itself.
    taking_part = [None if g is None else p for p, g in zip(params, grads, strict=True)]
    updates, state = tx.update(grads, state, taking_part)
    updated = optax.apply_updates(taking_part, updates)
    return [p if new is None else new for p, new in zip(params, updated, strict=True)], state


def _through_step(
    params: Any,
    state: Any,
    grads: Any,
    lr: Any,
    weight_decay: Any,
    beta1: float,
    beta2: float,
    **options: Any,
) -> Any:
    tx = lion_jax.lion(lr, b1=beta1, b2=beta2, weight_decay=weight_decay, **options)
    return tx.step(grads, state, params)


@lru_cache(maxsize=64)
def _jitted(train_step: TrainStep, beta1: float, beta2: float) -> TrainStep:
    """One compiled train step for each pair of betas; lr and weight decay are traced."""
    return jax.jit(partial(train_step, beta1=beta1, beta2=beta2))


@lru_cache(maxsize=64)
def _jitted_by_schedule(
    train_step: TrainStep, beta1: float, beta2: float, lr: Any, weight_decay: Any
) -> TrainStep:
    whole = partial(train_step, lr=lr, weight_decay=weight_decay, beta1=beta1, beta2=beta2)
    return jax.jit(whole)


def _inside_jit(train_step: TrainStep) -> TrainStep:
    def run(*args: Any, beta1: float, beta2: float) -> Any:
        *trees, lr, weight_decay = args
        if callable(lr):  # schedules are part of the program, not of its arguments
            return _jitted_by_schedule(train_step, beta1, beta2, lr, weight_decay)(*trees)
        return _jitted(train_step, beta1, beta2)(*args)

    return run


def _programs(subnormals: SubnormalsChoice) -> dict[str, TrainStep]:
    """What a training program does at each door."""
    update = partial(_through_update, subnormals=subnormals)
    return {
        "tx.update, jit": update,
        "tx.step, jit": partial(_through_step, subnormals=subnormals),
        "tx.update": update,
        "tx.update in θ's dtype, jit": partial(update, update_dtype="params"),
    }


@cache
def doors(subnormals: SubnormalsChoice) -> dict[str, TrainStep]:
    """The ways to take a step; the same ones for the same choice, so that jit compiles once."""
    return {
        door: _inside_jit(program) if door.endswith(", jit") else program
        for door, program in _programs(subnormals).items()
    }


def _traced(program: TrainStep, platform: str, triple: Triple) -> Iterable[Traced]:
    """What a door computes, by its jaxpr; lr and weight decay are traced, as in a session."""

    def step(
        theta: Any, m: Any, g: Any, *, lr: Any, beta1: Any, beta2: Any, weight_decay: Any
    ) -> Any:
        state = lion_jax.LionState(jnp.zeros([], jnp.int32), [m])
        dtype = jnp.float64 if theta.dtype == jnp.float64 else jnp.float32
        rates = (jnp.asarray(in_jax(x.astype(dtype))) for x in (lr, weight_decay))
        params, state = program([theta], state, [g], *rates, beta1=beta1, beta2=beta2)
        return params[0], state.mu[0]

    return traced_by_jax(step, triple, platform=platform, scopes=lion_jax.lion)


UPDATE_DTYPES: tuple[lion_jax.UpdateDtype, ...] = ("compute", "params")
NARROWED = {"tx.update in θ's dtype, jit"}
"""Where updates are rounded to their parameters' dtypes (SPEC C31)."""


def options_of(door: str, subnormals: SubnormalsChoice) -> dict[str, Any]:
    """What `lion` is given at a door beside its numbers."""
    narrowed = {"update_dtype": "params"} if door in NARROWED else {}
    return {"subnormals": subnormals, **narrowed}


OFFERS = frozenset(Offer) - {Offer.DEVICE, Offer.REFUSAL}
"""No refusal: a traced number has no value that could be refused."""


def restored(saved: bytes, *, door: str, device: str, subnormals: SubnormalsChoice) -> JaxSession:
    """A training loop that goes on from the leaves of a saved one."""
    arrays, facts = unpack(saved)
    session = JaxSession(
        arrays["params"],
        arrays["momenta"],
        **facts["betas"],
        train_step=doors(subnormals)[door],
        options=options_of(door, subnormals),
        device=jax.devices("gpu" if device == "cuda" else device)[facts["place"]],
    )
    session.resume(facts["count"], facts["rates"])
    return session


class JaxSession(ListSession):
    """A training loop around lion_jax.lion."""

    def __init__(
        self,
        params: Sequence[Array],
        momenta: Sequence[Array],
        *,
        train_step: TrainStep,
        device: Any,
        options: dict[str, Any],
        **betas: Unpack[Betas],
    ) -> None:
        self._train_step, self._betas = train_step, betas
        self._options = options
        self._tx = self._made(0.0, 0.0)
        self._device = device
        self._x64 = any(x.dtype == np.float64 for x in params)
        self._rates: tuple[tuple[float, ...], tuple[float, ...]] | None = None
        self._context = partial(jax.enable_x64, self._x64)
        with self._context():
            self._params = [self._put(x) for x in params]
            count = jnp.zeros([], jnp.int32)
            self._state = lion_jax.LionState(count=count, mu=[self._put(x) for x in momenta])

    def _put(self, array: Any) -> Any:
        # NumPy's copy: JAX may read an array, even to copy it, after the step has returned.
        return jax.device_put(jnp.asarray(np.array(array)), self._device)

    def _get(self, array: Any) -> Array:
        return np.asarray(array)

    def _joined(self, parts: Sequence[Any]) -> Any:
        return jnp.concatenate(parts)

    def _state_lists(self) -> tuple[list[Any], list[Any]]:
        return self._params, self._state.mu

    def step(self, grads: Sequence[Array | None], *, lr: float, weight_decay: float) -> None:
        """One train step; lr and weight decay as a schedule would hand them over, traced."""
        with self._context():
            dtype = jnp.float64 if self._x64 else jnp.float32
            self._step(grads, jnp.asarray(lr, dtype), jnp.asarray(weight_decay, dtype))

    def _step(self, grads: Sequence[Array | None], lr: Any, weight_decay: Any) -> None:
        self._params, self._state = self._train_step(
            self._params,
            self._state,
            [None if x is None else self._put(x) for x in grads],
            lr,
            weight_decay,
            **self._betas,
        )

    def schedule(self, lr: Sequence[float], weight_decay: Sequence[float]) -> None:
        """Schedules that look the state's count up."""
        self.resume(0, (lr, weight_decay))

    def resume(self, count: int, rates: Sequence[Sequence[float]] | None) -> None:
        """Go on with so many steps done, by these schedules if there are any."""
        self._rates = None if rates is None else (tuple(rates[0]), tuple(rates[1]))
        self._state = self._state._replace(count=self._put(np.int32(count)))

    def step_as_scheduled(self, grads: Sequence[Array | None]) -> None:
        """One train step whose lr and weight decay are functions of the count."""
        if self._rates is None:
            raise RuntimeError("a step as scheduled, but no schedule")
        with self._context():
            self._step(grads, *(_looked_up(rates, self._x64) for rates in self._rates))

    def save(self) -> bytes:
        """Every leaf's bits, and what a training program knows beside them."""
        params, momenta = self.read()
        return pack(
            {"params": params, "momenta": momenta},
            betas=self._betas,
            count=int(self._state.count),
            rates=self._rates,
            place=self._device.id,
        )

    def names(self) -> list[str]:
        """The paths in a tree that is a list."""
        return [str(i) for i in range(len(self._params))]

    def export_state(self, path: Path, *, step: int, group: Group | None = None) -> None:
        """The state, which has the count, with the transformation that goes on with it."""
        del step
        tx, schedules = self._tx, {}
        if group is not None:
            tx = self._made(group.lr, group.weight_decay)
            schedules["lr_schedule"] = group.lr_schedule
            schedules["weight_decay_schedule"] = group.weight_decay_schedule
        with self._context():
            lion_jax.export_state(self._state, path, params=self._params, tx=tx, **schedules)

    def import_state(self, path: Path, *, mapping: NameMap) -> Header:
        """New parameters, a new state and a new transformation."""
        with self._context():
            self._params, self._state, header = lion_jax.import_state(
                path, params=self._params, mapping=mapping
            )
            self._tx = lion_jax.from_header(header, self._params, **self._options)
        given = self._tx.given
        self._betas = {"beta1": given.b1, "beta2": given.b2}
        return header

    def _made(self, lr: float, weight_decay: float) -> Any:
        return lion_jax.lion(
            lr,
            b1=self._betas["beta1"],
            b2=self._betas["beta2"],
            weight_decay=weight_decay,
            **self._options,
        )

    def move(self, device: str) -> None:
        """Every leaf of parameters and state."""
        self._device = jax.devices(self._device.platform)[int(device)]
        with self._context():
            moved = jax.device_put((self._params, self._state), self._device)
        self._params, self._state = moved


@lru_cache(maxsize=16)
def _looked_up(rates: tuple[float, ...], x64: bool) -> Callable[[Any], Any]:
    """An optax schedule; the same one for the same rates, so that jit compiles once."""
    table = np.asarray(rates, np.float64 if x64 else np.float32)
    return lambda count: jnp.asarray(table)[jnp.minimum(count, len(table) - 1)]
