"""Keras on TensorFlow, whatever keras.json prefers; the variable is read when keras is imported."""

from __future__ import annotations

import os
from importlib.util import find_spec

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Without the extra `tensorflow` there is nothing here to test.
collect_ignore_glob = [] if find_spec("tensorflow") and find_spec("keras") else ["*"]
