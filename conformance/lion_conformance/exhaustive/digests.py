"""Digests of blocks, folded by groups, so that slices of any size come to the same hash.

A group is GROUP blocks that follow each other, the first a multiple of GROUP. Its digest is the
SHA-256 of theirs, one behind the other. The hash of what was judged is the SHA-256 of the digests
of its groups, or of its blocks where a group is not whole, in their order, and of PARAMETERS'.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from lion_conformance.exhaustive.question import BLOCKS, PARAMETERS

Span = tuple[int, int]
"""The first and the last of some blocks."""

Digests = dict[Span, bytes]

GROUP: Final = 16


def folded(digests: Mapping[Span, bytes]) -> Digests:
    """The same in their order, whole groups as one.

    >>> list(folded({(i, i): bytes(32) for i in range(17)}))
    [(0, 15), (16, 16)]
    """
    found: Digests = {}
    for span in sorted(digests):
        found[span] = digests[span]
        first, last = span
        group = [(i, i) for i in range(last - GROUP + 1, last + 1)]
        if first == last < BLOCKS and last % GROUP == GROUP - 1 and all(x in found for x in group):
            found[group[0][0], last] = hashlib.sha256(b"".join(map(found.pop, group))).digest()
    return found


def total(digests: Mapping[Span, bytes]) -> str:
    """The hash of all, of folded digests."""
    return hashlib.sha256(b"".join(digests[span] for span in sorted(digests))).hexdigest()


def blocks_of(digests: Iterable[Span]) -> set[int]:
    """The blocks that are in it."""
    return {block for first, last in digests for block in range(first, last + 1)}


def spans(blocks: Iterable[int]) -> list[Span]:
    """Blocks as the spans that they make up.

    >>> spans([3, 1, 2, 7])
    [(1, 3), (7, 7)]
    """
    found: list[Span] = []
    for block in sorted(blocks):
        if found and found[-1][1] == block - 1:
            found[-1] = found[-1][0], block
        else:
            found.append((block, block))
    return found


def in_words(found: Sequence[Span]) -> str:
    """
    >>> in_words([(0, 0), (2, 5)])
    'blocks 0, 2-5'
    """
    one = len(found) == 1 and found[0][0] == found[0][1]
    return f"block{'' if one else 's'} {', '.join(map(key, found))}"


def key(span: Span) -> str:
    """A span in a file.

    >>> key((0, 15)), key((16, 16))
    ('0-15', '16')
    """
    first, last = span
    return str(first) if first == last else f"{first}-{last}"


def span_of(text: str) -> Span:
    """The span that a key stands for; ValueError for what is neither a block nor a group."""
    matched = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", text)
    first, last = (int(x) for x in (matched[1], matched[2] or matched[1])) if matched else (-1, -1)
    is_group = first % GROUP == 0 and last == first + GROUP - 1
    if not (0 <= first <= last <= PARAMETERS) or not (first == last or is_group):
        raise ValueError(f"digest of {text!r} is not legal; legal: of a block, or of a group")
    return first, last


def slice_of(text: str) -> range:
    """The blocks of the i-th of n slices; ValueError for what is none.

    >>> slice_of("2/4")
    range(1024, 2048)
    >>> slice_of("5/4")
    Traceback (most recent call last):
        ...
    ValueError: slice='5/4' is not legal; legal: I/N with 1 <= I <= N <= 4096
    """
    matched = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text)
    i, n = (int(matched[1]), int(matched[2])) if matched else (0, 0)
    if not 1 <= i <= n <= BLOCKS:
        raise ValueError(f"slice={text!r} is not legal; legal: I/N with 1 <= I <= N <= {BLOCKS}")
    return range(BLOCKS * (i - 1) // n, BLOCKS * i // n)
