"""Known-answer vectors: what a port must give, as a file that any language can read.

docs/vectors.md documents the format; data/lion-vectors.json is the file of the default size.
"""

from pathlib import Path
from typing import Final

DATA: Final = Path(__file__).parents[1] / "data"
VECTORS: Final = "lion-vectors.json"
SCHEMA: Final = "lion-vectors.schema.json"
ANSWERS_SCHEMA: Final = "lion-answers.schema.json"
FORMAT: Final = "lion-vectors"
ANSWERS_FORMAT: Final = "lion-answers"
VERSION: Final = 4
"""Raised whenever a reader of an older file would misread a newer one, or bits change."""

SIZE: Final = 10
"""Drawn cases in each group of steps of the file in the package, special cases aside."""
