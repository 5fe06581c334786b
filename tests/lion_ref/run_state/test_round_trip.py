"""What is saved is what is loaded: every bit, every dtype, every number."""

from __future__ import annotations

import copy
import math
import pickle
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lion_ref
from lion_ref.checks import shown
from lion_ref.run_state import Group, Header, Unfinished, load, save
from lion_ref.schedules import Schedule
from lion_ref.semantics import Semantics
from tests.hostile import examples
from tests.lion_ref.run_state.files import PAIRS, bits, document, every_kind, save_again, small

pytestmark = pytest.mark.clause("C34")

FORMS: dict[str, Any] = {
    "as it is": lambda x: x,
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x,
    "reversed": lambda x: np.flip(np.flip(x).copy()),
    "of columns": lambda x: np.asarray(x, order="F"),
    "of the other byte order": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
}


@pytest.mark.parametrize(("param", "momentum"), PAIRS)
def test_every_pair_of_dtypes_keeps_every_bit(tmp_path: Path, param: str, momentum: str) -> None:
    path = tmp_path / "run.safetensors"
    shapes = {"vector": (9,), "matrix": (3, 3), "scalar": (), "empty": (0,), "none": (2, 0, 3)}
    for form, reformed in FORMS.items():
        given = {
            name: (every_kind(param, shape), every_kind(momentum, shape))
            for name, shape in shapes.items()
        }
        tensors = {name: (reformed(x), reformed(y)) for name, (x, y) in given.items()}
        save(path, tensors, step=1, groups=Group(lr=0.1))
        found = load(path).tensors
        assert set(found) == set(shapes)
        for name, pair in given.items():
            assert list(map(bits, found[name])) == list(map(bits, pair)), (form, name)
            assert found.shape(name) == shapes[name]
            assert found.dtypes(name) == (param, momentum)


def test_a_save_that_rounds_a_nan_would_be_found(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    theta = every_kind("float32")
    with np.errstate(invalid="ignore"):
        rounded = theta.astype(np.float64).astype(np.float32)  # quiets what signals
    save(path, {"w": (rounded, rounded)}, step=1, groups=Group(lr=0.1))
    assert bits(load(path).tensors["w"].param) != bits(theta)


@pytest.mark.parametrize("number", [5e-324, -0.0, 0.0, 0.1, 1e-4, 1 / 3, 2.0**-1074, 1.7e308])
def test_every_bit_of_a_number_is_kept(tmp_path: Path, number: float) -> None:
    path = tmp_path / "run.safetensors"
    beta = math.fmod(number, 1.0)
    group = Group(lr=number, weight_decay=number, beta1=beta, beta2=beta)
    save(path, {}, step=0, groups=replace(group, names=()))
    found = load(path).header.groups[0].hyperparameters
    expected = group.hyperparameters
    for name in ("lr", "weight_decay", "beta1", "beta2"):
        mine, theirs = getattr(found, name), getattr(expected, name)
        assert struct.pack("<d", mine) == struct.pack("<d", theirs)


@given(
    st.floats(0, allow_infinity=False),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 2**63 - 1),
    st.dictionaries(st.text(max_size=5).filter(str.isprintable), st.just("1.0"), max_size=2),
)
@examples(50)
def test_any_legal_header_comes_back(
    tmp_path: Path, lr: float, beta: float, step: int, versions: dict[str, str]
) -> None:
    path = tmp_path / "run.safetensors"
    group = Group(lr=lr, beta1=beta, weight_decay=lr, names=())
    save(path, {}, step=step, groups=group, versions=versions)
    expected = Header(step, (group,), versions={**versions, "lion_ref": lion_ref.__version__})
    assert load(path).header == expected


def test_all_of_a_header_comes_back(tmp_path: Path) -> None:
    state = load(small(tmp_path / "run.safetensors"))
    header = state.header
    assert header.step == 7
    assert header.semantics == Semantics(subnormals="flush")
    assert header.versions == {"torch": "2.9.1", "lion_ref": lion_ref.__version__}
    assert header.group_of("fc.weight") is header.groups[0]
    assert header.group_of("fc.bias").lr_schedule == Schedule("cosine", 1e-3, steps=100)
    with pytest.raises(KeyError):
        header.group_of("fc")


def test_a_file_that_was_loaded_is_saved_byte_for_byte(tmp_path: Path) -> None:
    path, again = small(tmp_path / "run.safetensors"), tmp_path / "again.safetensors"
    save_again(load(path), again)
    assert again.read_bytes() == path.read_bytes()


def test_each_tensor_is_aligned(tmp_path: Path) -> None:
    header, _ = document(small(tmp_path / "run.safetensors").read_bytes())
    del header["__metadata__"]
    widths = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
    assert all(x["data_offsets"][0] % widths[x["dtype"]] == 0 for x in header.values())


@pytest.mark.parametrize("size", [10, 1 << 19])
def test_assigning_to_what_was_loaded_changes_no_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "run.safetensors"
    zeros = np.zeros(size, np.float32)
    save(path, {"w": (zeros, zeros)}, step=0, groups=Group(lr=0.1))
    before = path.read_bytes()
    state = load(path)
    state.tensors["w"].param[...] = 1
    assert path.read_bytes() == before
    assert not state.tensors["w"].param.any()


@pytest.mark.parametrize("copied", [copy.deepcopy, pickle.dumps])
def test_what_was_loaded_is_not_copied(tmp_path: Path, copied: Any) -> None:
    """Its tensors would be read from whichever file is open under the same number by then."""
    state = load(small(tmp_path / "run.safetensors"))
    with pytest.raises(
        TypeError, match="an open file cannot be copied or pickled; legal: its path"
    ):
        copied(state)
    assert copied(state.header)


def test_many_parameters_can_be_held_at_once(tmp_path: Path) -> None:
    """A map each would take a descriptor each, of which a process has 1024 or so."""
    path = tmp_path / "run.safetensors"
    one = np.ones(3, np.float32)
    save(path, {f"w{i}": (one, one) for i in range(3000)}, step=0, groups=Group(lr=0.1))
    held = dict(load(path).tensors)
    assert sum(float(x.param.sum() + x.momentum.sum()) for x in held.values()) == 18_000


@pytest.mark.clause("C12", "C30")
def test_a_run_that_is_handed_over_ends_with_the_bits_of_one_that_was_not(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    schedule = Schedule("cosine", 1e-2, 1e-3, steps=8, warmup=2)
    draw = np.random.default_rng(0)
    start = {name: (draw.normal(size=5).astype(np.float32), np.zeros(5)) for name in "ab"}
    start = {name: (theta, m.astype(np.float16)) for name, (theta, m) in start.items()}
    grads = draw.normal(size=(12, 5)).astype(np.float32)

    def run(tensors: Any, begin: int, end: int) -> Any:
        for step in range(begin, end):
            tensors = {
                name: lion_ref.step(theta, m, grads[step], lr=schedule(step), weight_decay=0.1)
                for name, (theta, m) in tensors.items()
            }
        return tensors

    whole = run(start, 0, 12)
    handed = start
    for begin in range(0, 12, 3):
        group = Group(lr=schedule(begin), weight_decay=0.1, lr_schedule=schedule)
        save(path, handed, step=begin, groups=group)
        state = load(path)
        handed = run(state.tensors, state.header.step, state.header.step + 3)
    for name, pair in whole.items():
        assert list(map(bits, handed[name])) == list(map(bits, pair))


def test_processes_write_a_share_each(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    tensors = {"w": ((4,), "float32", "float32")}
    first, second = (Unfinished(path, tensors, Header(3, (Group(lr=0.1),))) for _ in range(2))
    first.create()
    first["w"].param[:2], second["w"].param[2:] = 1, 2
    first["w"].momentum[:2], second["w"].momentum[2:] = 3, 4
    second.sync()
    assert not path.exists()
    first.finish()
    found = load(path).tensors["w"]
    assert found.param.tolist() == [1, 1, 2, 2]
    assert found.momentum.tolist() == [3, 3, 4, 4]
    assert [x.name for x in tmp_path.iterdir()] == [path.name]


def test_what_an_error_shows_of_a_value_needs_no_end_of_it() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    assert shown(value) == "<list>"
    while value:
        value = value[0]  # or Python frees it level by level
