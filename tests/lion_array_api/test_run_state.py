"""A run state from arrays of every namespace and back: bits, dtypes, devices, refusals (C34)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lion_array_api
import lion_ref
from lion_array_api import declared_semantics
from lion_ref import run_state
from lion_ref.arithmetic import same_bits
from lion_ref.dtypes import STORAGE_DTYPES
from lion_ref.run_state import Group
from tests.lion_array_api.namespaces import NAMESPACES, entered

NUMBERS: dict[str, Any] = {"lr": 0.3, "beta1": 0.8, "beta2": 0.97, "weight_decay": 0.1}
GROUP = Group(0.3, 0.8, 0.97, 0.1)
PAIRS = [("float16", "float32"), ("bfloat16", "bfloat16"), ("float32", "bfloat16")]
PAIRS += [("float32", "float32"), ("float64", "float64"), ("float64", "float16")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.safetensors"


def normal(seed: int, shape: Any, dtype: str) -> Any:
    values = np.random.default_rng(seed).standard_normal(shape)
    return np.asarray(values).astype(STORAGE_DTYPES[dtype])


def same(ours: Any, theirs: Any) -> bool:
    alike = (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    return alike and bool(same_bits(np.atleast_1d(ours), np.atleast_1d(theirs)).all())


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("name", NAMESPACES)
@pytest.mark.clause("C34")
def test_a_run_goes_through_every_namespace(name: str, pair: tuple[str, str], path: Path) -> None:
    """Two steps in NumPy, two there, two in NumPy: the bits of six in one go."""
    with entered(name) as namespace:
        if not set(pair) <= set(namespace.dtypes):
            pytest.skip(f"{name} has no {' or '.join(set(pair) - set(namespace.dtypes))}")
        start = {
            "w": (normal(0, (5, 3), pair[0]), normal(1, (5, 3), pair[1])),
            "b": (normal(2, (), pair[0]), normal(3, (), pair[1])),
        }
        here = {x: namespace.of_numpy(np.zeros_like(theta)) for x, (theta, _) in start.items()}
        grads = {x: normal(4, theta.shape, pair[1]) for x, (theta, _) in start.items()}

        def in_numpy(tensors: Any, steps: int) -> Any:
            for _ in range(steps):
                tensors = {
                    x: lion_ref.step(pair[0], pair[1], grads[x], **NUMBERS, semantics=semantics)
                    for x, pair in tensors.items()
                }
            return tensors

        semantics = declared_semantics(here["w"])
        run_state.save(path, in_numpy(start, 2), step=2, groups=GROUP)
        tensors, header = lion_array_api.import_state(path, params=here)
        for x in tensors:
            theta, m = tensors[x]
            assert type(theta) is type(m) is type(here[x])
            for _ in range(2):
                grad = namespace.of_numpy(grads[x])
                theta, m = lion_array_api.step(theta, m, grad, **NUMBERS)
            tensors[x] = lion_ref.run_state.Tensors(theta, m)
        lion_array_api.export_state(tensors, path, step=header.step + 2, groups=header.groups)
        back = run_state.load(path)
        assert (back.header.step, back.header.semantics) == (4, semantics)
        library = {"strict": "array_api_strict"}.get(namespace.name, namespace.name)
        assert set(back.header.versions) == {"lion_ref", library}
        went_on, whole = in_numpy(dict(back.tensors), 2), in_numpy(start, 6)
        assert all(same(went_on[x][i], whole[x][i]) for x in start for i in range(2))


@pytest.mark.clause("C34")
def test_a_momentum_in_another_order_would_be_found(path: Path) -> None:
    """θ and m swapped, or a kernel transposed: what the test before has to see."""
    w = normal(0, (3, 3), "float32"), normal(1, (3, 3), "float32")
    run_state.save(path, {"w": w}, step=0, groups=GROUP)
    (tensors, _) = lion_array_api.import_state(path, params={"w": w[0]})
    assert same(tensors["w"].param, w[0])
    assert not same(tensors["w"].param, w[1])
    assert not same(tensors["w"].param, w[0].T)
    assert same(tensors["w"].momentum, w[1])


@pytest.mark.clause("C34")
def test_names_and_axes_are_mapped(path: Path) -> None:
    w = normal(0, (2, 3), "float32"), normal(1, (2, 3), "float32")
    run_state.save(path, {"fc.weight": w}, step=0, groups=Group(0.1, names=("fc.weight",)))
    tensors, header = lion_array_api.import_state(
        path, params={"w": np.zeros((3, 2), "f4")}, mapping={"fc.weight": ("w", (1, 0))}
    )
    assert same(tensors["w"].param, w[0].T)
    assert tensors["w"].param.flags.c_contiguous
    assert header.groups[0].names == ("w",)


@pytest.mark.clause("C34")
def test_what_was_imported_is_no_view_of_the_file(path: Path) -> None:
    torch = pytest.importorskip("torch")
    one = np.ones(1 << 20, np.float32)  # longer than what is read at once
    run_state.save(path, {"w": (one, one)}, step=0, groups=GROUP)
    tensors = [
        lion_array_api.import_state(path, params={"w": like})[0]["w"]
        for like in (one, torch.zeros(1 << 20))
    ]
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(path.stat().st_size - 4096))
    assert all(float(x.min()) == 1 for pair in tensors for x in pair)


@pytest.mark.clause("C34")
def test_lazy_arrays_are_computed_once_and_keep_their_chunks(path: Path) -> None:
    dask_array = pytest.importorskip("dask.array")
    computed = []

    def chunk(block: Any) -> Any:
        computed.append(block.shape)
        return block + 1

    lazy = dask_array.zeros((6, 2), chunks=(3, 2), dtype="f4").map_blocks(chunk, dtype="f4")
    computed.clear()  # Dask tries a function once
    lion_array_api.export_state({"a": (lazy, lazy), "b": (lazy, lazy)}, path, step=0, groups=GROUP)
    assert computed == [(3, 2)] * 8
    assert (run_state.load(path).tensors["b"].momentum == 1).all()
    tensors, _ = lion_array_api.import_state(path, params={"a": lazy, "b": lazy})
    assert tensors["a"].momentum.chunks == lazy.chunks


@pytest.mark.clause("C34")
def test_devices_are_kept(path: Path) -> None:
    strict = pytest.importorskip("array_api_strict")
    there = strict.zeros(2, dtype=strict.float32, device=strict.Device("device1"))
    one = np.ones(2, np.float32)
    run_state.save(path, {"w": (one, one)}, step=0, groups=GROUP)
    tensors, _ = lion_array_api.import_state(path, params={"w": there})
    assert {x.device for x in tensors["w"]} == {there.device}


@pytest.mark.clause("C34")
def test_tensors_that_require_gradients_are_written(path: Path) -> None:
    torch = pytest.importorskip("torch")
    theta = torch.ones(2, requires_grad=True)
    lion_array_api.export_state({"w": (theta, torch.zeros(2))}, path, step=0, groups=GROUP)
    assert (run_state.load(path).tensors["w"].param == 1).all()


ONE = np.ones(2, np.float32)

REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no pair": ({"w": ONE}, {}, r"'w': its tensors are of type numpy.ndarray; legal: \(θ, m\)"),
    "no arrays": ({"w": (1.0, 2.0)}, {}, "'w': param is of type float, which has no namespace"),
    "a mask": (
        {"w": (ONE, np.ma.ones(2, "f4"))},
        {},
        "'w': momentum is a masked array, whose mask",
    ),
    "integers": ({"w": (ONE.astype(int), ONE)}, {}, "'w': param has dtype int64; legal: float16"),
    "wide momentum": ({"w": (ONE, np.ones(2))}, {}, "'w': momentum has dtype float64, wider than"),
    "shapes": ({"w": (ONE, ONE[:1])}, {}, r"'w': momentum has shape \(1,\), but param has shape"),
    "a name": ({"": (ONE, ONE)}, {}, "the name '' is not legal"),
    "a step": ({"w": (ONE, ONE)}, {"step": -1}, "step=-1 is not legal; legal: an integer"),
    "a group": ({"w": (ONE, ONE)}, {"groups": Group(0.1, names=())}, "'w' is in no group"),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.clause("C34")
def test_what_no_file_can_have_is_refused_and_the_old_file_stays(kind: str, path: Path) -> None:
    path.write_text("what was there")
    tensors, others, message = REFUSED[kind]
    with pytest.raises((TypeError, ValueError), match=message):
        lion_array_api.export_state(tensors, path, **{"step": 0, "groups": GROUP, **others})
    assert [x.read_text() for x in path.parent.iterdir()] == ["what was there"]


@pytest.mark.clause("C34")
def test_two_namespaces_in_one_pair_are_refused(path: Path) -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(
        TypeError, match=r"'w': momentum is of type torch\.Tensor, but param of type"
    ):
        lion_array_api.export_state({"w": (ONE, torch.ones(2))}, path, step=0, groups=GROUP)


@pytest.mark.clause("C18", "C33", "C34")
def test_two_semantics_in_one_run_are_refused_and_by_one_rule_are_one(path: Path) -> None:
    """JAX flushes subnormals on a CPU, NumPy keeps them; the semantics of a file is one."""
    jnp = pytest.importorskip("jax.numpy")
    tensors = {"a": (ONE, ONE), "b": (jnp.ones(2), jnp.ones(2))}
    message = "^steps of these arrays have several semantics, canonical and subnormals flushed; leg"
    with pytest.raises(ValueError, match=message):
        lion_array_api.export_state(tensors, path, step=0, groups=GROUP)
    lion_array_api.export_state(tensors, path, step=0, groups=GROUP, subnormals="flush")
    assert run_state.load(path).header.semantics == lion_ref.Semantics(subnormals="flush")


@pytest.mark.clause("C34")
def test_a_dtype_that_the_namespace_lacks_is_refused_before_anything_is_loaded(path: Path) -> None:
    strict = pytest.importorskip("array_api_strict")
    for dtype in ("float16", "bfloat16"):
        m = ONE.astype(STORAGE_DTYPES[dtype])
        run_state.save(path, {"w": (ONE, m)}, step=0, groups=GROUP)
        message = f"'w': momentum has dtype {dtype}, which array_api_strict does not have; legal: "
        with pytest.raises(TypeError, match=message):
            lion_array_api.import_state(path, params={"w": strict.asarray(ONE)})


@pytest.mark.clause("C34")
def test_what_does_not_fit_is_refused_by_name(path: Path) -> None:
    run_state.save(path, {"w": (ONE, ONE)}, step=0, groups=GROUP)
    with pytest.raises(ValueError, match=r"left over in the file: 'w'; missing in the file: 'v'"):
        lion_array_api.import_state(path, params={"v": ONE})
    with pytest.raises(TypeError, match="'w': param is of type list, which has no namespace"):
        lion_array_api.import_state(path, params={"w": [1.0]})
