"""docs/how-to/move-from-another-lion.md against the libraries that are installed: their defaults,
what their options make of the decay, and the code that carries their state over.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lion_torch
from lion_conformance.ports.published.timm import timm_lion

PAGE = (Path(__file__).parents[3] / "docs/how-to/move-from-another-lion.md").read_text("utf-8")
ARGUMENT = re.compile(r"`(\w+)(?:=([^`]+))?`")
CARRY_OVER = re.compile(r'```python title="carry_over.py"\n(.*?)```', re.DOTALL)


def imported(module: str, name: str) -> Callable[[], Any]:
    return lambda: getattr(importlib.import_module(module), name)


LIONS: dict[str, Callable[[], Any]] = {
    "lion-pytorch": imported("lion_pytorch", "Lion"),
    "timm": timm_lion,
    "pytorch_optimizer": imported("pytorch_optimizer", "Lion"),
    "torch-optimi": imported("optimi", "Lion"),
    "bitsandbytes": imported("bitsandbytes.optim", "Lion"),
    "lion_torch": imported("lion_torch", "Lion"),
    "optax": imported("optax", "lion"),
    "lion_jax": imported("lion_jax", "lion"),
    "keras": imported("keras.optimizers", "Lion"),
    "lion_tf": imported("lion_tf", "Lion"),
}
ON_TORCH = ("lion-pytorch", "timm", "pytorch_optimizer", "torch-optimi", "bitsandbytes")


def lion(library: str) -> Any:
    try:
        return LIONS[library]()
    except ModuleNotFoundError as error:
        pytest.skip(str(error))


def rows(heading: str) -> dict[str, list[str]]:
    """The first table below a heading: its first column, and the cells beside it."""
    table = PAGE.split(f"## {heading}\n")[1].split("\n|", 3)[3].split("\n\n")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n")]
    return {line[0].strip("*"): line[1:] for line in lines}


DEFAULTS = rows("Arguments and defaults")


def wrong_defaults(cells: list[str], function: Callable[..., Any]) -> list[str]:
    """What a row says of η, β and λ that the signature does not."""
    parameters = inspect.signature(function).parameters
    found = []
    for name, value in ARGUMENT.findall(" ".join(cells)):
        # As they are printed: 1e-4 is 0.0001, 0 is not 0.0.
        default = parameters[name].default if name in parameters else "not there"
        shown = "" if default is inspect.Parameter.empty else str(default)
        if shown != value:
            found.append(f"{name}: {shown}")
    return found


def test_every_library_has_a_row() -> None:
    assert set(DEFAULTS) == set(LIONS)


@pytest.mark.parametrize("library", LIONS)
def test_arguments_and_defaults_are_the_library_s(library: str) -> None:
    assert wrong_defaults(DEFAULTS[library][:3], lion(library)) == []


@pytest.mark.parametrize("cell", ["`lr=0.001`", "`lr`", "`learning_rate=0.0001`"])
def test_a_wrong_row_is_found(cell: str) -> None:
    assert wrong_defaults([cell], lion_torch.Lion)


def stepped(make: Any, dtype: torch.dtype = torch.float32, **options: Any) -> tuple[Any, Any]:
    torch.manual_seed(0)
    theta = torch.nn.Parameter(torch.randn(64).to(dtype))
    optimizer = make([theta], lr=1e-3, **options)
    for _ in range(2):
        theta.grad = torch.randn(64).to(dtype)
        optimizer.step()
    return theta, optimizer


@pytest.mark.parametrize("library", ON_TORCH)
def test_the_momentum_has_the_name_and_the_dtype_of_the_table(library: str) -> None:
    key, dtype = (cell.strip("`") for cell in DEFAULTS[library][3:])
    theta, optimizer = stepped(lion(library), torch.bfloat16)
    expected = {"θ's": torch.bfloat16, "float32": torch.float32}[dtype]
    assert optimizer.state[theta][key].dtype == expected


# η is 1/2 when the optimizer is made and 1/4 at the step, λ is 1/8: all of it is exact.
SHRINKS: list[tuple[str, dict[str, Any], float]] = [
    *((name, {}, 1 / 32) for name in ON_TORCH),
    ("lion-pytorch", {"decoupled_weight_decay": True}, 1 / 16),
    ("torch-optimi", {"decouple_lr": True}, 1 / 16),
    ("torch-optimi", {"decouple_lr": True, "max_lr": 1.0}, 1 / 32),
    ("timm", {"corrected_weight_decay": True}, 1 / 64),
    ("pytorch_optimizer", {"fixed_decay": True}, 1 / 8),
]


@pytest.mark.filterwarnings("ignore:You are using weight_decay")  # torch-optimi's, of its option
@pytest.mark.parametrize(("library", "options", "shrinks"), SHRINKS)
def test_a_weight_shrinks_by_what_the_page_says(
    library: str, options: dict[str, Any], shrinks: float
) -> None:
    theta = torch.nn.Parameter(torch.ones(1))
    optimizer = lion(library)([theta], lr=0.5, weight_decay=0.125, **options)
    optimizer.param_groups[0]["lr"] = 0.25
    theta.grad = torch.zeros(1)
    optimizer.step()
    assert 1 - theta.item() == shrinks
    assert all(f"`{option}=True`" in PAGE for option in options if option != "max_lr")


def carried(library: str, state_dict: dict[str, Any]) -> dict[str, Any]:
    """A state dict as the page's own code makes it."""
    match = CARRY_OVER.search(PAGE)
    assert match is not None
    functions: dict[str, Any] = {}
    exec(match[1], functions)
    convert = {
        "torch-optimi": functions["from_optimi"],
        "bitsandbytes": functions["from_bitsandbytes"],
    }
    result: dict[str, Any] = convert.get(library, dict)(state_dict)
    return result


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("library", ON_TORCH)
def test_its_state_is_carried_over(library: str, dtype: torch.dtype) -> None:
    options = {"weight_decay": 0.25, "betas": (0.8, 0.95)}
    if library == "torch-optimi":
        options["kahan_sum"] = False  # which is another algorithm
    theta, theirs = stepped(lion(library), dtype, **options)
    key, kept = (cell.strip("`") for cell in DEFAULTS[library][3:])
    momentum_dtype = torch.float32 if kept == "float32" else None
    ours = lion_torch.Lion([theta], momentum_dtype=momentum_dtype)
    ours.load_state_dict(carried(library, theirs.state_dict()))
    momentum = ours.state[theta]["exp_avg"]
    assert momentum.count_nonzero() == 64
    assert momentum.dtype == theirs.state[theta][key].dtype
    assert torch.equal(momentum, theirs.state[theta][key])
    group = ours.param_groups[0]
    assert (group["lr"], group["betas"], group["weight_decay"]) == (1e-3, (0.8, 0.95), 0.25)


def test_a_dict_that_is_not_carried_over_is_refused() -> None:
    theta, theirs = stepped(lion("bitsandbytes"))
    with pytest.raises(ValueError, match="another optimizer's"):
        lion_torch.Lion([theta]).load_state_dict(theirs.state_dict())
