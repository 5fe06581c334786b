"""Keras on another backend: one line that says what to do. Each in a process of its own.

That it does import on TensorFlow, tests/repo/test_import_isolation.py says.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

MESSAGE = (
    "ImportError: lion_tf is for Keras on TensorFlow, but Keras runs on '{}' here; legal: "
    "KERAS_BACKEND=tensorflow, set before keras is imported; or, in a training loop of your own, "
    "lion_torch.Lion on PyTorch and lion_jax.lion on JAX"
)


@pytest.mark.parametrize("backend", ["jax", pytest.param("torch", marks=pytest.mark.slow)])
def test_other_backends_are_refused(backend: str) -> None:
    pytest.importorskip(backend)
    process = subprocess.run(
        [sys.executable, "-c", "import lion_tf"],
        env=os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert process.returncode
    assert process.stderr.strip().splitlines()[-1] == MESSAGE.format(backend)
