"""Checkpoints of torch.save as people have them become runs, and runs become checkpoints (C34)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lion_ref import run_state
from lion_ref.run_state import Checkpoint, Group, Tensors
from lion_ref.schedules import Schedule
from lion_torch import Lion, checkpoints
from tests.lion_torch.support import pairs_bits, to_numpy, to_torch, values
from tests.lion_torch.torch_files import (
    FORMS,
    LIONS,
    PAIRS,
    a_file,
    a_model,
    momenta_of,
    state_dict,
)

pytestmark = pytest.mark.clause("C34")

# --- reading ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lion", LIONS)
@pytest.mark.parametrize("named", [True, False], ids=["named", "by order"])
def test_a_file_of_each_lion_is_read(named: bool, lion: str, form: str, tmp_path: Path) -> None:
    model = a_model()
    names = [name for name, _ in model.named_parameters()]
    momenta = momenta_of(names, model)
    optimizer = state_dict(momenta, LIONS[lion])
    if named:
        optimizer["param_groups"][0]["param_names"] = names
    torch.save(FORMS[form](model.state_dict(), optimizer, 7), tmp_path / "file.pt")
    found = checkpoints.read(tmp_path / "file.pt")
    assert (found.step, found.groups) == (
        7,
        (Group(lr=0.5, beta1=0.8, beta2=0.95, weight_decay=0.25, names=tuple(names)),),
    )
    assert list(found.tensors) == names
    for name, param in model.named_parameters():
        assert np.array_equal(found.tensors[name].param, to_numpy(param)), name
        assert np.array_equal(found.tensors[name].momentum, momenta[name].numpy()), name
    # What a run state is saved of.
    run_state.save(tmp_path / "run", **found._asdict())
    assert run_state.load(tmp_path / "run").header.step == 7


def test_names_are_what_distributed_checkpoints_have_as_keys(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = {
        "state": {"bias": {"exp_avg": torch.ones(2)}, "weight": {"exp_avg": torch.ones(2, 3)}},
        "param_groups": [{**LIONS["lion_torch"], "params": ["bias", "weight"]}],
    }
    path = a_file(tmp_path / "file.pt", model=model.state_dict(), optimizer=optimizer)
    assert checkpoints.read(path).groups[0].names == ("bias", "weight")


def test_groups_by_dimensions_are_told_by_shapes(tmp_path: Path) -> None:
    model = a_model()
    names = {
        many: [name for name, param in model.named_parameters() if (param.dim() > 1) == many]
        for many in (True, False)
    }
    momenta = momenta_of(names[True] + names[False], model)
    optimizer = state_dict(momenta, {})
    optimizer["param_groups"] = [
        {**LIONS["timm 1.0.31"], "params": list(range(len(names[True])))},
        {
            **LIONS["timm 1.0.31"],
            "weight_decay": 0.0,
            "params": list(range(len(names[True]), len(momenta))),
        },
    ]
    found = checkpoints.read(a_file(tmp_path / "file.pt", optimizer=optimizer))
    assert [list(group.names or ()) for group in found.groups] == [names[True], names[False]]
    assert [group.weight_decay for group in found.groups] == [0.25, 0.0]
    for name, momentum in momenta.items():
        assert np.array_equal(found.tensors[name].momentum, momentum.numpy())


def test_frozen_parameters_are_left_out_where_shapes_tell(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 4))
    momenta = momenta_of(["1.weight", "1.bias"], model)
    optimizer = state_dict(momenta, LIONS["lion-pytorch 0.2.5"])
    path = a_file(tmp_path / "file.pt", model=model.state_dict(), optimizer=optimizer)
    assert list(checkpoints.read(path).tensors) == ["1.weight", "1.bias"]


@pytest.mark.parametrize("dtype", ["float32", None])
def test_a_momentum_that_has_not_been_made_is_zeros(dtype: str | None, tmp_path: Path) -> None:
    model = {"w": torch.ones(3, dtype=torch.bfloat16)}
    group = {**LIONS["lion_torch"], "momentum_dtype": dtype, "params": [0]}
    optimizer = {"state": {}, "param_groups": [group]}
    found = checkpoints.read(a_file(tmp_path / "file.pt", model=model, optimizer=optimizer))
    momentum = found.tensors["w"].momentum
    assert momentum.dtype.name == (dtype or "bfloat16")
    assert not momentum.any()


def test_the_step_that_is_given_goes_before_the_file_s(tmp_path: Path) -> None:
    path = a_file(tmp_path / "file.pt")
    assert checkpoints.read(path).step == 3
    assert checkpoints.read(path, step=9).step == 9
    assert checkpoints.read(a_file(tmp_path / "file.pt", step=None), step=9).step == 9


# --- writing ----------------------------------------------------------------------------------


def drawn(dtypes: tuple[str, str]) -> Checkpoint:
    random = np.random.default_rng(3)
    tensors = {
        name: Tensors(*(values(random, shape, dtype, "mixed") for dtype in dtypes))
        for name, shape in {"b": (3, 4), "a": (5,), "c": ()}.items()
    }
    groups = (
        Group(lr=0.5, beta1=0.8, beta2=0.95, weight_decay=0.25, names=("b", "c")),
        Group(lr=0.125, names=("a",)),
    )
    return Checkpoint(tensors, 11, groups)


@pytest.mark.parametrize("dtypes", PAIRS, ids="-".join)
def test_a_run_comes_back_from_a_checkpoint(dtypes: tuple[str, str], tmp_path: Path) -> None:
    checkpoint, path = drawn(dtypes), tmp_path / "file.pt"
    checkpoints.write(checkpoint, path)
    found = checkpoints.read(path)
    assert (found.step, found.groups) == (checkpoint.step, checkpoint.groups)
    assert pairs_bits(found.tensors) == pairs_bits(checkpoint.tensors)
    # From a run state, whose arrays are mapped from its file; and in place of a file.
    run_state.save(tmp_path / "run", **found._asdict())
    state = run_state.load(tmp_path / "run")
    again = Checkpoint(state.tensors, state.header.step, state.header.groups)
    checkpoints.write(again, path)
    assert pairs_bits(checkpoints.read(path).tensors) == pairs_bits(checkpoint.tensors)


@pytest.mark.parametrize("dtypes", PAIRS, ids="-".join)
def test_a_lion_goes_on_from_a_checkpoint(dtypes: tuple[str, str], tmp_path: Path) -> None:
    checkpoint = drawn(dtypes)
    checkpoints.write(checkpoint, tmp_path / "file.pt")
    content = torch.load(tmp_path / "file.pt", weights_only=True)
    params = {name: torch.nn.Parameter(theta) for name, theta in content["model"].items()}
    groups = content["optimizer"]["param_groups"]
    optimizer = Lion([{"params": [params[x] for x in group["param_names"]]} for group in groups])
    optimizer.load_state_dict(content["optimizer"])
    assert content["step"] == 11
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.125]
    for name, pair in checkpoint.tensors.items():
        loaded = params[name], optimizer.state[params[name]]["exp_avg"]
        assert pairs_bits({name: map(to_numpy, loaded)}) == pairs_bits({name: pair})
        params[name].grad = torch.ones_like(params[name])
    optimizer.step()


def test_schedules_come_back_too(tmp_path: Path) -> None:
    lr = Schedule("cosine", first=0.5, last=0.125, steps=10)
    weight_decay = Schedule("constant", first=0.25)
    groups = (
        Group(lr=lr(10), names=("b", "c"), lr_schedule=lr),
        Group(lr=0.5, weight_decay=0.25, names=("a",), weight_decay_schedule=weight_decay),
    )
    path = tmp_path / "file.pt"
    checkpoints.write(drawn(("float32", "float32"))._replace(groups=groups, step=10), path)
    assert checkpoints.read(path).groups == groups
    # And through an optimizer, which steps with them there.
    content = torch.load(path, weights_only=True)
    params = [
        [torch.nn.Parameter(content["model"][x]) for x in group.names or ()] for group in groups
    ]
    optimizer = Lion([{"params": own} for own in params])
    optimizer.load_state_dict(content["optimizer"])
    optimizer.step()
    torch.save({**content, "optimizer": optimizer.state_dict()}, path)
    assert checkpoints.read(path).groups == groups
    with pytest.raises(ValueError, match=r"lr=0\.125 of group 0 is not legal; .* after 3 steps"):
        checkpoints.read(path, step=3)


def transposed(array: Any) -> Any:
    return np.ascontiguousarray(array.T).T


def read_only(array: Any) -> Any:
    array = array.copy()
    array.setflags(write=False)
    return array


ARRAYS: dict[str, Callable[[Any], Any]] = {
    "transposed": transposed,
    "reversed": lambda x: x[::-1].copy()[::-1],
    "read-only": read_only,
    "of the other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
}


@pytest.mark.parametrize("how", ARRAYS)
def test_arrays_of_any_strides_are_written(how: str, tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensors = {"w": Tensors(ARRAYS[how](array), ARRAYS[how](-array))}
    checkpoints.write(Checkpoint(tensors, 0, (Group(lr=0.5),)), tmp_path / "file.pt")
    found = torch.load(tmp_path / "file.pt", weights_only=True)
    assert found["model"]["w"].is_contiguous()
    assert pairs_bits(checkpoints.read(tmp_path / "file.pt").tensors) == pairs_bits(
        {"w": (array, -array)}
    )


WHOLE = np.ones(3, np.float32)
REFUSED_RUNS: dict[str, tuple[Checkpoint, str]] = {
    "momenta of two dtypes": (
        Checkpoint(
            {"a": Tensors(WHOLE, WHOLE), "b": Tensors(WHOLE, WHOLE.astype(np.float16))},
            0,
            (Group(lr=0.5),),
        ),
        "the momenta of one group are float32 of 'a', float16 of 'b'",
    ),
    "a step that is none": (Checkpoint({}, -1, (Group(lr=0.5),)), "step=-1 is not legal"),
    "no group": (Checkpoint({"a": Tensors(WHOLE, WHOLE)}, 0, ()), "'a' is in no group"),
    "integers": (
        Checkpoint({"a": Tensors(WHOLE.astype(int), WHOLE)}, 0, (Group(lr=0.5),)),
        "param has dtype int64",
    ),
    "two shapes": (
        Checkpoint({"a": Tensors(WHOLE, WHOLE[1:])}, 0, (Group(lr=0.5),)),
        r"momentum has shape \(2,\), but param has shape \(3,\)",
    ),
}


@pytest.mark.parametrize("what", REFUSED_RUNS)
def test_a_refused_run_leaves_the_old_file(what: str, tmp_path: Path) -> None:
    checkpoint, words = REFUSED_RUNS[what]
    path = tmp_path / "file.pt"
    path.write_bytes(b"as it was")
    with pytest.raises((TypeError, ValueError), match=words):
        checkpoints.write(checkpoint, path)
    assert {x.name: x.read_bytes() for x in tmp_path.iterdir()} == {"file.pt": b"as it was"}


def test_a_link_stays_one_and_an_unfinished_file_that_is_a_link_leads_nowhere(
    tmp_path: Path,
) -> None:
    """Or whoever may write to the folder chooses a file that is destroyed."""
    (tmp_path / "other").write_text("mine", encoding="utf-8")
    (tmp_path / "real.pt.part").symlink_to(tmp_path / "other")
    (tmp_path / "file.pt").symlink_to(tmp_path / "real.pt")
    checkpoints.write(drawn(("float32", "float32")), tmp_path / "file.pt")
    assert (tmp_path / "other").read_text(encoding="utf-8") == "mine"
    assert (tmp_path / "file.pt").is_symlink()
    assert not (tmp_path / "real.pt").is_symlink()
    assert checkpoints.read(tmp_path / "file.pt").step == 11


def test_a_file_that_breaks_off_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.pt"
    path.write_bytes(b"as it was")

    def full(_: Any, file: Any) -> None:
        file.write(b"half of it")
        raise OSError("no room")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="no room"):
        checkpoints.write(drawn(("float32", "float32")), path)
    assert {x.name: x.read_bytes() for x in tmp_path.iterdir()} == {"file.pt": b"as it was"}


# --- wrong on purpose -------------------------------------------------------------------------


def test_a_reader_that_goes_by_order_alone_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups by dimensions change the order, and shapes alone tell."""

    def in_order(groups: Any, _: Any, model: Any) -> list[list[str]]:
        names = iter(OrderedDict(model))
        return [[next(names) for _ in group["params"]] for group in groups]

    monkeypatch.setattr(checkpoints, "param_names", in_order)
    with pytest.raises((AssertionError, ValueError)):
        test_groups_by_dimensions_are_told_by_shapes(tmp_path)


def test_a_writer_that_forgets_the_momentums_dtype_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "shared_momentum_dtype", lambda _: None)
    with pytest.raises(AssertionError):
        test_a_lion_goes_on_from_a_checkpoint(("bfloat16", "float32"), tmp_path)


def test_bits_are_those_of_the_arrays() -> None:
    array = drawn(("bfloat16", "float32")).tensors["b"].param
    assert to_numpy(to_torch(array)).tobytes() == array.tobytes()
