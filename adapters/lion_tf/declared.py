"""Which semantics the update has on a device: canonical, or canonical with subnormals flushed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import tensorflow as tf

from lion_ref import Semantics
from lion_ref.declared import telling, told
from lion_ref.subnormals import SubnormalsChoice, cannot_keep, check_subnormals
from lion_tf.kernel import update
from lion_tf.scalars import scalars_for


def declared_semantics(
    device: str | None = None, *, subnormals: SubnormalsChoice = "native"
) -> Semantics:
    """The semantics that every update on a device has, found by running one (SPEC C29).

    XLA flushes subnormals on a CPU and keeps them on a GPU; all else is canonical on both.

    Args:
        device: a TensorFlow device name; the default device if omitted.
        subnormals: the choice of the `Lion` that is asked about.

    Raises:
        RuntimeError: the bits are those of no declared semantics.
        ValueError: a choice that there is not; "keep" on a device that flushes.

    >>> declared_semantics("CPU:0").describe()
    'subnormals flushed'
    """
    choice = check_subnormals(subnormals)
    check_kept(choice, device)
    if choice == "flush" and keeps(device):
        return Semantics(subnormals="flush")
    return _probed(device)


def keeps(device: str | None) -> bool:
    """Whether XLA keeps subnormals on a device."""
    return _probed(device).subnormals == "keep"


def check_kept(choice: SubnormalsChoice, device: str | None) -> None:
    """ValueError for "keep" where XLA flushes."""
    if choice == "keep" and not keeps(device):
        where = "the default device" if device is None else f"device {device!r}"
        raise cannot_keep(f"lion_tf on {where}", "XLA flushes them there, and has no option not to")


@cache
def _probed(device: str | None) -> Semantics:
    """Found in a thread of its own, where no graph is built and no strategy creates variables."""
    with ThreadPoolExecutor(max_workers=1) as elsewhere:
        return elsewhere.submit(_found, device).result()


def _found(device: str | None) -> Semantics:
    inputs, given = telling("float32")
    with tf.device(device):
        theta, momentum = tf.Variable(inputs[0]), tf.Variable(inputs[1])
        update(
            theta.handle,
            momentum.handle,
            tf.constant(inputs[2]),
            scalars_for(given["lr"], given["weight_decay"], given["beta1"], given["beta2"], 0),
            tf.float32,
        )
    semantics = told("float32", (theta.numpy(), momentum.numpy()))
    if semantics is not None:
        return semantics
    raise RuntimeError(
        f"the update on device {device!r} gives θ'={theta.numpy()}, m'={momentum.numpy()} for "
        f"m={inputs[1]}, g={inputs[2]}, which no declared semantics gives; legal: a device whose "
        "float32 operations are IEEE 754's, with subnormals kept or flushed"
    )
