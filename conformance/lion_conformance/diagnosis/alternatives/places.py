"""When a step is otherwise, and for which tensors: by its number, by what came before, by size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from lion_conformance.diagnosis.alternatives.session import Session

_UNITS: Final = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)


def ordinal(number: int) -> str:
    """The number of a step in words, from the 21st on in digits.

    >>> ordinal(2), ordinal(10), ordinal(111), ordinal(128), ordinal(22)
    ('second', 'tenth', '111th', '128th', '22nd')
    """
    words = _UNITS.split()
    if number < len(words):
        return words[number]
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


@dataclass(frozen=True, slots=True)
class When:
    """Which steps of a session."""

    words: str
    """Before a sentence: `from the second step on`."""
    holds: Callable[[Session], bool]
    one: str = ""
    """The steps themselves, as the subject of a sentence: `the second step is`."""


ALWAYS: Final = When("", lambda _: True)

EVENTS: Final = {
    "restore": "a restore",
    "save": "a save",
    "freeze": "a tensor is frozen",
    "thaw": "a tensor is thawed",
    "split": "a tensor is cut in two",
    "merge": "two tensors are joined",
    "momentum_dtype": "the momenta get another dtype",
    "move": "a move to another device",
    "schedule": "a schedule begins",
}


def from_step(step: int) -> When:
    """A step and all that follow."""
    return When(f"from the {ordinal(step)} step on", lambda s: s.steps >= step)


def at_step(step: int) -> When:
    """A step alone."""
    words = f"the {ordinal(step)} step"
    return When(f"at {words}", lambda s: s.steps == step, f"{words} is")


def whens(steps: Sequence[int]) -> Iterator[When]:
    """Those that begin at one of some steps, the plainest first."""
    if 1 in steps:
        yield ALWAYS
    for step in steps:
        if step > 1:
            yield from_step(step)
    for step in steps:
        yield at_step(step)
        if step > 1:
            yield When(
                f"at every {ordinal(step)} step",
                partial(lambda n, s: s.steps % n == 0, step),
                f"every {ordinal(step)} step is",
            )
            words = f"the {ordinal(step)} to the {ordinal(2 * step)} step"
            yield When(
                f"from {words}",
                partial(lambda n, s: (s.steps - 1) % (2 * n) >= n - 1, step),
                f"the steps from {words.removesuffix(' step')} are",
            )


def whens_after(events: Sequence[str]) -> Iterator[When]:
    """The first step behind an event, and all."""
    for event in events:
        words = EVENTS[event]
        after = (
            f"after {words}" if words.endswith(("restore", "save", "device")) else f"once {words}"
        )
        yield When(after, partial(lambda e, s: e in s.memory["since"], event))
        first = f"the first step {after.replace('once', 'after')}"
        yield When(
            f"in {first}",
            partial(lambda e, s: s.memory["since"].get(e) == 1, event),
            f"{first} is",
        )


@dataclass(frozen=True, slots=True)
class Where:
    """Which tensors of a session."""

    words: str
    """As the subject of a sentence: `the last of several tensors`."""
    holds: Callable[[Session, int], bool]
    plural: bool = False
    but: str = ""
    """The others, of which it is said that they alone are right."""


EVERYWHERE: Final = Where("", lambda _s, _i: True)


def _count(session: Session) -> int:
    return len(session.kept.params)


def _size(session: Session, tensor: int) -> int:
    return session.kept.params[tensor].size


def _sum(session: Session, tensor: int) -> int:
    return sum(x.size for x in session.kept.params[: tensor + 1])


def _alike(session: Session) -> bool:
    return len({x.shape for x in session.kept.params}) == 1


def _scalars_alone(session: Session) -> bool:
    return all(x.ndim == 0 for x in session.kept.params)


def wheres(wrong: Sequence[int], sizes: Sequence[int]) -> Iterator[Where]:
    """Those that may tell the wrong tensors of a list from the others, the plainest first."""
    yield EVERYWHERE
    yield Where(
        "all tensors but the first", lambda _s, i: i > 0, True, "the first of several tensors"
    )
    yield Where("the last of several tensors", lambda s, i: 0 < i == _count(s) - 1)
    yield Where("the first of several tensors", lambda s, i: i == 0 and _count(s) > 1)
    first = min(wrong, default=0)
    if first:
        yield from _from_the(first)
    yield Where("a tensor without axes", lambda s, i: s.kept.params[i].ndim == 0)
    yield Where(
        "tensors of a shape that an earlier one has",
        lambda s, i: any(x.shape == s.kept.params[i].shape for x in s.kept.params[:i]),
        True,
    )
    if wrong:
        yield from _by_size(wrong, sizes)


def _from_the(first: int) -> Iterator[Where]:
    named = ordinal(first + 1)
    subject = f"those from the {named} on"
    yield Where(f"of a list of tensors, {subject}", lambda _s, i: i >= first, True)
    yield Where(f"of a list of tensors, the {named}", lambda _s, i: i == first)
    yield Where(
        f"of several scalars, {subject}",
        lambda s, i: _scalars_alone(s) and i >= first,
        True,
    )
    yield Where(
        f"of several tensors of one shape, {subject}", lambda s, i: _alike(s) and i >= first, True
    )


def _by_size(wrong: Sequence[int], sizes: Sequence[int]) -> Iterator[Where]:
    least = min(sizes[i] for i in wrong)
    yield Where(
        f"large tensors (of {least:,} elements here)", lambda s, i: _size(s, i) >= least, True
    )
    sums = np.cumsum(sizes)
    bits = int(min(int(sums[i]) for i in wrong) - 1).bit_length() - 1
    for bit in (bits, bits + 1):
        most = 2**bit
        yield Where(
            f"of a list of more than 2^{bit} elements, the tensors behind",
            partial(lambda n, s, i: i > 0 and _sum(s, i) > n, most),
            True,
        )
    first = wrong[0]
    large = sizes[first - 1]
    if first and large > 1:
        yield Where(
            f"a tensor behind a large one (of {large:,} elements here)",
            lambda s, i: i > 0 and _size(s, i - 1) >= large and s.kept.params[i].ndim > 0,
        )
