"""Kernels that take an array's memory for simpler than it is: each once passed as bit-exact."""

from __future__ import annotations

from typing import Any

import numpy as np

import lion_ref
from tests.lion_conformance.mutants.catalogue import mutant

step = lion_ref.step


@mutant()
def second_tile_left_out(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Launches one tile along each axis of a matrix where both are long."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if param.ndim == 2:
        new_param[128:, 128:], new_momentum[128:, 128:] = param[128:, 128:], momentum[128:, 128:]
    return new_param, new_momentum


@mutant()
def large_matrix_cut(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Has a counter that ends within a large matrix."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if param.ndim >= 2:
        new_param.reshape(-1)[8192:] = param.reshape(-1)[8192:]
    return new_param, new_momentum


@mutant()
def large_and_strided_cut(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Has the same counter where the gradient is not contiguous."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if not grad.flags.c_contiguous:
        new_param.reshape(-1)[8192:] = param.reshape(-1)[8192:]
    return new_param, new_momentum


@mutant()
def rows_taken_for_adjoining(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Takes the last axis's stride for all: what lies beyond the first row is read elsewhere."""

    def read(x: Any) -> Any:
        return np.zeros_like(x) if x.ndim == 2 and x.size and _rows_lie_apart(x) else x

    return step(read(param), read(momentum), read(grad), **scalars)


def _rows_lie_apart(x: Any) -> bool:
    return bool(x.strides[1] == x.itemsize and x.strides[0] > x.shape[1] * x.itemsize)


@mutant()
def permuted_axes_ignored(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Reads a gradient of permuted axes in memory's order."""
    if grad.ndim > 2 and np.moveaxis(grad, 1, -1).flags.c_contiguous:
        grad = np.moveaxis(grad, 1, -1).reshape(grad.shape)
    return step(param, momentum, grad, **scalars)


@mutant()
def stride_of_zero_ignored(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Reads beyond the one element that a broadcast gradient has."""
    if 0 in grad.strides and grad.size > 1:
        grad = np.zeros(grad.shape, grad.dtype)
    return step(param, momentum, grad, **scalars)


@mutant()
def writable_buffers_alone(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Asks for buffers to write to, and so refuses a gradient that is read-only."""
    if not grad.flags.writeable and 0 not in grad.strides:
        raise ValueError("buffer source array is read-only")
    return step(param, momentum, grad, **scalars)


def _cut_where_large(where: bool, param: Any, momentum: Any, grad: Any, scalars: Any) -> Any:
    """The reference, but what lies behind 65,536 elements is left as it was."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if where:
        new_param.reshape(-1)[65_536:] = param.reshape(-1)[65_536:]
    return new_param, new_momentum


@mutant()
def far_and_strided_cut(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A counter of 16 bits where a vector has gaps."""
    gaps = param.ndim == 1 and not param.flags.c_contiguous
    return _cut_where_large(gaps, param, momentum, grad, scalars)


@mutant()
def far_and_transposed_cut(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A counter of 16 bits where the gradient alone is in Fortran's order."""
    turned = grad.flags.f_contiguous and not param.flags.f_contiguous
    return _cut_where_large(turned, param, momentum, grad, scalars)


@mutant()
def far_and_without_decay_cut(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A kernel of its own for λ = 0, with a counter of 16 bits."""
    return _cut_where_large(scalars["weight_decay"] == 0, param, momentum, grad, scalars)


@mutant()
def gaps_without_decay(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A kernel of its own for λ = 0, which takes a gradient for contiguous."""
    if scalars["weight_decay"] == 0 and not grad.flags.c_contiguous and grad.ndim == 1:
        grad = np.repeat(grad, 2)[: grad.size]
    return step(param, momentum, grad, **scalars)


@mutant()
def channels_last_gradient_alone(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """Reads a gradient in NHWC in memory's order where θ is in C's."""
    turned = grad.ndim > 2 and np.moveaxis(grad, 1, -1).flags.c_contiguous
    if turned and param.flags.c_contiguous and not grad.flags.c_contiguous:
        grad = np.moveaxis(grad, 1, -1).reshape(grad.shape)
    return step(param, momentum, grad, **scalars)


@mutant()
def rows_of_stride_zero(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """`strides[0] or columns`: a row in place of all is read on into what lies behind it."""
    if grad.ndim == 2 and grad.strides[0] == 0 and grad.size:
        grad = np.where(np.arange(len(grad))[:, None] == 0, grad, np.float32(0)).astype(grad.dtype)
    return step(param, momentum, grad, **scalars)


@mutant()
def more_columns_than_threads(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A block has a thread for each of 1,024 columns; there is no loop for more."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if param.ndim == 2:
        new_param[:, 1024:] = param[:, 1024:]
    return new_param, new_momentum


@mutant()
def more_rows_than_a_grid(param: Any, momentum: Any, grad: Any, **scalars: Any) -> Any:
    """A grid has 65,535 blocks along its second axis, one for each row."""
    new_param, new_momentum = step(param, momentum, grad, **scalars)
    if param.ndim == 2:
        new_param[65_535:] = param[65_535:]
    return new_param, new_momentum
