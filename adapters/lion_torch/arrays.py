"""NumPy's arrays and torch's tensors of one memory; bfloat16, which one lacks, as its integers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lion_ref.dtypes import STORAGE_DTYPES


def as_tensor(array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor of an array's memory, of one of the storage dtypes; whatever the strides.

    >>> as_tensor(np.ones(2, STORAGE_DTYPES["bfloat16"]))
    tensor([1., 1.], dtype=torch.bfloat16)
    """
    with warnings.catch_warnings():
        # Of an array that is not to be written to, as JAX's are not: whoever asks only reads it.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        if array.dtype == STORAGE_DTYPES["bfloat16"]:
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(array)


def as_array(tensor: Tensor) -> np.ndarray[Any, Any]:
    """An array of the memory of a dense tensor on the CPU.

    >>> as_array(torch.ones(2, dtype=torch.bfloat16))
    array([1, 1], dtype=bfloat16)
    """
    if tensor.dtype == torch.bfloat16:
        integers: np.ndarray[Any, Any] = tensor.detach().view(torch.int16).numpy()
        return integers.view(STORAGE_DTYPES["bfloat16"])
    array: np.ndarray[Any, Any] = tensor.detach().numpy()
    return array
