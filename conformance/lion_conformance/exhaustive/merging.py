"""Slices of one certificate put together, and why some cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lion_conformance.exhaustive.certificate import Certificate
from lion_conformance.exhaustive.digests import blocks_of, folded, in_words, spans
from lion_conformance.exhaustive.judging import EXAMPLES
from lion_conformance.exhaustive.question import BLOCKS, PARAMETERS

Named = tuple[str, Certificate]
"""A certificate, and what it is called in a refusal."""


def merged(slices: Sequence[Named], *, partial: bool = False) -> Certificate:
    """One certificate of several.

    Args:
        slices: with the files' names.
        partial: whether blocks may be missing.

    Raises:
        ValueError: slices of different certificates, that overlap, or that are not all.
    """
    (first, one), *others = slices
    for name, other in others:
        check_same(first, one, name, other)
        # A framework that the first has not loaded must be the same in all that have.
        one = replace(one, versions={**other.versions, **one.versions})
    owners: dict[int, str] = {}
    for name, certificate in slices:
        twice = [block for block in certificate.blocks if block in owners]
        if twice:
            raise ValueError(f"{name} overlaps {owners[twice[0]]}: {in_words(spans(twice))}")
        owners |= dict.fromkeys(certificate.blocks, name)
    missing = set(range(BLOCKS)) - owners.keys()
    if missing and not partial:
        raise ValueError(f"{in_words(spans(missing))} of {BLOCKS} are in no slice; legal: all")
    return _together([certificate for _, certificate in slices])


def check_same(first: str, one: Certificate, second: str, other: Certificate) -> None:
    """ValueError that names the first thing in which two certificates are not of one run."""
    mine, theirs = one.identity(), other.identity()
    if PARAMETERS in blocks_of(one.digests):
        what = f"the digest of block {PARAMETERS}"
        mine[what], theirs[what] = (x.digests[PARAMETERS, PARAMETERS].hex() for x in (one, other))
    mine |= {x: one.versions[x] for x in one.versions if x in other.versions}
    theirs |= {x: other.versions[x] for x in other.versions if x in one.versions}
    for what, value in mine.items():
        if theirs[what] != value:
            raise ValueError(
                f"{second} is foreign to {first}: {what} is {theirs[what]} instead of {value}"
            )


def _together(slices: Sequence[Certificate]) -> Certificate:
    """All of them; the block of parameters is in each, and counted once."""
    first = slices[0]
    pairs = sum(x.differing.pairs for x in slices)
    examples = {example for x in slices for example in x.examples}
    return replace(
        first,
        versions={name: version for x in slices for name, version in x.versions.items()},
        machines=tuple(sorted({machine for x in slices for machine in x.machines})),
        digests=folded({span: digest for x in slices for span, digest in x.digests.items()}),
        differing=replace(first.differing, pairs=pairs),
        examples=tuple(sorted(examples)[:EXAMPLES]),
        seconds=sum(x.seconds for x in slices),
        date=max(x.date for x in slices),
    )


def remaining(certificate: Certificate, wanted: range) -> list[int]:
    """The wanted blocks that it does not have yet; ValueError if it has any that are not wanted."""
    have = blocks_of(certificate.digests) - {PARAMETERS}
    beyond = have - set(wanted)
    if beyond:
        raise ValueError(f"it has {in_words(spans(beyond))}, which were not asked for")
    return [block for block in wanted if block not in have]
