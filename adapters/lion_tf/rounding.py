"""Storing a result in the dtype of the array whose place it takes, with one rounding (SPEC C9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from lion_tf.fence import fence

if TYPE_CHECKING:
    from lion_tf.fence import Tensor


def stored(new: Tensor, old: Tensor, zero: Tensor, iterations: Tensor) -> Tensor:
    """new, rounded once to the dtype of old.

    XLA takes an operation on one array, such as a fence, as free to repeat: it would compute θ'
    once more for `zero_after`, and copy both arrays before. So a choice between two arrays stands
    behind the fence, and where nothing is rounded there is no fence. The choice must not say what
    zero is: LLVM would put it in place of every fence's, and contract.
    """
    if new.dtype == old.dtype:
        return new
    always = tf.less(iterations, 1 << 62)
    return tf.where(always, fence(tf.cast(new, old.dtype), zero), old)
