"""The sets of arrays that a step is timed on: one place, so that frameworks can be compared."""

from __future__ import annotations

from typing import TypeAlias

Shapes: TypeAlias = list[tuple[int, ...]]


def gpt2(layers: int, vocabulary: int, width: int = 768) -> Shapes:
    """GPT-2's parameters; 12 layers and 50,257 tokens are its small model."""
    layer: Shapes = [
        (width,),
        (width,),
        (width, 3 * width),
        (3 * width,),
        (width, width),
        (width,),
        (width,),
        (width,),
        (width, 4 * width),
        (4 * width,),
        (4 * width, width),
        (width,),
    ]
    return [(vocabulary, width), (1024, width), *layers * layer, (width,), (width,)]


SETS: dict[str, Shapes] = {
    "16M": [(16 * 2**20,)],
    "28M, 40 tensors": gpt2(layers=3, vocabulary=7_000),
    "124M, 148 tensors": gpt2(layers=12, vocabulary=50_257),
    "300 of 10,000": [(10_000,)] * 300,
    "1,000 of 100": [(100,)] * 1_000,
    "1,000 of 1,000": [(1_000,)] * 1_000,
    "1G": [(2**30,)],
}
