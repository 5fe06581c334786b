"""What is held of any bytes that somebody calls a run state: the tests and the fuzzer share it."""

from __future__ import annotations

from pathlib import Path

from safetensors import deserialize

from lion_ref.run_state import load, save
from tests.hostile import said

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
    save(
        again,
        state.tensors,
        step=header.step,
        groups=header.groups,
        semantics=header.semantics,
        versions=header.versions,
    )
    found = load(again)
    assert (found.header.step, found.header.groups) == (header.step, header.groups)
    assert found.header.semantics == header.semantics
    assert set(found.tensors) == set(state.tensors)
    for name, pair in state.tensors.items():
        for mine, other in zip(pair, found.tensors[name], strict=True):
            assert (mine.dtype, mine.shape) == (other.dtype, other.shape)
            assert mine.tobytes() == other.tobytes()
    again.unlink()
