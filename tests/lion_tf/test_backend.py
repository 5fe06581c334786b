"""Keras on another backend: one line that says what to do. Each in a process of its own."""

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


def last_line(backend: str) -> str:
    """What importing lion_tf says at the end."""
    process = subprocess.run(
        [sys.executable, "-c", "import lion_tf; print('imported')"],
        env=os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return (process.stderr if process.returncode else process.stdout).strip().splitlines()[-1]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_are_refused(backend: str) -> None:
    pytest.importorskip(backend)
    assert last_line(backend) == MESSAGE.format(backend)


def test_tensorflow_is_not() -> None:
    assert last_line("tensorflow") == "imported"
