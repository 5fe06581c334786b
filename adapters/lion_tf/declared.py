"""Which semantics the update has on a device: canonical, or canonical with subnormals flushed."""

from __future__ import annotations

from functools import cache

import numpy as np
import tensorflow as tf

from lion_ref import CANONICAL, Semantics, step
from lion_ref.arithmetic import same_bits
from lion_tf.kernel import update

_POSSIBLE = (
    CANONICAL,
    Semantics(subnormals="flush"),
    Semantics(subnormals="flush-before-rounding"),
)
# A subnormal operand; a subnormal result; a product just below the smallest normal number, which
# rounds up to it.
_MOMENTUM = np.array([1e-40, 2.0**-126, 2.0**-126 * (1 + 2.0**-23)], np.float32)
_BETA_2 = 1 - 2.0**-23


def declared_semantics(device: str | None = None) -> Semantics:
    """The semantics that every update on a device has, found by running one (SPEC C29).

    XLA flushes subnormals on a CPU and keeps them on a GPU; all else is canonical on both.

    Args:
        device: a TensorFlow device name; the default device if omitted.

    Raises:
        RuntimeError: the bits are those of no declared semantics.

    >>> declared_semantics("CPU:0").describe()
    'subnormals flushed'
    """
    return _probed(device)


@cache
def _probed(device: str | None) -> Semantics:
    zeros = np.zeros_like(_MOMENTUM)
    with tf.init_scope(), tf.device(device):
        theta, momentum = tf.Variable(zeros), tf.Variable(_MOMENTUM)
        update(
            theta.handle,
            momentum.handle,
            tf.constant(zeros),
            tf.constant(1.0, tf.float64),
            tf.constant(0.0, tf.float64),
            tf.constant([0.5, 0.5, _BETA_2, 1 - _BETA_2], tf.float64),
            tf.constant(0, tf.int64),
            tf.float32,
        )
    for semantics in _POSSIBLE:
        expected = step(
            zeros, _MOMENTUM, zeros, lr=1.0, beta1=0.5, beta2=_BETA_2, semantics=semantics
        )
        if all(
            same_bits(found.numpy(), right).all()
            for found, right in zip((theta, momentum), expected, strict=True)
        ):
            return semantics
    raise RuntimeError(
        f"the update on device {device!r} gives θ'={theta.numpy()}, m'={momentum.numpy()} for the "
        f"momenta {_MOMENTUM}, which no declared semantics gives; legal: a device whose float32 "
        "operations are IEEE 754's, with subnormals kept or flushed"
    )
