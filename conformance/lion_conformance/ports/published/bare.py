"""One module of a library, without the code of the packages that it is in.

Some libraries import all their models, and with them another build of a framework, for the sake of
one optimizer that needs none of it.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import PathFinder
from types import ModuleType


def bare_import(name: str) -> ModuleType:
    """The module of that name, whose packages are entered without running their `__init__`.

    A package that was imported already is left as it is.

    Raises:
        ModuleNotFoundError: one of the packages is not installed.
    """
    *packages, _ = name.split(".")
    for depth in range(1, len(packages) + 1):
        package = ".".join(packages[:depth])
        if package in sys.modules:
            continue
        around = sys.modules[".".join(packages[: depth - 1])].__path__ if depth > 1 else None
        spec = PathFinder.find_spec(package, around)
        if spec is None or spec.submodule_search_locations is None:
            raise ModuleNotFoundError(f"No module named {package!r}")
        entered = ModuleType(package)
        entered.__path__ = list(spec.submodule_search_locations)
        sys.modules[package] = entered
    return importlib.import_module(name)
