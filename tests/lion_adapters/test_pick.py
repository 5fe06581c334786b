"""`lion_adapters.pick`: what it picks, what it imports, and what it says when it cannot."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lion_adapters
from lion_adapters import arrays, pick

LEGAL = "legal: 'torch', 'jax', 'tensorflow', 'numpy', 'array-api', or arrays of one of them"
FRAMEWORKS = {"torch", "jax", "tensorflow", "keras", "array_api_compat", "dask", "array_api_strict"}


def _need(*modules: str) -> None:
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")


def fresh(program: str, path: Path | None = None) -> Any:
    """What a program prints as JSON, run in a process of its own."""
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow")
    if path is not None:
        environment["PYTHONPATH"] = os.pathsep.join([str(path), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        [sys.executable, "-c", "import json, sys\n" + program],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


# --- by name ----------------------------------------------------------------------------------

NAMED = {
    "torch": ("lion_torch", "torch"),
    "jax": ("lion_jax", "jax"),
    "tensorflow": ("lion_tf", "tensorflow"),
    "numpy": ("lion_ref", "numpy"),
    "array-api": ("lion_array_api", "array_api_compat"),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_name_gives_its_adapter(name: str) -> None:
    adapter, framework = NAMED[name]
    _need(framework)
    assert pick(name) is importlib.import_module(adapter)


@pytest.mark.parametrize("name", ["numpy", "array-api", "torch"])
def test_no_framework_is_imported_that_was_not_asked_for(name: str) -> None:
    """TensorFlow imports JAX where there is one, so it and JAX say little here."""
    _need(NAMED[name][1])
    loaded = fresh(
        "import lion_adapters\n"
        "before = sorted(sys.modules)\n"
        f"lion_adapters.pick({name!r})\n"
        "print(json.dumps([before, sorted(sys.modules)]))"
    )
    assert not FRAMEWORKS & set(loaded[0])
    assert FRAMEWORKS & set(loaded[1]) <= {NAMED[name][1]}


def test_looking_at_numpy_arrays_imports_no_framework() -> None:
    loaded = fresh(
        "import lion_adapters, numpy\n"
        "lion_adapters.pick({'w': [numpy.ones(2)]})\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    assert not FRAMEWORKS & set(loaded)


@pytest.mark.parametrize("name", ["caffe", "Torch", "", "lion_torch"])
def test_an_unknown_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"^backend={name!r} is not legal; {LEGAL}$"):
        pick(name)


# --- by arrays --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arrays",
    [np.ones(2), np.float32(1), [np.ones(2)], {"a": (np.ones(2), {"b": np.ones(())})}],
    ids=["array", "scalar", "list", "nest"],
)
def test_numpy_arrays(arrays: object) -> None:
    assert pick(arrays).__name__ == "lion_ref"


def test_torch_arrays() -> None:
    torch = pytest.importorskip("torch")
    for array in (torch.ones(2), torch.nn.Parameter(torch.ones(2))):
        assert pick(array).__name__ == "lion_torch"


def test_jax_arrays() -> None:
    jax = pytest.importorskip("jax")
    _need("optax")
    assert pick(jax.numpy.ones(2)).__name__ == "lion_jax"
    assert pick({"w": jax.numpy.ones(2)}).__name__ == "lion_jax"
    picked = []
    jax.jit(lambda x: picked.append(pick(x)))(jax.numpy.ones(2))  # traced
    assert picked[0].__name__ == "lion_jax"


def test_tensorflow_arrays() -> None:
    tf, keras = pytest.importorskip("tensorflow"), pytest.importorskip("keras")
    for array in (tf.ones(2), tf.Variable([1.0]), keras.Variable([1.0])):
        assert pick(array).__name__ == "lion_tf"


def test_arrays_of_other_namespaces() -> None:
    strict = pytest.importorskip("array_api_strict")
    dask_array = pytest.importorskip("dask.array")
    _need("array_api_compat")
    for array in (strict.asarray([1.0]), dask_array.ones(2)):
        assert pick(array).__name__ == "lion_array_api"


def test_arrays_of_several_backends() -> None:
    torch = pytest.importorskip("torch")
    message = (
        r"^arrays of several backends: torch.Tensor \(torch\), numpy.ndarray \(numpy\); " + LEGAL
    )
    with pytest.raises(TypeError, match=message):
        pick([torch.ones(1), torch.ones(1), np.ones(1)])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (3, "^3 is of type int; legal: "),
        (None, "^None is of type NoneType; legal: "),
        ([1.0], r"^1\.0 is of type float; legal: "),
        ([], r"^\[\] holds no arrays; legal: "),
        ({}, r"^\{\} holds no arrays; legal: "),
    ],
)
def test_no_arrays(arrays: object, message: str) -> None:
    with pytest.raises(TypeError, match=message + LEGAL.removeprefix("legal: ") + "$"):
        pick(arrays)


def test_a_framework_half_imported_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """While torch is being imported it has no Tensor yet."""
    monkeypatch.setitem(sys.modules, "torch", type(sys)("torch"))
    assert pick(np.ones(1)).__name__ == "lion_ref"
    assert arrays._loaded("torch", "Tensor") is None


# --- imports that fail ------------------------------------------------------------------------


PROGRAM = """
import lion_adapters

class Without:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Without)
try:
    lion_adapters.pick({name!r})
except ImportError as error:
    said = dict(type=type(error).__name__, text=str(error), name=error.name)
    print(json.dumps(dict(said, cause=type(error.__cause__).__name__)))
else:
    print(json.dumps({{}}))
"""


def failure(name: str, path: Path, absent: str = "") -> dict[str, Any]:
    """The ImportError of pick(name), with the modules in `path` in front and one made absent."""
    result: dict[str, Any] = fresh(PROGRAM.format(name=name, absent=absent), path)
    return result


@pytest.mark.parametrize(
    ("name", "absent", "extra"),
    [
        ("torch", "torch", "torch"),
        ("jax", "jax", "jax"),
        ("jax", "optax", "jax"),
        ("tensorflow", "tensorflow", "tensorflow"),
        ("tensorflow", "keras", "tensorflow"),
        ("array-api", "array_api_compat", "array-api"),
    ],
)
def test_a_missing_framework(tmp_path: Path, name: str, absent: str, extra: str) -> None:
    said = failure(name, tmp_path, absent)
    assert said == {
        "type": "ImportError",
        "text": f"{name!r} needs {absent}, which is not installed: pip install 'lion-ref[{extra}]'",
        "name": NAMED[name][0],
        "cause": "ModuleNotFoundError",
    }


MEND = "Mend or reinstall what is named there: pip install --force-reinstall 'lion-ref[torch]'"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "raise OSError('libcudart.so.12: not found\\nsecond line')",
            "OSError: libcudart.so.12: not found",
        ),
        ("raise RuntimeError", "RuntimeError: no message"),
        ("import no_such_dependency", "ModuleNotFoundError: No module named 'no_such_dependency'"),
        ("from math import no_such", "ImportError: cannot import name 'no_such' from 'math' "),
        ("def f(:", "SyntaxError: "),
    ],
    ids=["library", "no message", "dependency", "name", "syntax"],
)
def test_a_framework_that_fails_half_way(tmp_path: Path, source: str, reason: str) -> None:
    (tmp_path / "torch.py").write_text(source + "\n", encoding="utf-8")
    said = failure("torch", tmp_path)
    assert said["type"] == "ImportError"
    failed = "'torch' is installed, but importing lion_torch failed with "
    assert said["text"].startswith(failed + reason)
    assert said["text"].endswith(MEND)
    assert "\n" not in said["text"]
    assert said["cause"] == reason.partition(":")[0]


def test_an_interrupt_is_no_failed_import(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise KeyboardInterrupt\n", encoding="utf-8")
    said = fresh(
        "import lion_adapters\n"
        "try: lion_adapters.pick('torch')\n"
        "except KeyboardInterrupt: print(json.dumps('interrupted'))",
        tmp_path,
    )
    assert said == "interrupted"


# --- what the checks above reject -------------------------------------------------------------


def test_a_pick_that_imports_everything_is_found(tmp_path: Path) -> None:
    """array-api-compat stands for the frameworks: it is quick to import."""
    _need("array_api_compat")
    (tmp_path / "greedy.py").write_text(
        "import array_api_compat\nfrom lion_adapters import pick\n", encoding="utf-8"
    )
    loaded = fresh("import greedy\nprint(json.dumps(sorted(sys.modules)))", tmp_path)
    assert FRAMEWORKS & set(loaded)


def test_a_framework_that_imports_is_no_failure(tmp_path: Path) -> None:
    _need("array_api_compat")
    assert failure("array-api", tmp_path) == {}
    assert lion_adapters.__all__ == ["pick"]
