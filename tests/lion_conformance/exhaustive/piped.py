"""A program that speaks docs/reference/pipe.md in 16 bits, a million elements at a time."""

from __future__ import annotations

import sys

import numpy as np

import lion_ref
from lion_conformance.exhaustive.question import Bits
from lion_ref import STORAGE_DTYPES

NAMES = ("float16", "bfloat16")
DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
PLACES = np.array([12, 8, 4, 0], np.uint16)


def read(count: int, width: int) -> list[Bits]:
    """Columns of four hexadecimal digits each."""
    text = np.frombuffer(sys.stdin.buffer.read(5 * width * count), np.uint8)
    digits = np.zeros(256, np.uint16)
    digits[DIGITS] = np.arange(16)
    cells = digits[text.reshape(count, width, 5)[..., :4]] << PLACES
    return list(np.bitwise_or.reduce(cells, axis=-1).T)


def written(columns: list[Bits]) -> bytes:
    """The same back."""
    cells = np.stack(columns, axis=-1)[..., None] >> PLACES & 15
    text = np.full((*cells.shape[:-1], 5), ord(" "), np.uint8)
    text[..., :4] = DIGITS[cells]
    text[:, -1, 4] = ord("\n")
    return text.tobytes()


def main() -> None:
    """Greet, then answer."""
    greeting = ("lion-pipe 1", *(f"dtypes {x} {x} {x}" for x in NAMES), "ready")
    sys.stdout.write("".join(f"{line}\n" for line in greeting))
    sys.stdout.flush()
    while request := sys.stdin.buffer.readline():
        _, dtype, _, _, count, *numbers = request.decode().split()
        scalars = np.array([int(x, 16) for x in numbers], np.uint64).view(np.float64).tolist()
        names = ("lr", "beta1", "beta2", "weight_decay")
        columns = [x.astype(np.uint16) for x in read(int(count), 3)]
        arrays = (x.view(STORAGE_DTYPES[dtype]) for x in columns)
        results = lion_ref.step(*arrays, **dict(zip(names, scalars, strict=True)))
        sys.stdout.buffer.write(written([x.view(np.uint16) for x in results]) + b"end\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
