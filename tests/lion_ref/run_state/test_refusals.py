"""What is no run is refused before a file is touched, by its name and with what is legal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lion_ref.run_state import Group, Header, save
from tests.lion_ref.run_state.files import small

pytestmark = pytest.mark.clause("C34", "C13")

ONES = np.ones(2, np.float32)
WIDE = np.ones(2)
MANY_AXES = np.ones((1,) * 33, np.float32)
MANY_ZEROS = np.ones((0, *(1 << 15,) * 4), np.float32)


def _names(*names: str) -> Group:
    return Group(lr=0.1, names=names)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"tensors": {"w": (ONES, WIDE)}}, r"^'w': momentum has dtype float64, wider .*; legal: "),
        ({"tensors": {"w": (ONES, ONES[:1])}}, r"^'w': momentum has shape \(1,\), but .*; legal: "),
        (
            {"tensors": {"w": (ONES.astype(int), ONES)}},
            "^'w': param has dtype int64; legal: float16, bfloat16, float32, float64",
        ),
        (
            {"tensors": {"w": ([1.0], [1.0])}},
            "the tensors of 'w' are of types list and list; legal: two arrays, θ and m",
        ),
        ({"tensors": {"../w": (ONES, ONES)}}, r"the name '../w' is not legal; legal: 1 to 1000"),
        ({"tensors": {3: (ONES, ONES)}}, r"the name 3 is not legal; legal: 1 to 1000"),
        ({"tensors": {"w": (MANY_AXES,) * 2}}, r"'momentum.w' has shape .*; legal: up to 32"),
        (
            {"tensors": {"w": (MANY_ZEROS,) * 2}},
            r"'momentum.w' has shape \[0, 32768, .*; legal: up",
        ),
        ({"step": -1}, r"step=-1 is not legal; legal: an integer in \[0, 9223372036854775807\]"),
        ({"step": 2**63}, r"step=9223372036854775808 is not legal; legal: an integer in"),
        ({"step": True}, r"step=True is not legal; legal: an integer in"),
        ({"step": 1.0}, r"step=1.0 is not legal; legal: an integer in"),
        ({"step": np.bool_(True)}, r"step=np.True_ is not legal; legal: an integer in"),
        ({"step": np.timedelta64(1)}, r"step=np.timedelta64\(1\) is not legal; legal: an integer"),
        ({"groups": [_names("v")]}, "'w' is in no group; legal: in one"),
        ({"groups": [_names("w", "v")]}, "a group names 'v', which is no parameter; legal: para"),
        ({"groups": [_names("w"), _names("w")]}, "'w' is in two groups; legal: in one"),
        ({"groups": [Group(lr=1), Group(lr=2)]}, "'w' is in two groups; legal: in one"),
        ({"groups": []}, "'w' is in no group; legal: in one"),
        ({"groups": [{"lr": 1}]}, r"groups=\({'lr': 1},\) is not legal; legal: Groups alone"),
        ({"semantics": "flush"}, "semantics='flush' is not legal; legal: a Semantics"),
        ({"versions": {"torch": 2.9}}, r"versions={'torch': 2.9} is not legal; legal: printable"),
        ({"versions": {"\ud800": "2"}}, r"versions=.* is not legal; legal: printable text"),
    ],
)
def test_what_is_not_legal_is_not_saved(tmp_path: Path, changed: Any, words: str) -> None:
    path = small(tmp_path / "run")
    before = path.read_bytes()
    run: dict[str, Any] = {"tensors": {"w": (ONES, ONES)}, "step": 1, "groups": Group(lr=0.1)}
    with pytest.raises((TypeError, ValueError), match=words):
        save(path, **{**run, **changed})
    assert path.read_bytes() == before
    assert [x.name for x in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"lr": float("nan")}, "lr=nan is not legal; legal: a finite number >= 0"),
        ({"lr": True}, "lr=True is not legal: it is of type bool; legal: a finite number >= 0"),
        ({"beta1": 1.0}, r"beta1=1.0 is not legal; legal: a number in \[0, 1\)"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1 is not legal; legal: a finite number >= 0"),
        ({"names": "fc.weight"}, "names='fc.weight' is not legal; legal: a sequence of names"),
        (
            {"lr_schedule": abs},
            "lr_schedule=<built-in.*> is not legal; legal: a lion_ref.schedules",
        ),
    ],
)
def test_a_group_that_is_none_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        Group(**{"lr": 0.1, **arguments})


def test_a_header_that_would_be_longer_than_is_read_is_not_written(tmp_path: Path) -> None:
    tensors = {f"{i:0900}": (ONES, ONES) for i in range(13_000)}
    with pytest.raises(
        ValueError, match=r"the names of 26000 tensors take \d+ bytes; legal: no mo"
    ):
        save(tmp_path / "run", tensors, step=0, groups=Group(lr=0.1))


def test_a_group_of_many_is_found_at_once() -> None:
    """Each by a search through all the names would be quadratic: a minute for so many."""
    names = [f"w{i}" for i in range(50_000)]
    header = Header(0, (Group(lr=0.1, names=tuple(names)),))
    assert all(header.group_of(name) is header.groups[0] for name in names)
