"""The Triton kernels of published Lions, as PTX that was made of their packages: data/ptx.

They are judged with the Lions that other projects publish, whether or not the package is installed;
`ports.published.compile_triton` makes the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lion_conformance.ports.backends import Backend, only_cpu
from lion_conformance.ports.protocol import Port, Session
from lion_conformance.ptx.port import ptx_port
from lion_ref.arithmetic import Array

FOLDER: Final = Path(__file__).parents[1] / "data" / "ptx"
FAMILY: Final = Backend("triton-kernels", __name__, (), "lion-ref")
DTYPES: Final = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Launch:
    """How a package launches its kernel."""

    arguments: tuple[str | int, ...]
    elements_per_program: int


LAUNCHES: Final = {
    "lion-pytorch": Launch(
        ("param", "grad", "momentum", "lr", "weight_decay", "beta1", "beta2", "size"), 128
    ),
    "flashoptim": Launch(
        # Of the momentum's scales and of what a rounding of θ lost there are none.
        (
            "momentum",
            0,
            "param",
            "grad",
            0,
            "size",
            "lr",
            "beta2",
            "beta1",
            "lr_times_weight_decay",
        ),
        1024,
    ),
}


@dataclass(frozen=True, slots=True)
class _ByDtype:
    """Opens the kernel that was compiled for the dtype of θ."""

    kernels: Mapping[str, Port]

    def __call__(
        self, params: Sequence[Array], momenta: Sequence[Array], *, beta1: float, beta2: float
    ) -> Session:
        kernel = self.kernels[params[0].dtype.name]
        return kernel.open(params, momenta, beta1=beta1, beta2=beta2)


def ports(device: str) -> list[Port]:
    """Each package's kernel in every dtype, under the package's name."""
    only_cpu(FAMILY.name, device)
    return [_port(package) for package in LAUNCHES]


def kernel(package: str, dtype: str) -> Port:
    """A package's kernel as it was compiled for one dtype."""
    launch = LAUNCHES[package]
    return ptx_port(
        FOLDER / f"{package}-{dtype}.ptx",
        arguments=launch.arguments,
        elements_per_program=launch.elements_per_program,
        dtypes=((dtype,) * 3,),
        name=package,
    )


def version(package: str) -> str:
    """The version whose kernel it is."""
    with (FOLDER / f"{package}-{DTYPES[0]}.ptx").open(encoding="utf-8") as file:
        return file.readline().split()[2].rstrip(",")


def _port(package: str) -> Port:
    kernels = {dtype: kernel(package, dtype) for dtype in DTYPES}
    return replace(
        kernels[DTYPES[0]],
        door=f"Triton kernel of {version(package)}, as PTX",
        open=_ByDtype(kernels),
        triples=tuple((dtype,) * 3 for dtype in DTYPES),
    )
