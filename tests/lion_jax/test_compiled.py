"""What XLA made of a step, read from its optimized HLO, its LLVM IR and its machine code."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lion_jax
from lion_ref import legal_triples
from tests.lion_jax.doors import (
    by_apply_updates,
    by_sharded_step,
    by_step,
    difference,
    normal,
    reference,
)
from tests.lion_jax.test_contexts import unfenced

SIZE = 1000
DTYPES = pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
DOORS = pytest.mark.parametrize("door", [by_apply_updates, by_step, by_sharded_step])
CPU = pytest.mark.skipif(
    jax.default_backend() != "cpu", reason="reads what XLA's CPU compiler writes"
)
DEFINITION = re.compile(r"(%[\w.]+) = (.*)")
SUMS = re.compile(r"f(?:add|sub) .*?(%[\w.]+|\S+), (%[\w.]+|\S+)$")


def compiled(door: Callable[[Any], Any], dtype: str, dump: Path | None = None, **jit: Any) -> Any:
    tx = lion_jax.lion(1e-3, weight_decay=0.1)
    params = jnp.zeros(SIZE, dtype)
    options: dict[str, str | bool] = {} if dump is None else {"xla_dump_to": str(dump)}
    lowered = jax.jit(door(tx), **jit).lower(params, tx.init(params), params)
    return lowered.compile(compiler_options=options)


def contractible(dump: Path) -> list[str]:
    """Sums in the optimized LLVM IR of which an operand is a product.

    The code generator is allowed to fuse every one of them, and does.
    """
    found = []
    for path in dump.glob("*ir-with-opt.ll"):
        operations: dict[str, str] = dict(DEFINITION.findall(path.read_text()))
        for operation in operations.values():
            operands = SUMS.match(operation.strip())
            if operands and any(
                operations.get(x, "").startswith("fmul") for x in operands.groups()
            ):
                found.append(operation)
    return found


def fused_instructions(dump: Path) -> list[str]:
    """Fused multiply-adds in the machine code."""
    disassembler = shutil.which("objdump") or shutil.which("llvm-objdump")
    if disassembler is None:
        pytest.skip("needs objdump, to read machine code")
    found = []
    for path in dump.glob("*.o"):
        text = subprocess.run(
            [disassembler, "-d", str(path)], capture_output=True, text=True, check=True
        ).stdout
        # vfmadd231ps and its kin on x86; fmadd, fmla on Arm
        found += re.findall(r"\b(?:v?fn?m(?:add|sub|la|ls)\w*)\b", text)
    return found


READERS = pytest.mark.parametrize("read", [contractible, fused_instructions])


@CPU
@DOORS
@DTYPES
@READERS
@pytest.mark.clause("C5")
def test_nothing_is_contracted(
    read: Callable[[Path], list[str]], door: Callable[[Any], Any], dtype: str, tmp_path: Path
) -> None:
    compiled(door, dtype, tmp_path)
    assert list(tmp_path.glob("*ir-with-opt.ll"))
    assert list(tmp_path.glob("*.o"))
    assert not read(tmp_path)


@CPU
@DOORS
@READERS
@pytest.mark.clause("C5")
def test_without_fences_products_and_sums_are_contracted(
    read: Callable[[Path], list[str]],
    door: Callable[[Any], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unfenced(monkeypatch)
    compiled(door, "float32", tmp_path)
    assert read(tmp_path)


def large_copies(hlo: str, size: int = SIZE) -> list[str]:
    return re.findall(rf"= \w+\[{size}\]\S* copy\(.*", hlo)


@CPU
@DTYPES
@pytest.mark.parametrize("door", [by_step, by_sharded_step])
def test_a_donated_step_copies_nothing_and_needs_no_memory(
    dtype: str, door: Callable[[Any], Any]
) -> None:
    done = compiled(door, dtype, donate_argnums=(0, 1))
    assert not large_copies(done.as_text())
    memory = done.memory_analysis()
    assert memory.temp_size_in_bytes < SIZE
    assert memory.alias_size_in_bytes >= 2 * SIZE * jnp.dtype(dtype).itemsize


@CPU
@DTYPES
def test_a_donated_update_copies_nothing_and_needs_two_bytes_an_element(dtype: str) -> None:
    done = compiled(by_apply_updates, dtype, donate_argnums=(0, 1))
    assert not large_copies(done.as_text())
    assert done.memory_analysis().temp_size_in_bytes < 3 * SIZE


@CPU
@DOORS
def test_left_unordered_the_momentum_is_copied(
    door: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    unfenced(monkeypatch)
    done = compiled(door, "float32", donate_argnums=(0, 1))
    assert large_copies(done.as_text())
    assert done.memory_analysis().temp_size_in_bytes >= 4 * SIZE


@CPU
@pytest.mark.parametrize(
    ("door", "loops"), [(by_step, 2), (by_sharded_step, 2), (by_apply_updates, 3)]
)
@DTYPES
def test_fences_cost_no_pass_over_memory(
    dtype: str, door: Callable[[Any], Any], loops: int
) -> None:
    """One fused loop each for θ' and for m'; through updates one more, for u."""
    hlo = compiled(door, dtype, donate_argnums=(0, 1)).as_text()
    entry = hlo[hlo.index("ENTRY") :]
    assert len(re.findall(rf"= \w+\[{SIZE}\]\S* fusion\(", entry)) == loops


@CPU
@pytest.mark.parametrize(
    ("door", "moved"), [(by_step, 28), (by_sharded_step, 32), (by_apply_updates, 34)]
)
def test_bytes_moved_for_an_element_of_float32(door: Callable[[Any], Any], moved: int) -> None:
    """θ, m, g and m, g are read, θ' and m' written: 28.

    With several devices θ' is read again; through updates u is written and read twice, in 2 bytes.
    """
    done = compiled(door, "float32", donate_argnums=(0, 1))
    assert done.cost_analysis()["bytes accessed"] // SIZE == moved


@CPU
def test_every_triple_is_updated_in_place() -> None:
    """In one step of a tree with a leaf for each."""
    tx = lion_jax.lion(1e-3, weight_decay=0.1)
    with jax.enable_x64(True):
        params, mu, grads = (
            [jnp.zeros(SIZE, triple[i]) for triple in legal_triples()] for i in range(3)
        )
        state = lion_jax.LionState(jnp.int32(0), mu)
        train = jax.jit(by_step(tx), donate_argnums=(0, 1))
        done: Any = train.lower(params, state, grads).compile()
        assert not large_copies(done.as_text())
        memory = done.memory_analysis()
        assert memory.temp_size_in_bytes < SIZE
        assert memory.alias_size_in_bytes >= sum(x.nbytes for x in (*params, *mu))


@CPU
@DOORS
@pytest.mark.parametrize(
    "options",
    [
        {"xla_cpu_enable_fast_math": True, "xla_cpu_fast_math_honor_nans": False},
        {"xla_allow_excess_precision": False},
        {"xla_cpu_prefer_vector_width": "512"},
        {"xla_backend_optimization_level": "0"},
    ],
    ids=str,
)
@pytest.mark.clause("C5", "C12")
def test_bits_of_ordinary_numbers_survive_compiler_flags(
    options: dict[str, str | bool], door: Callable[[Any], Any]
) -> None:
    arrays = normal(0, 20_011)
    theta, m, g = (jnp.asarray(x) for x in arrays)
    state = lion_jax.LionState(jnp.int32(0), m)
    lowered = jax.jit(door(lion_jax.lion(0.01, weight_decay=0.1))).lower(theta, state, g)
    params, after = lowered.compile(compiler_options=options)(theta, state, g)
    expected = reference(arrays, lr=0.01, weight_decay=0.1)
    assert not difference((np.asarray(params), np.asarray(after.mu)), expected, arrays)
