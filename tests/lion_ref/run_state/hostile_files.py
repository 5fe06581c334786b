"""What is held of any bytes that somebody calls a run state: the tests and the fuzzer share it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import deserialize

from lion_ref.run_state import load
from tests.hostile import said
from tests.lion_ref.run_state.files import save_again

WORDS = ("legal: ",)


def judged(path: Path) -> str:
    """What `load` says of a file; if it takes it, then safetensors does, and it comes back."""
    words = said(lambda: load(path), errors=(ValueError,), words=WORDS)
    assert not words or words.partition("legal: ")[2], words
    if not words:
        theirs = {name for name, _ in deserialize(path.read_bytes())}  # type: ignore[no-untyped-call]
        comes_back(path, theirs)
    return words


def comes_back(path: Path, theirs: set[str]) -> None:
    """The file is loaded, saved and loaded with every bit; safetensors found the same tensors."""
    state, again = load(path), path.with_name("again.safetensors")
    header = state.header
    assert theirs == {f"{kind}.{name}" for name in state.tensors for kind in ("param", "momentum")}
    save_again(state, again)
    found = load(again)
    assert (found.header.step, found.header.groups) == (header.step, header.groups)
    assert found.header.semantics == header.semantics
    assert set(found.tensors) == set(state.tensors)
    for name, pair in state.tensors.items():
        for mine, other in zip(pair, found.tensors[name], strict=True):
            assert (mine.dtype, mine.shape) == (other.dtype, other.shape)
            assert mine.tobytes() == other.tobytes()
    again.unlink()


# Changes of a header, each of one thing.


def tensor_changed(change: Callable[[dict[str, Any]], object]) -> Callable[[Any], object]:
    return lambda header: change(header["param.fc.bias"])


def described_as(**values: Any) -> Callable[[Any], object]:
    return tensor_changed(lambda tensor: tensor.update(values))


def with_text(key: str, text: str) -> Callable[[Any], object]:
    return lambda header: header["__metadata__"].update({key: text})


def group_changed(change: Callable[[dict[str, Any]], object]) -> Callable[[Any], object]:
    def changed(header: Any) -> None:
        groups = json.loads(header["__metadata__"]["groups"])
        change(groups[0])
        header["__metadata__"]["groups"] = json.dumps(groups)

    return changed


def renamed_to(name: str) -> Callable[[Any], object]:
    def changed(header: Any) -> None:
        header[name] = header.pop("param.fc.bias")

    return changed
