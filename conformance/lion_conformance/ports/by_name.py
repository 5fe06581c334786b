"""A port by the name that leads to it: MODULE:CALLABLE, as the command line and pytest take it."""

from __future__ import annotations

import importlib
import operator
import sys
from pathlib import Path
from typing import Any


def find(spec: str) -> Any:
    """The object that MODULE:CALLABLE names; ValueError or ImportError in one line otherwise.

    >>> find("lion_ref:step").__name__
    'step'
    """
    module_name, colon, path = spec.partition(":")
    if not (module_name and colon and path):
        raise ValueError(f"port={spec!r} is not legal; legal: MODULE:CALLABLE, as in my_lion:step")
    here = str(Path.cwd())
    if here not in sys.path:  # a module beside the user is what they mean
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # a module that exits, or skips a test, is no port that passed
        text = " ".join(str(error).split())[:300]
        raise ImportError(
            f"port={spec!r}: importing {module_name} failed with {type(error).__name__}: {text}"
        ) from error
    try:
        return operator.attrgetter(path)(found)
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        raise ValueError(
            f"port={spec!r} is not legal: {text}; legal: MODULE:CALLABLE, as in my_lion:step"
        ) from error
