"""A certificate: what was judged, where, and what came of it, as plain values and as a document.

docs/reference/exhaustive.md has its fields; data/lion-exhaustive.schema.json their form.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from lion_conformance.exhaustive.digests import (
    Digests,
    blocks_of,
    folded,
    in_words,
    key,
    span_of,
    spans,
    total,
)
from lion_conformance.exhaustive.judging import EXAMPLES, Differing, Example, Judged
from lion_conformance.exhaustive.machine import Machine
from lion_conformance.exhaustive.question import (
    BLOCKS,
    PARAMETER_PAIRS,
    PARAMETERS,
    SIZE,
    TRIPLES,
    Question,
)
from lion_conformance.ports.declaration import semantics_of
from lion_conformance.verdict.verdict import Verdict
from lion_ref.hyperparameters import Hyperparameters

FORMAT: Final = "lion-exhaustive"
VERSION: Final = 1
"""Raised whenever a reader of an older file would misread a newer one, or a digest is another."""

SPLIT: Final = (
    "u and m' of every pair (m, g) were judged at θ = -0, and θ' of every θ beside four (m, g) "
    f"that make u = 1, -1, 0 and NaN; that the update splits so was checked on {TRIPLES} random "
    "triples (θ, m, g)"
)


@dataclass(frozen=True, slots=True)
class Door:
    """Which door of which port."""

    name: str
    door: str
    device: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is said of a port's bits in some blocks; `date` is when the last of them was judged."""

    port: Door
    question: Question
    versions: Mapping[str, str]
    machines: tuple[str, ...]
    digests: Digests
    differing: Differing
    examples: tuple[Example, ...]
    seconds: float
    date: str

    @property
    def blocks(self) -> list[int]:
        """Those of pairs (m, g), in their order."""
        return sorted(blocks_of(self.digests) - {PARAMETERS})

    @property
    def verdict(self) -> Verdict:
        """Bit-exact, in the canonical or another declared semantics, or rejected."""
        if self.differing.any():
            return Verdict.REJECTED
        differences = self.question.semantics.differences()
        return Verdict.BIT_EXACT_AS if differences else Verdict.BIT_EXACT

    @property
    def hash(self) -> str:
        """Of all result bits in their order."""
        return total(self.digests)

    def identity(self) -> dict[str, str]:
        """What has to be the same in every slice of one certificate, beside the versions."""
        return {
            "port": self.port.name,
            "door": self.port.door,
            "device": self.port.device,
            "dtype": self.question.dtype,
            **{name: repr(x) for name, x in asdict(self.question.values).items()},
            "semantics": self.question.semantics.describe(),
        }

    def and_judged(self, judged: Iterable[Judged], machine: Machine) -> Certificate:
        """With more blocks, of which it has none yet."""
        new = tuple(judged)
        examples = [*self.examples, *(example for one in new for example in one.examples)]
        digests = self.digests | {(x.block, x.block): x.digest for x in new}
        return replace(
            self,
            versions={**self.versions, **dict(machine.versions)},
            machines=tuple(sorted({*self.machines, machine.platform})),
            digests=folded(digests),
            differing=sum((x.differing for x in new), self.differing),
            examples=tuple(sorted(examples)[:EXAMPLES]),
        )


def as_document(certificate: Certificate) -> dict[str, Any]:
    """What is written, without the seal."""
    x, values = certificate, asdict(certificate.question.values)
    judged = {
        "pairs": SIZE * len(x.blocks),
        "parameters": PARAMETER_PAIRS,
        "triples": TRIPLES,
    }
    return {
        "format": FORMAT,
        "version": VERSION,
        "verdict": x.verdict.value,
        "port": asdict(x.port),
        "dtype": x.question.dtype,
        "hyperparameters": {name: value.hex() for name, value in values.items()},
        "semantics": x.question.semantics.differences(),
        "split": SPLIT,
        "blocks": in_words(spans(x.blocks)) + f" of {BLOCKS}",
        "judged": judged,
        "differing": asdict(x.differing),
        "examples": [_example(example) for example in x.examples],
        "sha256": x.hash,
        "seconds": round(x.seconds, 1),
        "date": x.date,
        "versions": dict(x.versions),
        "machines": list(x.machines),
        "digests": {key(span): digest.hex() for span, digest in x.digests.items()},
    }


def from_document(document: Mapping[str, Any]) -> Certificate:
    """A certificate of a document of the right form; ValueError for one that contradicts itself."""
    _check_printable(document)
    given = document["hyperparameters"]
    values = Hyperparameters.checked(**{name: float.fromhex(x) for name, x in given.items()})
    semantics = semantics_of(document["semantics"])
    certificate = Certificate(
        port=Door(**document["port"]),
        question=Question(document["dtype"], values, semantics),
        versions=document["versions"],
        machines=tuple(document["machines"]),
        digests=_digests(document["digests"]),
        differing=Differing(**document["differing"]),
        examples=tuple(map(_example_of, document["examples"])),
        seconds=document["seconds"],
        date=document["date"],
    )
    rebuilt = as_document(certificate)
    for name, value in rebuilt.items():
        if document[name] != value:
            raise ValueError(
                f"{name} is {_shown(document[name])}; legal: {_shown(value)}, by the rest"
            )
    _check_differing(certificate, rebuilt["judged"])
    return certificate


def _check_printable(document: Mapping[str, Any]) -> None:
    """ValueError for words that would do something to a terminal on which they are said."""
    said = {f"port.{name}": words for name, words in document["port"].items()}
    said |= {f"versions.{name}": name + words for name, words in document["versions"].items()}
    said |= {"machines": "".join(document["machines"]), "date": document["date"]}
    for name, words in said.items():
        if not words.isprintable():
            raise ValueError(f"{name}={words!r} is not legal; legal: printable characters")


def _check_differing(certificate: Certificate, judged: Mapping[str, int]) -> None:
    """ValueError unless the examples are some of what differs, and that some of what was judged."""
    differing = asdict(certificate.differing)
    for name, count in differing.items():
        if count > judged[name]:
            raise ValueError(f"differing.{name} is {count}; legal: 0 to {judged[name]}")
    examples, count = certificate.examples, sum(differing.values())
    if not min(1, count) <= len(examples) <= count:
        raise ValueError(f"{len(examples)} examples of {count} that differ")
    if any(x.expected == x.found for x in examples):
        raise ValueError("an example does not differ")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _digests(written: Mapping[str, str]) -> Digests:
    digests = {span_of(text): bytes.fromhex(digest) for text, digest in written.items()}
    if (PARAMETERS, PARAMETERS) not in digests or len(digests) == 1:
        raise ValueError(
            f"digests are not of block {PARAMETERS} and one of 0-{BLOCKS - 1}, at least"
        )
    sizes = sum(last - first + 1 for first, last in digests)
    if sizes != len(blocks_of(digests)):
        raise ValueError("digests has a block twice")
    return folded(digests)


def _example(example: Example) -> dict[str, Any]:
    def words(names: Sequence[str], patterns: Sequence[int]) -> dict[str, str]:
        return {name: f"0x{x:04x}" for name, x in zip(names, patterns, strict=True)}

    return {
        "given": words(("param", "momentum", "grad"), example.given),
        "expected": words(("param", "momentum"), example.expected),
        "found": words(("param", "momentum"), example.found),
    }


def _example_of(document: Mapping[str, Mapping[str, str]]) -> Example:
    def patterns(name: str) -> tuple[int, ...]:
        return tuple(int(x, 16) for x in document[name].values())

    given, expected, found = map(patterns, ("given", "expected", "found"))
    return Example((given[0], given[1], given[2]), (expected[0], expected[1]), (found[0], found[1]))


def seal(document: Mapping[str, Any]) -> str:
    """SHA-256 of all of a document but its seal: JSON with sorted keys and no blanks, in UTF-8."""
    rest = {name: value for name, value in document.items() if name != "seal"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
