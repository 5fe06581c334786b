"""A damaged state dict is loaded or refused in words, and refused before anything has changed."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lion_torch import Lion
from tests.hostile import BETRAYED, VALUES, damaged, examples, said

pytestmark = pytest.mark.clause("C13", "C14")

TENSORS = st.sampled_from(
    [
        *(torch.zeros(2), torch.zeros(()), torch.zeros(3, 1), torch.zeros(2, dtype=torch.int32)),
        *(torch.tensor([float("nan"), float("inf")]), torch.zeros(2, dtype=torch.complex64)),
        *(
            torch.zeros(2, dtype=torch.bool),
            torch.zeros(2).to_sparse(),
            torch.zeros(2, device="meta"),
        ),
        *(torch.zeros(2).expand(2), torch.tensor(0.5), torch.zeros(2, dtype=torch.float8_e5m2)),
    ]
)
# Beside our own words torch's: of the numbers of groups and parameters, and of options together.
WORDS = ("legal", "loaded state dict", "does not support", "cannot be `True` together", "Tensor ")


def optimizer() -> Lion:
    params = [torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)]
    groups: list[dict[str, Any]] = [{"params": params[:1]}, {"params": params[1:], "lr": 0.5}]
    return Lion(groups, momentum_dtype="float32")


def stepped() -> dict[str, Any]:
    found = optimizer()
    for group in found.param_groups:
        for param in group["params"]:
            param.grad = torch.ones(2)
    found.step()
    return found.state_dict()


STATE = stepped()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _loaded(state: Any) -> None:
    mine = optimizer()
    before = copy.deepcopy(mine.state_dict())
    try:
        mine.load_state_dict(state)
    except Exception:
        assert str(mine.state_dict()) == str(before), "it was refused, and has changed something"
        raise


@examples(150)
@given(damaged(STATE, VALUES | TENSORS))
def test_a_damaged_state_is_loaded_or_refused_in_words(state: Any) -> None:
    said(lambda: _loaded(state), errors=(ValueError, TypeError, RuntimeError), words=WORDS)


@pytest.mark.slow
@examples(10_000)
@given(damaged(STATE, VALUES | TENSORS))
def test_many_damaged_states_are_loaded_or_refused_in_words(state: Any) -> None:
    said(lambda: _loaded(state), errors=(ValueError, TypeError, RuntimeError), words=WORDS)


def test_the_fuzz_finds_what_takes_a_dict_s_parts_for_granted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lion_torch.optimizer.check_form", lambda _: None)
    with pytest.raises((Exception, ExceptionGroup)):
        test_a_damaged_state_is_loaded_or_refused_in_words()


class _Runs:
    """What a pickle runs when it is loaded as torch.load(weights_only=False) would."""

    def __reduce__(self) -> Any:
        return Path(BETRAYED).touch, ()


def test_loading_a_checkpoint_runs_no_code() -> None:
    """A checkpoint is torch's file: torch.load reads it, with weights_only, and Lion no file."""
    torch.save(STATE | {"extra": _Runs()}, "checkpoint.pt")
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        torch.load("checkpoint.pt")
    assert not Path(BETRAYED).exists()
    torch.load("checkpoint.pt", weights_only=False)
    assert Path(BETRAYED).exists(), "the check above could not fail"
    Path(BETRAYED).unlink()
    torch.save(STATE, "checkpoint.pt")
    _loaded(torch.load("checkpoint.pt", weights_only=True))
