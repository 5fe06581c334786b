"""What no file can have, or does not fit, is refused before anything is changed (C14, C34)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lion_ref import run_state
from lion_ref.schedules import Schedule
from lion_torch import Lion, export_state, import_state
from tests.lion_torch.drawn_runs import SCHEDULES, drawn, optimized
from tests.lion_torch.support import (
    to_numpy,
)

pytestmark = pytest.mark.clause("C34")


def digest(params: dict[str, Any], optimizer: Lion) -> str:
    """Of all that an import could change."""
    said = hashlib.sha256(repr([{**g, "params": 0} for g in optimizer.param_groups]).encode())
    for param in params.values():
        momentum = optimizer.state.get(param, {}).get("exp_avg")
        said.update(to_numpy(param).tobytes())
        said.update(b"" if momentum is None else to_numpy(momentum).tobytes())
    return said.hexdigest()


LEGAL = run_state.Group(lr=0.5)
ONE = {"a": (np.ones(3, np.float32),) * 2, "b": (np.ones(3, np.float32),) * 2}


def in_two_groups(**numbers: Any) -> list[run_state.Group]:
    return [run_state.Group(lr=0.5, names=("a",)), run_state.Group(names=("b",), **numbers)]


def mixed_momenta() -> Any:
    theta = np.ones(3, np.float32)
    return {"a": (theta, theta), "b": (theta, theta.astype(np.float16))}


def made_for_inference() -> torch.Tensor:
    with torch.inference_mode():
        return torch.tensor(0.25)


REFUSED_IMPORTS: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "a missing parameter": ({"a": ONE["a"]}, LEGAL, {}, "missing in the file: 'b'"),
    "one too many": ({**ONE, "c": ONE["a"]}, LEGAL, {}, "left over in the file: 'c'"),
    "another shape": (
        {**ONE, "b": (np.ones(4, np.float32),) * 2},
        LEGAL,
        {},
        r"another shape: 'b' \(4,\) in the file, \(3,\) here",
    ),
    "another dtype": (
        {**ONE, "b": (np.ones(3, np.float16),) * 2},
        LEGAL,
        {},
        "another dtype: 'b' θ float16 in the file, float32 here",
    ),
    "two groups": (
        ONE,
        in_two_groups(lr=0.25),
        {},
        r"group 0 have several numbers in the file: 'a' has lr=0\.5, .*; 'b' has lr=0\.25, .*",
    ),
    "two schedules": (
        ONE,
        in_two_groups(lr=0.5, lr_schedule=Schedule("constant", first=0.5)),
        {},
        "'b' has lr=0.5, .*lr_schedule=",
    ),
    "momenta of two dtypes": (
        mixed_momenta(),
        LEGAL,
        {},
        "the momenta of one group are float32 of 'a', float16 of 'b'",
    ),
    "a number beyond float32": (ONE, run_state.Group(lr=1e300), {}, r"lr=1e\+300 is not legal"),
    "maximize": (ONE, LEGAL, {"maximize": True}, "group 0 has maximize=True"),
    "a tensor that rounds": (
        ONE,
        run_state.Group(lr=0.1),
        {"lr": torch.tensor(0.1, dtype=torch.bfloat16)},
        r"lr of group 0 is a bfloat16 tensor, which would make 0\.10009765625 of the file's 0\.1",
    ),
    "a tensor that nobody may set": (
        ONE,
        LEGAL,
        {"lr": made_for_inference()},
        r"lr of group 0 was made under torch\.inference_mode",
    ),
    "capturable on a CPU": (ONE, LEGAL, {"capturable": True}, "'a': capturable=True with a param"),
}


@pytest.mark.parametrize("what", REFUSED_IMPORTS)
def test_a_refused_import_changes_nothing(what: str, tmp_path: Path) -> None:
    tensors, groups, options, words = REFUSED_IMPORTS[what]
    run_state.save(tmp_path / "run", tensors, step=1, groups=groups)
    params = {name: torch.nn.Parameter(torch.zeros(3)) for name in ("a", "b")}
    optimizer = Lion(params.values(), **options)
    optimizer.state[params["a"]]["exp_avg"] = torch.full((3,), 2.0)
    before = digest(params, optimizer)
    with pytest.raises((TypeError, ValueError, RuntimeError), match=words):
        import_state(optimizer, tmp_path / "run", model=params.items())
    assert digest(params, optimizer) == before
    assert params["b"] not in optimizer.state


def test_the_digest_sees_a_change(tmp_path: Path) -> None:
    run_state.save(tmp_path / "run", ONE, step=1, groups=LEGAL)
    params = {name: torch.nn.Parameter(torch.zeros(3)) for name in ("a", "b")}
    optimizer = Lion(params.values())
    before = digest(params, optimizer)
    import_state(optimizer, tmp_path / "run", model=params.items())
    assert digest(params, optimizer) != before


def test_a_tensor_that_two_groups_have_cannot_hold_two_numbers(tmp_path: Path) -> None:
    run_state.save(tmp_path / "run", ONE, step=1, groups=in_two_groups(lr=0.25))
    params = {name: torch.nn.Parameter(torch.zeros(3)) for name in ("a", "b")}
    lr = torch.tensor(0.125)
    optimizer = Lion([{"params": [x], "lr": lr} for x in params.values()])
    with pytest.raises(ValueError, match=r"a tensor that another group has too, .* 0\.25 and 0\.5"):
        import_state(optimizer, tmp_path / "run", model=params.items())
    assert lr == 0.125


PARAM = torch.nn.Parameter(torch.zeros(3))
OTHER: Any = torch.optim.SGD([PARAM])
STATE_DICT: Any = {"w": PARAM}
UNNAMED: Any = [PARAM]
TWO_RULES: Any = [{"params": [PARAM]}, {"params": [], "subnormals": "flush"}]
REFUSED_EXPORTS: dict[str, tuple[Callable[[], Any], str]] = {
    "another optimizer": (
        lambda: export_state(OTHER, "x", model=[("w", PARAM)], step=0),
        r"of type torch\.optim\.sgd\.SGD; legal: a lion_torch\.Lion",
    ),
    "a state dict for a model": (
        lambda: export_state(Lion([PARAM]), "x", model=STATE_DICT, step=0),
        "model is of type dict; legal: a torch.nn.Module, or",
    ),
    "parameters without names": (
        lambda: export_state(Lion([PARAM]), "x", model=UNNAMED, step=0),
        "model has an item of type torch.nn.parameter.Parameter",
    ),
    "no name": (
        lambda: export_state(Lion([PARAM]), "x", model=torch.nn.Linear(3, 1), step=0),
        r"parameter 0 of group 0, of shape \(3,\), has no name in the model",
    ),
    "one name of two": (
        lambda: export_state(
            Lion([PARAM]), "x", model=[("w", PARAM), ("w", torch.ones(1))], step=0
        ),
        "'w' is the name of two parameters",
    ),
    "maximize": (
        lambda: export_state(Lion([PARAM], maximize=True), "x", model=[("w", PARAM)], step=0),
        "group 0 has maximize=True, which a run state cannot tell",
    ),
    "two rules for subnormals": (
        lambda: export_state(
            Lion(TWO_RULES),
            "x",
            model=[("w", PARAM)],
            step=0,
        ),
        "groups have subnormals='native', 'flush', but a run state has one semantics",
    ),
    "a step that is none": (
        lambda: export_state(Lion([PARAM]), "x", model=[("w", PARAM)], step=-1),
        "step=-1 is not legal",
    ),
    "a name that climbs": (
        lambda: export_state(Lion([PARAM]), "x", model=[("../w", PARAM)], step=0),
        "the name '../w' is not legal",
    ),
    "another number than the schedule's": (
        lambda: export_state(Lion([PARAM], lr=0.5), "x", model=[("w", PARAM)], step=2, **SCHEDULES),
        r"lr=0\.5 of group 0 is not legal; legal: 0\.01.*, which its schedule has after 2 steps",
    ),
    "the name of a schedule": (
        lambda: export_state(
            Lion([PARAM]),
            "x",
            model=[("w", PARAM)],
            step=0,
            lr_schedule=["cosine"],  # type: ignore[list-item]
        ),
        r"lr_schedule='cosine' is not legal; legal: a lion_ref\.schedules\.Schedule, None",
    ),
    "schedules for other groups": (
        lambda: export_state(
            Lion([PARAM]), "x", model=[("w", PARAM)], step=0, lr_schedule=[None, None]
        ),
        r"lr_schedule=\[None, None\] is not legal; .* one of them for each of 1 groups",
    ),
    "no numbers": (
        lambda: export_state(
            Lion([meta := torch.nn.Parameter(torch.zeros(3, device="meta"))]),
            "x",
            model=[("w", meta)],
            step=0,
        ),
        "'w': a meta or fake tensor has no numbers",
    ),
}


@pytest.mark.parametrize("what", REFUSED_EXPORTS)
def test_a_refused_export_leaves_the_old_file(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export, words = REFUSED_EXPORTS[what]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_bytes(b"as it was")
    with pytest.raises((TypeError, ValueError, RuntimeError), match=words):
        export()
    assert {x.name: x.read_bytes() for x in tmp_path.iterdir()} == {"x": b"as it was"}


def test_an_export_that_breaks_off_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    path.write_bytes(b"as it was")
    right = torch.Tensor.copy_
    written: list[torch.Tensor] = []

    def full(self: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        if written:
            raise OSError("no room")
        written.append(source)
        return right(self, source)

    params, optimizer = optimized(drawn(("float32", "float32")))
    monkeypatch.setattr(torch.Tensor, "copy_", full)
    with pytest.raises(OSError, match="no room"):
        export_state(optimizer, path, model=params.items(), step=0)
    assert {x.name: x.read_bytes() for x in tmp_path.iterdir()} == {"run": b"as it was"}
