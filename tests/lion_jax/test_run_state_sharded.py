"""A run state from and to arrays on several devices and processes: each part at its place (C34)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

import lion_jax
from lion_jax import shards
from lion_ref import run_state
from lion_ref.arithmetic import same_bits
from tests.lion_jax.doors import by_sharded_step, normal

P: Any = PartitionSpec  # JAX declares no types for it

SHAPES = {"kernel": (12, 8), "bias": (8,), "scale": ()}
SPECS: dict[str, dict[str, Any]] = {
    "rows": {"kernel": P(("x", "y")), "bias": P(("x", "y")), "scale": P()},
    "columns": {"kernel": P(None, "x"), "bias": P("x"), "scale": P()},
    "tiles": {"kernel": P("x", "y"), "bias": P("y"), "scale": P()},
    "replicated": {"kernel": P(), "bias": P(), "scale": P()},
}

pytestmark = pytest.mark.skipif(
    len(jax.devices()) < 8, reason="needs eight devices: jax was in use before they could be forced"
)


def shardings(mesh: tuple[int, int], specs: str) -> dict[str, Any]:
    """On the first devices, as many as the mesh has: x by y."""
    count = mesh[0] * mesh[1]
    devices = np.array(jax.devices()[:count]).reshape(mesh)
    made: Any = Mesh(devices, ("x", "y"), axis_types=(AxisType.Auto,) * 2)
    return {name: NamedSharding(made, spec) for name, spec in SPECS[specs].items()}


def template(placed: dict[str, Any], dtype: str = "float32") -> dict[str, Any]:
    struct: Any = jax.ShapeDtypeStruct
    return {name: struct(SHAPES[name], dtype, sharding=placed[name]) for name in SHAPES}


def values(seed: int) -> dict[str, Any]:
    return {name: normal(seed + i, shape)[0] for i, (name, shape) in enumerate(SHAPES.items())}


def check(tree: Any, expected: dict[str, Any], placed: dict[str, Any]) -> None:
    for name, x in tree.items():
        assert x.sharding == placed[name], name
        assert same_bits(np.atleast_1d(np.asarray(x)), np.atleast_1d(expected[name])).all(), name


@pytest.mark.clause("C12", "C34")
def test_four_devices_then_two_then_eight(tmp_path: Path) -> None:
    """And others between, each with another layout: twelve rows on three devices, and on six."""
    tx = lion_jax.lion(0.1, weight_decay=0.3, mu_dtype="bfloat16")
    grads = values(10)
    alone: Any = {name: jnp.asarray(x) for name, x in values(0).items()}
    alone_state = tx.init(alone)
    here = shardings((2, 2), "tiles")
    params = jax.device_put(values(0), here)
    state = tx.init(params)
    meshes = [((2, 1), "rows"), ((4, 2), "tiles"), ((3, 1), "tiles"), ((6, 1), "tiles")]
    meshes += [((4, 2), "columns"), ((1, 1), "rows"), ((4, 2), "replicated")]
    for i, (mesh, specs) in enumerate(meshes):
        train = jax.jit(by_sharded_step(tx))
        params, state = train(params, state, jax.device_put(grads, here))
        alone, alone_state = by_sharded_step(tx)(alone, alone_state, grads)
        path = tmp_path / f"{i}.safetensors"
        lion_jax.export_state(state, path, params=params, tx=tx)
        here = shardings(mesh, specs)
        params, state, _ = lion_jax.import_state(path, params=template(here))
        check(params, alone, here)
        check(state.mu, alone_state.mu, here)
        assert int(state.count) == i + 1
        assert state.count.sharding.is_fully_replicated
        assert state.count.sharding.device_set == params["kernel"].sharding.device_set


@pytest.mark.clause("C34")
def test_nothing_is_gathered(tmp_path: Path) -> None:
    """Neither of the array as a whole, nor of the file, is more asked for than a device has."""
    path = tmp_path / "run.safetensors"
    tx = lion_jax.lion(0.1)
    placed = shardings((4, 2), "tiles")
    params = jax.device_put(values(0), placed)
    sizes: list[int] = []
    written = np.asarray

    def seen(x: Any, *args: Any, **options: Any) -> Any:
        if isinstance(x, jax.Array):
            sizes.append(x.size)
        return written(x, *args, **options)

    with mock.patch.object(shards.np, "asarray", seen):  # type: ignore[attr-defined]  # np is there
        lion_jax.export_state(tx.init(params), path, params=params, tx=tx)
    # Each part once: eight tiles of the kernel, two halves of the bias, and the scale; θ and m.
    assert sorted(sizes) == sorted(2 * ([12] * 8 + [4] * 2 + [1]))
    sizes.clear()

    def copied(x: Any, *args: Any, **options: Any) -> Any:
        sizes.append(x.size)
        return np.asarray(x).copy()

    with mock.patch.object(shards.np, "array", copied):  # type: ignore[attr-defined]  # as above
        lion_jax.import_state(path, params=template(placed))
    assert max(sizes) == 12


@pytest.mark.clause("C34")
def test_of_replicas_one_is_written(tmp_path: Path) -> None:
    """All are one by SPEC C12; were one not, no device may see another's in a file."""
    target = np.zeros(8, np.float32)
    placed = shardings((4, 2), "columns")["bias"]
    x = jax.make_array_from_callback((8,), placed, lambda index: np.arange(8, dtype="f4")[index])
    shards.write(target, x)
    assert target.tolist() == list(range(8))
    assert sum(s.replica_id == 0 for s in x.addressable_shards) == 4


@pytest.mark.clause("C34")
def test_a_shape_that_a_sharding_does_not_divide_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    run_state.save(path, {"w": normal(0, (10,))[:2]}, step=0, groups=run_state.Group(lr=0.1))
    struct: Any = jax.ShapeDtypeStruct
    uneven = struct((10,), "float32", sharding=shardings((4, 1), "columns")["bias"])
    with pytest.raises(ValueError, match=r"at params\['w'\]: .*(divi|shard)"):
        lion_jax.import_state(path, params={"w": uneven})


@pytest.mark.clause("C34")
def test_uncommitted_arrays_stay_so(tmp_path: Path) -> None:
    """A committed one would not be moved to where a batch lies."""
    path = tmp_path / "run.safetensors"
    run_state.save(path, {"w": normal(0, (10,))[:2]}, step=0, groups=run_state.Group(lr=0.1))
    third = jax.device_put(jnp.zeros(10), jax.devices()[3])
    params, state, _ = lion_jax.import_state(path, params={"w": jnp.zeros(10)})
    assert not params["w"].committed
    assert (params["w"] + third).device == jax.devices()[3]
    params, state, _ = lion_jax.import_state(path, params={"w": third})
    assert {params["w"].device, state.mu["w"].device} == {jax.devices()[3]}


PROCESS = """
import sys
import jax
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_cpu_collectives_implementation", "gloo")
address, index, path = sys.argv[1:]
jax.distributed.initialize(address, num_processes=2, process_id=int(index))
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
import lion_jax

mesh = jax.make_mesh((4,), ("x",))
here = NamedSharding(mesh, PartitionSpec("x"))
struct = {"w": jax.ShapeDtypeStruct((8, 3), "float32", sharding=here), "own": np.zeros(2, "f4")}
params, state, header = lion_jax.import_state(path, params=struct)
assert not params["w"].is_fully_addressable
for shard in params["w"].addressable_shards:
    assert (np.asarray(shard.data) == np.arange(24.0).reshape(8, 3)[shard.index]).all()
params["w"] = jax.jit(lambda x: x + 1)(params["w"])
tx = lion_jax.from_header(header, params)
lion_jax.export_state(state, path, params=params, tx=tx)
assert lion_jax.import_state(path, params=struct)[2].step == 7

# What one process cannot write is an error in both, and nothing of it stays.
gone = jax.make_array_from_callback((8, 3), here, lambda index: np.ones((8, 3), "f4")[index])
if index == "1":
    for shard in gone.addressable_shards:
        shard.data.delete()
try:
    lion_jax.export_state(state, path, params=params | {"w": gone}, tx=tx)
except RuntimeError as error:
    expected = "deleted" if index == "1" else "process 1 has refused; legal: see what it has raised"
    assert expected in str(error), error
else:
    raise AssertionError("it was written")
"""


@pytest.mark.clause("C34")
def test_two_processes_write_one_file(tmp_path: Path) -> None:
    """Each has two of four devices, and none of the other's part."""
    path = tmp_path / "run.safetensors"
    w = np.arange(24, dtype=np.float32).reshape(8, 3)
    tensors = {"w": (w, -w), "own": (w[0, :2], w[1, :2])}
    run_state.save(path, tensors, step=7, groups=run_state.Group(lr=0.1))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, address, str(i), str(path)],
            env={**os.environ, "XLA_FLAGS": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for i in range(2)
    ]
    try:
        for process in started:
            output, _ = process.communicate(timeout=120)
            assert process.returncode == 0, output
    finally:
        for process in started:
            process.kill()
    back = run_state.load(path)
    assert (back.tensors["w"].param == w + 1).all()
    assert (back.tensors["w"].momentum == -w).all()
    assert (back.tensors["own"].param == w[0, :2]).all()
    assert [x.name for x in tmp_path.iterdir()] == ["run.safetensors"]
