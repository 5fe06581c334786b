"""The Triton kernels of published Lions, from PTX that is committed: what their bits are."""

from __future__ import annotations

from importlib import metadata
from importlib.util import find_spec

import numpy as np
import pytest

import lion_ref
from lion_conformance import Verdict, verify
from lion_conformance.cli import SURVEYED
from lion_conformance.ports.backends import NotRunnable, load
from lion_conformance.ports.protocol import Port, ScalarArguments, run_once
from lion_conformance.ports.published import compile_triton
from lion_conformance.ptx import published
from lion_ref import STORAGE_DTYPES
from lion_ref.acceptance import accepts
from lion_ref.arithmetic import Array

KERNELS = [(package, dtype) for package in published.LAUNCHES for dtype in published.DTYPES]
SCALARS: ScalarArguments = {"lr": 0.25, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1}


def arrays(dtype: str, *numbers: float) -> list[Array]:
    return [np.full(3, x, STORAGE_DTYPES[dtype]) for x in numbers]


@pytest.mark.parametrize(("package", "dtype"), KERNELS)
def test_a_file_says_what_it_was_made_of(package: str, dtype: str) -> None:
    path = published.FOLDER / f"{package}-{dtype}.ptx"
    title, command, *rest = path.read_text(encoding="utf-8").splitlines()
    assert title == f"// {package} {published.version(package)}, its Triton kernel for Lion"
    assert command.startswith(f"// made by {compile_triton.COMMAND}, Triton ")
    told = "\n".join(rest)
    assert "MIT License" in told or "Apache License" in told
    assert '"/' not in told, "a path of the machine it was made on"


def test_there_is_a_file_for_each_kernel_and_no_other() -> None:
    files = {f"{package}-{dtype}.ptx" for package, dtype in KERNELS}
    assert {x.name for x in published.FOLDER.iterdir()} == files
    assert compile_triton.FOLDER == published.FOLDER
    assert [x.package for x in compile_triton.KERNELS] == list(published.LAUNCHES)
    assert tuple(compile_triton.DTYPES) == published.DTYPES


def test_they_are_one_family_under_the_names_of_their_packages() -> None:
    assert SURVEYED[published.FAMILY.name] == published.FAMILY
    ports = load(published.FAMILY)
    assert [(x.name, x.door) for x in ports] == [
        ("lion-pytorch", "Triton kernel of 0.2.5, as PTX"),
        ("flashoptim", "Triton kernel of 0.1.4, as PTX"),
    ]
    with pytest.raises(NotRunnable, match="triton-kernels has no device 'cuda'; legal: cpu"):
        load(published.FAMILY, "cuda")


@pytest.mark.parametrize("dtype", published.DTYPES)
@pytest.mark.parametrize("port", published.ports("cpu"), ids=lambda x: x.name)
def test_a_step_is_lions(port: Port, dtype: str) -> None:
    """In numbers whose roundings no order of operations changes."""
    given = arrays(dtype, 1.0, 0.5, -0.25)
    got = run_once(port, *given, lr=0.25, beta1=0.5, beta2=0.25, weight_decay=0.5)
    expected = lion_ref.step(*given, lr=0.25, beta1=0.5, beta2=0.25, weight_decay=0.5)
    for ours, theirs in zip(got, expected, strict=True):
        assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("dtype", published.DTYPES)
def test_the_kernel_of_lion_pytorch_hides_a_nan(dtype: str) -> None:
    """As docs/reproductions/lion-pytorch.md says of what Triton interprets: θ moves by +η."""
    port = published.kernel("lion-pytorch", dtype)
    new_param, new_momentum = run_once(
        port, *arrays(dtype, 1.0, 0.0, np.nan), **SCALARS | {"weight_decay": 0.0}
    )
    assert new_param.tolist() == [1.25] * 3
    assert np.isnan(new_momentum.astype(np.float32)).all()


@pytest.mark.parametrize(("package", "dtype"), KERNELS)
def test_steps_of_ordinary_numbers_are_lions_up_to_rounding(package: str, dtype: str) -> None:
    random = np.random.default_rng(0)
    kind = STORAGE_DTYPES[dtype]
    p, m, g = (random.standard_normal(5000).astype(kind) for _ in range(3))
    port = published.kernel(package, dtype)
    new_p, new_m = run_once(port, p, m, g, **SCALARS)
    assert all(x.all() for x in accepts(p, m, g, new_p, new_m, **SCALARS))
    _, wrong = run_once(port, p, m, g, **SCALARS | {"beta2": 0.9})
    assert not accepts(p, m, g, new_p, wrong, **SCALARS)[1].all()


@pytest.mark.slow
@pytest.mark.parametrize(("package", "dtype"), [x for x in KERNELS if x[0] == "flashoptim"])
def test_the_kernel_of_flashoptim_is_lion_up_to_rounding(package: str, dtype: str) -> None:
    report = verify(published.kernel(package, dtype), max_examples=1)
    assert report.verdict in (Verdict.ACCEPTED, Verdict.BIT_EXACT_AS), report.results


@pytest.mark.slow
def test_the_kernel_of_lion_pytorch_is_rejected() -> None:
    report = verify(published.kernel("lion-pytorch", "float32"), max_examples=1)
    assert report.verdict is Verdict.REJECTED


@pytest.mark.slow
@pytest.mark.parametrize("package", published.LAUNCHES)
def test_the_files_are_what_the_packages_compile_to(package: str) -> None:
    needed = package.replace("-", "_")
    for name in ("triton", needed):
        if find_spec(name) is None:
            pytest.skip(f"not run: {name} is not installed")
    path = published.FOLDER / f"{package}-float32.ptx"
    made_by = path.read_text(encoding="utf-8").splitlines()[1]
    if published.version(package) != metadata.version(package):
        pytest.skip(f"not run: this {package} is {metadata.version(package)}")
    if f"Triton {metadata.version('triton')}," not in made_by:
        pytest.skip(f"not run: this Triton is {metadata.version('triton')}")
    (kernel,) = (x for x in compile_triton.KERNELS if x.package == package)
    assert path.read_text(encoding="utf-8").endswith(compile_triton.compiled(kernel, "float32"))
