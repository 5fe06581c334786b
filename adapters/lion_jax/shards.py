"""Arrays to a file and from it, shard by shard, with nothing gathered (SPEC C34)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lion_ref.run_state import Unfinished


def opened(file: Unfinished) -> AbstractContextManager[object]:
    """The file while it is written: made and named by one process, filled by each.

    All processes have to reach the same file system, and to call this with the same file.
    """
    if jax.process_count() == 1:
        return file
    return file.shared(_agreed, first=jax.process_index() == 0)


@contextmanager
def _agreed() -> Iterator[None]:
    """What is done within, done by all processes: an error in one is an error in each."""
    try:
        yield
    except BaseException:
        _failed(here=True)
        raise
    if (failed := _failed(here=False)).any():
        raise RuntimeError(f"process {failed.argmax()} has refused; legal: see what it has raised")


def _failed(*, here: bool) -> np.ndarray[Any, Any]:
    """For each process whether it has failed, once all have said so."""
    from jax.experimental.multihost_utils import process_allgather

    return np.ravel(process_allgather(np.array([here])))


def write(target: np.ndarray[Any, Any], source: Any) -> None:
    """What this process has of an array to its place; of replicas, the first is written."""
    if isinstance(source, jax.Array) and not source.is_fully_addressable:
        _write_shards(target, source)
    elif jax.process_index() == 0:  # every process has it whole
        if isinstance(source, jax.Array):
            _write_shards(target, source)
        else:
            target[...] = np.asarray(source)


def _write_shards(target: np.ndarray[Any, Any], source: jax.Array) -> None:
    for shard in source.addressable_shards:
        if shard.replica_id == 0:
            # An array keeps what was copied from a device to the host: this one is soon gone.
            passing = jax.make_array_from_single_device_arrays(
                shard.data.shape, shard.data.sharding, [shard.data]
            )
            target[shard.index] = np.asarray(passing)


def placed(source: np.ndarray[Any, Any], like: Any) -> jax.Array:
    """An array of what lies in a file, copied, where another is or is to be.

    Of the file only what this process's devices hold is read.
    """

    def part(index: Any) -> np.ndarray[Any, Any]:
        # Copied: JAX may take a NumPy array's memory as it is, and this is the file's.
        return np.array(source[index], order="C")

    sharding = getattr(like, "sharding", None)
    if sharding is None or (isinstance(like, jax.Array) and not like.committed):
        return jnp.asarray(part(...))
    return jax.make_array_from_callback(source.shape, sharding, part)
