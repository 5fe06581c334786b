"""A run by the names and axes of another framework: all that does not fit, in one message."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lion_ref.run_state import Group, Here, RunState, load, matched, save
from lion_ref.run_state.mapping import Mapped

pytestmark = pytest.mark.clause("C34")

SHAPES = {"fc.weight": (2, 3), "fc.bias": (3,), "conv.weight": (8, 4, 3, 5), "scale": ()}
HERE = {
    "fc/kernel": Here((3, 2), "float32", "bfloat16"),
    "fc/bias": Here((3,), "float32"),
    "conv/kernel": Here((3, 5, 4, 8), "float32"),
    "scale": Here((), "float32"),
}
TABLE: dict[str, Any] = {
    "fc.weight": ("fc/kernel", (1, 0)),
    "fc.bias": "fc/bias",
    "conv.weight": ("conv/kernel", [2, 3, 1, 0]),
}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> RunState:
    path = tmp_path_factory.mktemp("run") / "run.safetensors"
    arrays = {
        name: np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
        for name, shape in SHAPES.items()
    }
    tensors = {name: (x, x.astype(np.float16)) for name, x in arrays.items()}
    save(path, tensors, step=0, groups=Group(lr=0.1))
    return load(path)


FLOAT16 = {**HERE, "fc/kernel": Here((3, 2), "float32", "float16")}


def test_every_parameter_finds_its_tensor(state: RunState) -> None:
    found = matched(state, FLOAT16, TABLE)
    assert set(found) == set(HERE)
    assert found["fc/kernel"] == Mapped("fc.weight", (1, 0))
    assert found["fc/kernel"].of(state).param.tolist() == [[0, 3], [1, 4], [2, 5]]
    kernel = found["conv/kernel"].of(state).momentum
    assert (kernel.shape, kernel.dtype) == ((3, 5, 4, 8), np.float16)
    assert kernel[1, 2, 3, 4] == state.tensors["conv.weight"].momentum[4, 3, 1, 2]


def test_axes_may_be_counted_from_the_end(state: RunState) -> None:
    table = {**TABLE, "fc.weight": ("fc/kernel", (-1, np.int64(0)))}
    assert matched(state, FLOAT16, table)["fc/kernel"].axes == (1, 0)


def test_a_callable_maps_by_name_and_shape(state: RunState) -> None:
    def mapping(name: str, shape: tuple[int, ...]) -> Any:
        layer, _, kind = name.partition(".")
        axes = {2: (1, 0), 4: (2, 3, 1, 0)}.get(len(shape), range(len(shape)))
        return (f"{layer}/{'kernel' if kind == 'weight' else kind}".rstrip("/"), axes)

    assert matched(state, FLOAT16, mapping) == matched(state, FLOAT16, TABLE)


def words(state: RunState, here: dict[str, Here], mapping: Any) -> str:
    """What the refusal says between the file's name and what is legal."""
    with pytest.raises(ValueError, match="does not fit") as caught:
        matched(state, here, mapping)
    text = str(caught.value)
    assert "\n" not in text
    found = re.fullmatch(r"'.*run\.safetensors' does not fit\. (.*); legal: a mapping of .*", text)
    assert found, text
    return found[1]


def test_all_that_does_not_fit_is_said_at_once(state: RunState) -> None:
    here = {**HERE, "more": Here((1,), "float32"), "fc/bias": Here((4,), "float32")}
    table = {**TABLE, "scale": "factor", "fc.wieght": "fc/kernel"}
    assert words(state, here, table) == (
        "of another shape: 'fc/bias' (3,) in the file, (4,) here; "
        "of another dtype: 'fc/kernel' m float16 in the file, bfloat16 here; "
        "left over in the file: 'scale' as 'factor'; "
        "missing in the file: 'scale', 'more'; "
        "in the mapping alone: 'fc.wieght'"
    )


def test_a_name_with_a_typing_error_is_refused_where_all_fits_without_it(tmp_path: Path) -> None:
    """A square matrix does, transposed or not."""
    square = np.arange(4, dtype=np.float32).reshape(2, 2)
    save(tmp_path / "run.safetensors", {"w": (square, square)}, step=0, groups=Group(lr=0.1))
    state, here = load(tmp_path / "run.safetensors"), {"w": Here((2, 2), "float32")}
    assert matched(state, here, {"w": ("w", (1, 0))})["w"].axes == (1, 0)
    assert words(state, here, {"W": ("w", (1, 0))}) == "in the mapping alone: 'W'"


def test_axes_that_would_fit_are_named(state: RunState) -> None:
    table = {**TABLE, "fc.weight": "fc/kernel", "conv.weight": "conv/kernel"}
    assert words(state, FLOAT16, table) == (
        "of another shape: "
        "'conv/kernel' (8, 4, 3, 5) in the file, (3, 5, 4, 8) here (axes (2, 3, 1, 0) would fit), "
        "'fc/kernel' (2, 3) in the file, (3, 2) here (axes (1, 0) would fit)"
    )


def test_where_several_orders_of_axes_fit_all_are_named(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    kernel = np.zeros((8, 3, 3), np.float32)
    save(path, {"w": (kernel, kernel)}, step=0, groups=Group(lr=0.1))
    assert words(load(path), {"w": Here((3, 3, 8), "float32")}, None) == (
        "of another shape: 'w' (8, 3, 3) in the file, (3, 3, 8) here "
        "(axes (1, 2, 0) or (2, 1, 0) would fit)"
    )


def test_two_names_to_one_are_refused(state: RunState) -> None:
    table = {**TABLE, "scale": "fc/bias"}
    assert words(state, FLOAT16, table) == (
        "twice: 'fc/bias', of 'fc.bias' and 'scale'; missing in the file: 'scale'"
    )


@pytest.mark.parametrize("axes", [(0,), (0, 0), (0, 2), (0, 1, 2), (-3, 0), ()])
def test_an_order_of_axes_that_is_none_is_refused(state: RunState, axes: tuple[int, ...]) -> None:
    table = {**TABLE, "fc.weight": ("fc/kernel", axes)}
    assert words(state, FLOAT16, table).startswith(
        "of no order of axes: 'fc.weight' of shape (2, 3) with axes ("
    )


@pytest.mark.parametrize(
    "place", [None, 3, ("fc/kernel",), ("fc/kernel", None), ("fc/kernel", (0.0, 1.0)), (1, (0, 1))]
)
def test_what_a_mapping_makes_is_a_place(state: RunState, place: Any) -> None:
    with pytest.raises(TypeError, match=r"the mapping makes .* of 'fc.weight'; legal: a name, or"):
        matched(state, HERE, {"fc.weight": place})


@pytest.mark.parametrize("mapping", ["fc", ["fc"], 3])
def test_a_mapping_that_is_none_is_refused(state: RunState, mapping: Any) -> None:
    with pytest.raises(TypeError, match=r"mapping=.* is not legal; legal: a mapping, a callable"):
        matched(state, HERE, mapping)


def test_of_many_that_do_not_fit_some_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    one = np.ones(1, np.float32)
    save(path, {f"w{i:02}": (one, one) for i in range(30)}, step=0, groups=Group(lr=0.1))
    found = words(load(path), {}, None)
    assert found.startswith("left over in the file: 'w00', 'w01'")
    assert found.endswith("'w19' and 10 more")
