"""The catalogue: wrong ports, each with a name, a line that says what is wrong, and its verdict.

A mutant is a callable with lion_ref.step's signature, a class of which every judging makes a new
one (hidden state begins anew), or a factory of a `Port` with sessions. The modules beside this one
hold them by theme; `load` imports them all.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import lion_ref
from lion_conformance import Port, Verdict, from_callable
from lion_ref import Semantics

Step = Callable[..., Any]
T = TypeVar("T", bound=Callable[..., Any])

THEMES: Final = (
    "algebra",
    "decay",
    "sign",
    "scalars",
    "rounding",
    "values",
    "memory",
    "layout",
    "dtypes",
    "state",
    "sessions",
    "runs",
    "lists",
    "kept",
    "crossed",
    "concurrency",
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong port, and what the judge has to say of it."""

    name: str
    theme: str
    wrong: str
    """What is wrong with it, in one line."""
    make: Callable[[], Step | Port]
    """A new one, without memory of what was judged before."""
    verdict: Verdict
    semantics: Semantics | None
    """The row of SPEC C16 that it is, if it is one."""
    refuses: str
    """The legal scalars that it refuses, though it is right elsewhere."""
    dtype: str
    """The dtype of θ in which it is judged."""

    def __str__(self) -> str:
        return self.name

    def port(self) -> Port:
        """A new one that says it takes every triple of dtypes: some are wrong in few of them."""
        made = self.make()
        triples = lion_ref.legal_triples()
        return made if isinstance(made, Port) else from_callable(made, triples=triples)


_CATALOGUE: dict[str, Mutant] = {}


def mutant(
    *,
    semantics: Semantics | None = None,
    accepted: bool = False,
    refuses: str = "",
    dtype: str = "float32",
    makes: bool = False,
) -> Callable[[T], T]:
    """Enter a port, whose docstring says what is wrong with it, into the catalogue.

    It has to be rejected, unless it is the semantics given and that is a rounding of Lion, or it is
    `accepted`: a rounding of Lion that no row of SPEC C16 has. refuses: the legal scalars that it
    refuses, as a `Refusal` describes them; it is right where it answers. makes: the callable makes
    the port.
    """

    def enter(made: T) -> T:
        new = made if makes or isinstance(made, type) else lambda: made
        verdict = Verdict.ACCEPTED if accepted else Verdict.REJECTED
        if semantics is not None and not semantics.is_other_algorithm:
            verdict = Verdict.BIT_EXACT_AS
        if refuses:
            verdict = Verdict.BIT_EXACT
        name = _spelled(made.__name__)
        if name in _CATALOGUE:
            raise ValueError(f"name={name!r} is not legal; legal: one that no other mutant has")
        _CATALOGUE[name] = Mutant(
            name=name,
            theme=made.__module__.rpartition(".")[2],
            wrong=(made.__doc__ or "").strip().rstrip("."),
            make=new,
            verdict=verdict,
            semantics=semantics,
            refuses=refuses,
            dtype=dtype,
        )
        return made

    return enter


def _spelled(name: str) -> str:
    """A function's or a class's name in small words."""
    words = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
    return words.strip("_").replace("_", " ")


def load() -> tuple[Mutant, ...]:
    """All mutants, theme by theme."""
    for theme in THEMES:
        importlib.import_module(f"{__package__}.{theme}")
    return tuple(sorted(_CATALOGUE.values(), key=lambda x: THEMES.index(x.theme)))


def changed(**scalars: Callable[[float], float]) -> Step:
    """The reference with some scalars replaced by a function of themselves."""

    def port(param: Any, momentum: Any, grad: Any, **given: Any) -> Any:
        new = {name: change(given[name]) for name, change in scalars.items()}
        return lion_ref.step(param, momentum, grad, **given | new)

    return port
