"""In a docstring of this project an example begins with >>>, without a heading or a fence.

Markdown would take >>> for a quotation; here each example becomes a code block.
"""

from __future__ import annotations

import re
from typing import Any, Final

import griffe

EXAMPLE: Final = re.compile(r"^>>> .*\n(?:(?!\s*$).*\n?)*", re.MULTILINE)


class Doctests(griffe.Extension):
    """Fences the examples of every docstring, before it is rendered."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Fence the examples of one object."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(docstring: str) -> str:
    """The docstring with its examples as code blocks.

    >>> print(fenced("One.\\n\\n>>> 1\\n1\\n"))
    One.
    <BLANKLINE>
    ```pycon
    >>> 1
    1
    ```
    <BLANKLINE>
    """
    return EXAMPLE.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", docstring)
