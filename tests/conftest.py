"""How Hypothesis runs: the same examples every time, unless a wide run is asked for.

`pytest --hypothesis-profile=wide` tries thousands of fresh examples a test.
"""

import gc
import importlib.util

from hypothesis import settings

# What is imported stays: four frameworks are a million objects, which every collection would visit.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on only what tests make is garbage."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """Frameworks look for what they leaked when the process ends."""
    gc.unfreeze()


# TensorFlow and Triton each bring an LLVM, and a process aborts in which TensorFlow's comes first.
# Tests of both are collected into one process, so Triton is imported before anything else.
if importlib.util.find_spec("triton") is not None:
    importlib.import_module("triton")

# No deadline: the first call of anything compiled takes seconds, and that is no failure.
settings.register_profile("reproducible", derandomize=True, deadline=None, database=None)
settings.register_profile("wide", max_examples=3_000, deadline=None, print_blob=True)
settings.load_profile("reproducible")
