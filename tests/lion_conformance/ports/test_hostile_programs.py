"""What a program writes is data: whatever it is, it is a greeting and an answer, or a PortError."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lion_conformance import PortError
from lion_conformance.ports.hexadecimal import decode, encode, malformed
from lion_conformance.ports.pipe import Program, parse_refusal, parse_semantics
from lion_conformance.ports.protocol import run_once
from lion_conformance.ports.transcript import Form, Heard
from tests.hostile import CODE, FRAGMENTS, WORDS, damaged_bytes, examples, said
from tests.lion_conformance.ports.piped import SCALARS

pytestmark = pytest.mark.clause("C29")

F32 = np.dtype(np.float32)
GREETING = b"lion-pipe 1\nname mine\ndtypes float32 float32 float32\nsemantics canonical\n"
ANSWER = encode([np.array([0.5, -0.0], np.float32)] * 2)

_LINES = st.sampled_from(
    [
        *(word.encode("utf-8", "surrogatepass") for word in WORDS),
        *FRAGMENTS,
        *(
            b"error",
            b"error no",
            b"end",
            b"ready",
            b"lion-pipe 1",
            b"name ",
            b"name a\tb",
            b"dtypes",
        ),
        *(
            b"dtypes float64 float32 float16",
            b"semantics",
            b"semantics =",
            b"semantics __class__=1",
        ),
        *(b"semantics decay_fused=1", b"semantics subnormals=flush decay=unscaled", b"declines"),
        *(b"declines lr nan", b"declines lr 1 0", b"declines lr 0 1e999", b"declines beta1 0 1"),
        *(
            b"declines __init__ 0",
            b"declines lr " + b"9" * 5000,
            b"0" * 8,
            b"g" * 8 + b" " + b"0" * 8,
        ),
        *(b"00000000 00000000", b"00000000  00000000", b"00000000\t00000000", b"x" * 11_000),
    ]
)
LINES = st.lists(_LINES, max_size=4).map(b"\n".join)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _spoken(greeting: bytes, answer: bytes) -> Any:
    """A step of a program that says so, reads a line between the two, and ends."""
    Path("greeting").write_bytes(greeting)
    Path("answer").write_bytes(answer)
    command = ["sh", "-c", "cat greeting; read request; cat answer"]
    with Program(command, timeout=5.0) as program:
        ones = np.ones(2, np.float32)
        return run_once(program.port, ones, ones, ones, **SCALARS)


@examples(40)
@given(
    damaged_bytes(GREETING + b"ready\n") | LINES.map(lambda x: GREETING + x + b"\nready\n"),
    damaged_bytes(ANSWER + b"end\n") | LINES.map(lambda x: x + b"\nend\n"),
    st.booleans(),
)
def test_a_program_that_says_anything_is_judged_or_named(
    greeting: bytes, answer: bytes, which: bool
) -> None:
    greeting = greeting if which else GREETING + b"ready\n"
    said(lambda: _spoken(greeting, answer), errors=(PortError,), words=("the program ",))


def test_a_greeting_that_is_evaluated_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lion_conformance.ports.pipe.parse_semantics", eval)
    with pytest.raises(AssertionError, match="input was run as code"):
        said(
            lambda: _spoken(b"lion-pipe 1\nsemantics " + CODE[0].encode() + b"\nready\n", b""),
            errors=(PortError,),
            words=("the program ",),
        )


@examples(300)
@given(damaged_bytes(ANSWER + b"end\n") | LINES, st.lists(st.integers(0, 60), max_size=3))
def test_whatever_is_heard_in_pieces_is_lines_or_a_problem(text: bytes, cuts: list[int]) -> None:
    form = Form("its answer", "end", partial(malformed, dtypes=[F32, F32]), 2)
    heard = Heard(form)
    edges = [0, *sorted(cuts), len(text)]
    for begin, end in pairwise(edges):
        if heard.closes(text[begin:end]):
            said(lambda: decode(heard.lines, [F32, F32], 2))
            return
        if heard.problem:
            break
    assert heard.problem or heard.so_far()
    assert "\n" not in heard.problem + heard.so_far()


@examples(300)
@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=6), max_size=4))
def test_words_of_a_greeting_are_a_choice_or_refused(words: list[str]) -> None:
    text = " ".join(words)
    for parse in (parse_semantics, parse_refusal, lambda x: parse_refusal(f"lr {x}")):
        said(
            partial(parse, text),
            words=("legal", "could not convert string to float"),
            longest=10_000,
        )
