"""Numbers as lines of hexadecimal bit patterns: what programs in any language read and write.

One line an element, its numbers separated by one blank, each with exactly as many digits as its
dtype has: 4 for the 16-bit dtypes, 8 for float32, 16 for float64. Digits may be of either case.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from lion_ref.arithmetic import Array, bits

_DIGITS: Final = np.frombuffer(b"0123456789abcdef", np.uint8)
_NO_DIGIT: Final = 255
_VALUES: Final = np.full(256, _NO_DIGIT, np.uint8)
for _value, _pair in enumerate(zip(b"0123456789abcdef", b"0123456789ABCDEF", strict=True)):
    _VALUES[list(_pair)] = _value
_BLANK, _NEWLINE = b" "[0], b"\n"[0]


class MalformedLine(ValueError):
    """A line that is not what the format says, and what it says; `index` counts from 0."""

    def __init__(self, index: int, line: str, legal: str) -> None:
        super().__init__(f"line {index + 1} is {line!r}; legal: {legal}")
        self.index, self.line, self.legal = index, line, legal


def digits(dtype: np.dtype[Any]) -> int:
    """Hexadecimal digits of one number.

    >>> digits(np.dtype(np.float32))
    8
    """
    return 2 * dtype.itemsize


def encode(arrays: Sequence[Array]) -> bytes:
    """A line for each element, with the bits of that element in each array.

    >>> encode([np.float32([1, -0.0]), np.float16([2, np.inf])]).decode().splitlines()
    ['3f800000 4000', '80000000 7c00']
    """
    columns: list[Array] = []
    for array in arrays:
        patterns = bits(array.reshape(-1))
        big_endian = patterns.astype(patterns.dtype.newbyteorder(">"))
        octets = big_endian.view(np.uint8).reshape(array.size, array.dtype.itemsize)
        halves = np.stack([octets >> 4, octets & 15], axis=-1)
        halves = halves.reshape(array.size, digits(array.dtype))
        columns += [_DIGITS[halves], np.full((array.size, 1), _BLANK, np.uint8)]
    columns[-1] = np.full_like(columns[-1], _NEWLINE)
    return np.concatenate(columns, axis=1).tobytes()


def decode(text: bytes, dtypes: Sequence[np.dtype[Any]], count: int) -> list[Array]:
    """The arrays that `encode` wrote; MalformedLine names the first line that is not legal.

    Raises:
        ValueError: another number of lines than count.

    >>> decode(b"3F800000 4000\\n", [np.dtype(np.float32), np.dtype(np.float16)], 1)
    [array([1.], dtype=float32), array([2.], dtype=float16)]
    """
    text = text.replace(b"\r\n", b"\n")
    width = sum(digits(dtype) + 1 for dtype in dtypes)
    characters = np.frombuffer(text, np.uint8)
    if characters.size != count * width:
        _refuse(text, dtypes, count)
    lines = characters.reshape(count, width)
    arrays, start, well_formed = [], 0, True
    for position, dtype in enumerate(dtypes):
        stop = start + digits(dtype)
        separator = _NEWLINE if position == len(dtypes) - 1 else _BLANK
        values = _VALUES[lines[:, start:stop]]
        well_formed &= bool((values != _NO_DIGIT).all() and (lines[:, stop] == separator).all())
        octets = np.ascontiguousarray((values[:, 0::2] << 4) | values[:, 1::2])
        unsigned = octets.view(f">u{dtype.itemsize}").reshape(count)
        arrays.append(unsigned.astype(f"u{dtype.itemsize}").view(dtype))
        start = stop + 1
    if not well_formed:
        _refuse(text, dtypes, count)
    return arrays


def _refuse(text: bytes, dtypes: Sequence[np.dtype[Any]], count: int) -> None:
    """Say which line is at fault, the first of them; else that their number is."""
    fault = malformed(text, dtypes)
    if fault is not None and fault.index < count:
        raise fault
    raise ValueError(f"{len(_lines(text))} lines; legal: {count}, one an element")


def malformed(text: bytes, dtypes: Sequence[np.dtype[Any]]) -> MalformedLine | None:
    """The first line that is none of such numbers; None if all are.

    >>> print(malformed(b"3f800000\\nhere\\n", [np.dtype(np.float32)]))
    line 2 is 'here'; legal: <8 hexadecimal digits>
    """
    widths = [digits(dtype) for dtype in dtypes]
    legal = " ".join(f"<{width} hexadecimal digits>" for width in widths)
    for index, line in enumerate(_lines(text)):
        words = line.split(b" ")
        if [len(word) for word in words] != widths or any(
            _NO_DIGIT in _VALUES[list(word)] for word in words
        ):
            return MalformedLine(index, line.decode("ascii", "backslashreplace")[:80], legal)
    return None


def _lines(text: bytes) -> list[bytes]:
    lines = text.split(b"\n")
    return lines if lines[-1] else lines[:-1]
