"""Memory: sizes, tails, counters, strides, orders, views, and arrays that are shared."""

from __future__ import annotations

from typing import Any

import numpy as np

import lion_ref
from tests.lion_conformance.mutants.catalogue import mutant

step = lion_ref.step


def _left(where: slice, param: Any, momentum: Any, grad: Any, scalars: Any) -> Any:
    """The reference, but a stretch of θ, in C order, is left as it was."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    new_param.reshape(-1)[where] = param.reshape(-1)[where]
    return new_param, new_momentum


NOTHING, ALL = slice(0), slice(None)


@mutant()
def tail_left_out(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """What is left behind vectors of four is not updated."""
    tail = slice(param.size - param.size % 4, None)
    return _left(tail, param, momentum, grad, scalars)


@mutant()
def tail_of_a_block_left_out(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """What is left behind blocks of 256 is not updated, if there is a block."""
    tail = slice(param.size - param.size % 256, None) if param.size > 256 else NOTHING
    return _left(tail, param, momentum, grad, scalars)


@mutant()
def last_of_an_even_size(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The last element of an even number is not updated."""
    last = slice(-1, None) if param.size % 2 == 0 else NOTHING
    return _left(last, param, momentum, grad, scalars)


@mutant()
def last_of_a_full_block(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The last element of full blocks of 1024 is not updated."""
    last = slice(-1, None) if param.size % 1024 == 0 else NOTHING
    return _left(last, param, momentum, grad, scalars)


@mutant()
def first_element(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The first element of a tensor with several is not updated."""
    return _left(slice(param.size > 1), param, momentum, grad, scalars)


@mutant()
def sixteen_bit_counter(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Elements past 65,535 are not updated."""
    return _left(slice(65_536, None), param, momentum, grad, scalars)


@mutant()
def index_wraps(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Elements past 2¹⁷ read the gradient of the element 2¹⁷ before: 2³¹ in small."""
    wrapped = grad.reshape(-1)[np.arange(grad.size) % 2**17].reshape(grad.shape)
    return step(param, momentum, wrapped, **scalars)


@mutant()
def a_quarter_of_a_million(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Elements past 2¹⁸ are not updated: 2³¹ in small."""
    return _left(slice(2**18, None), param, momentum, grad, scalars)


@mutant()
def one_size(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Tensors of 40 to 60 elements are not updated."""
    return _left(ALL if 40 <= param.size <= 60 else NOTHING, param, momentum, grad, scalars)


@mutant()
def sizes_in_between(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The last element of a tensor of 300 to 900 is not updated."""
    last = slice(-1, None) if 300 <= param.size <= 900 else NOTHING
    return _left(last, param, momentum, grad, scalars)


@mutant()
def one_residue_of_the_size(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The last element is not updated where the size leaves 50 when divided by 128."""
    last = slice(-1, None) if param.size % 128 == 50 else NOTHING
    return _left(last, param, momentum, grad, scalars)


@mutant()
def multiples_of_three(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The last element of a tensor with several axes is not updated if 3 divides their product."""
    last = slice(-1, None) if param.ndim > 1 and param.size % 3 == 0 else NOTHING
    return _left(last, param, momentum, grad, scalars)


@mutant()
def no_axis(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A tensor without axes is not updated."""
    return _left(NOTHING if param.ndim else ALL, param, momentum, grad, scalars)


@mutant()
def one_element(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A tensor of shape (1,) is not updated."""
    return _left(ALL if param.shape == (1,) else NOTHING, param, momentum, grad, scalars)


@mutant()
def no_element(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """An empty tensor raises."""
    return step(param, momentum, grad, **scalars | {"lr": float(scalars["lr"] * 0 + _mean(param))})


def _mean(param: Any) -> float:
    if not param.size:
        raise ZeroDivisionError("mean of no elements")
    return 0.0


@mutant()
def an_axis_of_no_length(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """An empty tensor with several axes comes back with one."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if param.ndim > 1 and not param.size:
        return new_param.reshape(-1), new_momentum.reshape(-1)
    return new_param, new_momentum


@mutant()
def an_axis_of_length_one(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A column (n, 1) loses its second axis."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if param.ndim == 2 and param.shape[1] == 1:
        return new_param[:, 0], new_momentum[:, 0]
    return new_param, new_momentum


@mutant()
def row_broadcast(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The first row of a momentum with two axes serves for all rows."""
    if momentum.ndim == 2 and momentum.size:
        momentum = np.broadcast_to(momentum[:1], momentum.shape)
    return step(param, momentum, grad, **scalars)


@mutant()
def state_broadcast(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The first element of the momentum serves for all."""
    if momentum.size:
        momentum = np.broadcast_to(momentum.reshape(-1)[0], momentum.shape)
    return step(param, momentum, grad, **scalars)


@mutant()
def more_than_two_axes(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Tensors with more than two axes are not updated."""
    return _left(ALL if param.ndim > 2 else NOTHING, param, momentum, grad, scalars)


@mutant()
def more_than_four_axes(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Tensors with more than four axes are not updated."""
    return _left(ALL if param.ndim > 4 else NOTHING, param, momentum, grad, scalars)


@mutant()
def more_than_six_axes(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Tensors with more than six axes are not updated."""
    return _left(ALL if param.ndim > 6 else NOTHING, param, momentum, grad, scalars)


@mutant()
def strides_ignored(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The gradient's memory is read from its beginning, whatever its strides."""
    plain = np.empty(grad.shape, grad.dtype).strides
    within = all(0 <= a <= b for a, b in zip(plain, grad.strides, strict=True))
    if within:
        grad = np.lib.stride_tricks.as_strided(grad, strides=plain)
    return step(param, momentum, grad, **scalars)


@mutant()
def strides_of_theta_for_all(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Each array is read in the order of its own memory, right if all have one order."""
    orders = [np.asarray(x.ravel(order="K").reshape(x.shape)) for x in (param, momentum, grad)]
    if len({x.flags.c_contiguous for x in (param, momentum, grad)}) == 1:
        return step(param, momentum, grad, **scalars)
    return step(*orders, **scalars)


@mutant()
def transposed_gradient(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A gradient in Fortran's order beside a θ in C's is read as if it were in C's."""
    if grad.ndim > 1 and grad.flags.f_contiguous and param.flags.c_contiguous:
        grad = grad.ravel(order="K").reshape(grad.shape)
    return step(param, momentum, grad, **scalars)


@mutant()
def strided_momentum(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A momentum with gaps beside a θ without is read as zeros."""
    if param.flags.c_contiguous and not momentum.flags.c_contiguous:
        momentum = np.zeros_like(momentum)
    return step(param, momentum, grad, **scalars)


@mutant()
def unaligned(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A gradient that does not begin at a multiple of 16 bytes is read as zeros."""
    if grad.ctypes.data % 16:
        grad = np.zeros_like(grad)
    return step(param, momentum, grad, **scalars)


@mutant()
def neighbours(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Every 4096th element reads the gradient of its neighbour."""
    shifted = grad.copy().reshape(-1)
    if shifted.size > 4096:
        shifted[4096::4096] = shifted[4095:-1:4096]
    return step(param, momentum, shifted.reshape(grad.shape), **scalars)


@mutant()
def inputs_returned(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Where nothing moves, θ itself is returned instead of a new array."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if np.array_equal(new_param, param):
        return param, new_momentum
    return new_param, new_momentum


@mutant()
def views_of_one_buffer(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Where θ' and m' are equal they are one array."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if new_param.dtype == new_momentum.dtype and np.array_equal(new_param, new_momentum):
        return new_param, new_param
    return new_param, new_momentum


@mutant()
def inputs_written(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The momentum is updated in place."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    momentum[...] = new_momentum
    return new_param, new_momentum


@mutant()
def gradient_zeroed(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The gradient is zeroed after the step."""
    results = step(param, momentum, grad, **scalars)
    grad[...] = 0
    return results


@mutant()
def bytes_swapped(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """The results come in the other byte order."""
    results = step(param, momentum, grad, **scalars)
    return tuple(x.astype(x.dtype.newbyteorder()) for x in results)


@mutant()
class OneBuffer:
    """The same arrays are returned at every call of a shape."""

    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        results = step(param, momentum, grad, **scalars)
        key = (param.shape, param.dtype, momentum.dtype)
        buffers = self.kept.setdefault(key, tuple(np.empty_like(x) for x in results))
        for buffer, result in zip(buffers, results, strict=True):
            buffer[...] = result
        return buffers


@mutant()
class ScratchOfTheLargest:
    """One scratch array serves all calls, and results are views of it."""

    def __init__(self) -> None:
        self.scratch = np.empty(0, np.float32)

    def __call__(self, param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
        new_param, new_momentum = step(param, momentum, grad, **scalars)
        if self.scratch.size < param.size:
            self.scratch = np.empty(param.size, np.float32)
        view = self.scratch[: param.size].reshape(param.shape)
        view[...] = new_param
        return view, new_momentum
